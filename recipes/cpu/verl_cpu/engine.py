"""verl's FSDP2 engine, registered for the CPU platform; FSDP1 refuses to run without a GPU."""

from __future__ import annotations

from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead


@EngineRegistry.register(
    model_type="language_model", backend=["fsdp2"], device=["cpu"], vendor=["cpu"]
)
class CPUEngine(FSDPEngineWithLMHead):  # type: ignore[misc]
    """The engine as verl has it."""
