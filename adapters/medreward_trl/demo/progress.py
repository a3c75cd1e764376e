"""A progress bar for TRL's training, with the reward beside it."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback


class Progress(TrainerCallback):  # type: ignore[misc]
    """Shows GRPO's steps on a terminal."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._bar: tqdm[Any] | None = None

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Open the bar."""
        self._bar = tqdm(total=self.steps, desc="GRPO", unit="step", disable=None)

    def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
        """Move the bar on and show the mean reward of the step."""
        if self._bar is not None and logs and "reward" in logs:
            self._bar.set_postfix(reward=f"{float(logs['reward']):.3f}", refresh=False)
            self._bar.update()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
