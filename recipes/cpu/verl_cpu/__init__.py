"""A test harness: what verl 0.9.1 lacks to train on a CPU, added where verl takes plug-ins.

It exists to run ``verl.trainer.main_ppo`` itself, with medreward's rewards and a tiny model, where
there is no GPU. It is slow by design and no way to train a real model. verl imports it in every
process by ``VERL_USE_EXTERNAL_MODULES=verl_cpu`` (see ../verl_grpo.sh):

- `verl_cpu.platform`: the CPU as a verl platform, with gloo.
- `verl_cpu.engine`: verl's own FSDP engine, registered for that platform.
- `verl_cpu.rollout`: a rollout that samples with ``transformers``, in place of vLLM.
"""

import sys

# Where TRL is installed, verl's engine imports a class that TRL has dropped. A process of verl has
# no use for TRL, so that it is hidden here; for real runs, have an environment without it.
sys.modules.setdefault("trl", None)  # type: ignore[arg-type]

from verl_cpu import platform  # noqa: E402, F401 - the others ask for the platform on import

from verl_cpu import engine, rollout  # noqa: E402, F401  # isort: skip
