"""Progress of TRL's training with the reward beside it: a bar, or lines in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback

from medreward.files.progress import EVERY, progress_line


class Progress(TrainerCallback):  # type: ignore[misc]
    """Shows GRPO's steps: a bar on a terminal, elsewhere a line every few seconds.

    Args:
        steps: how many there are.
        every: seconds between two lines of a log.
    """

    def __init__(self, steps: int, every: float = EVERY) -> None:
        self.steps = steps
        self.every = every
        self._bar: tqdm[Any] | None = None
        self._done = 0
        self._begin = self._last = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Open the bar."""
        self._done = 0
        self._begin = self._last = time.monotonic()
        if sys.stderr.isatty():
            self._bar = tqdm(total=self.steps, desc="GRPO", unit="step")

    def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
        """Move on and show the mean reward of the step."""
        if not logs or "reward" not in logs:
            return
        self._done += 1
        reward = f"{float(logs['reward']):.3f}"
        if self._bar is not None:
            self._bar.set_postfix(reward=reward, refresh=False)
            self._bar.update()
            return
        now = time.monotonic()
        if now - self._last >= self.every:
            self._last = now
            line = progress_line("GRPO", "step", self._done, self.steps, now - self._begin)
            print(f"{line}, reward {reward}", file=sys.stderr, flush=True)

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
