"""TRL's GRPOTrainer, one step of it, on a tiny model."""

from __future__ import annotations

from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Any

from medreward import ConfigError
from medreward_conformance.known import ON_CPU, PROMPT
from medreward_conformance.protocol import Observation
from medreward_conformance.sampled import (
    COPIES,
    LENGTH,
    OPENS,
    ROWS,
    SIZE,
    SPECIAL,
    SamplingProbe,
    as_sent,
    columns_of,
    own_rows,
    recorded,
    score_map,
    tiny_model,
)
from medreward_trl.demo.model import END


def observe() -> Observation:
    """Train one step of GRPO with the probe as its reward, and another with one that fails."""
    tiny = tiny_model()
    tokenizer = tiny.processor.tokenizer
    seen = Observation(
        f"trl {version('trl')}, GRPOTrainer",
        special_tokens=SPECIAL,
        end_tokens=(END,),
        prefill=OPENS,
    )
    with TemporaryDirectory() as folder:
        probe = SamplingProbe(tokenizer.eos_token_id, "completion_ids")
        with recorded(type(tiny.model)) as generated:
            trainer = _trainer(tiny, probe, folder)
            trainer.train()
        seen.sent = as_sent(tokenizer, generated)
        seen.calls = probe.calls
        own_rows(seen)
        logs = trainer._logs
        keys = logs.get("extra", {}).get("key")  # none before log_extra
        if keys is None:
            key_of = {one.text: one.key for call in seen.calls for one in call.arrivals}
            keys = [key_of.get(text, text) for text in logs["completion"]]
        seen.scores = score_map(keys, logs["rewards"]["probe"])
        failing = SamplingProbe(tokenizer.eos_token_id, "completion_ids", fails=True)
        try:
            _trainer(tiny, failing, folder).train()
        except RuntimeError as error:
            seen.failure = "stops" if "the probe fails" in str(error) else repr(error)[:200]
        else:
            seen.failure = "a reward that raises goes on"
    return seen


def _trainer(tiny: Any, probe: SamplingProbe, folder: str) -> Any:
    from datasets import Dataset
    from PIL import Image
    from trl import GRPOConfig, GRPOTrainer

    if "generation_kwargs" not in GRPOConfig.__dataclass_fields__:
        raise ConfigError(
            f"trainer: trl {version('trl')} is too old to train a model with images; 0.24 is known "
            f"to work"
        )
    content = [{"type": "image", "text": ""}, {"type": "text", "text": PROMPT}]
    rows = [
        {
            "prompt": [{"role": "user", "content": content}],
            "image": Image.new("RGB", (SIZE, SIZE), (60 * i, 0, 0)),
            **columns_of(i),
        }
        for i in range(ROWS)
    ]
    return GRPOTrainer(
        model=tiny.model,
        processing_class=tiny.processor,
        reward_funcs=probe,
        args=GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=ROWS * COPIES,
            num_generations=COPIES,
            max_completion_length=LENGTH,
            max_steps=1,
            **ON_CPU,
            generation_kwargs={"min_new_tokens": 4},
        ),
        train_dataset=Dataset.from_list(rows),
    )
