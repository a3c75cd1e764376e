"""What verl_ranks.py puts into veRL's processes: the model's sampling, and a watch on the reward.

Each process writes what it saw to a file of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medreward_conformance.known_ranks import COPIES, GROUPS, known_text, row_of
from medreward_verl.manager import MedRewardManager
from medreward_verl.scoring import PlacedRow, Result

SENT, CALL = "sent", "call"


def note(folder: Path, kind: str, rows: Sequence[Sequence[Any]]) -> None:
    """Append what this process sent, or one call of its reward: steps, ids and texts."""
    with (folder / f"process-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, "rows": rows}) + "\n")


class KnownServer:
    """Stands in place of veRL's client of the servers that sample; it writes `known_text`.

    Args:
        model: the folder of the tokenizer.
        folder: where to write down what was sent.
    """

    def __init__(self, model: str, folder: str) -> None:
        self.model, self.folder = model, folder
        self._tokenizer: Any = None

    async def generate(self, *, prompt_ids: list[int], priority: int, **_: Any) -> Any:
        """Return the tokens of a row's completion; veRL numbers the samples of a step."""
        from transformers import AutoTokenizer
        from verl.workers.rollout.replica import TokenOutput

        if self._tokenizer is None:
            self._tokenizer = AutoTokenizer.from_pretrained(self.model)
        row = row_of(self._tokenizer.decode(prompt_ids))
        text = known_text(row, priority % COPIES)
        note(Path(self.folder), SENT, [[row // GROUPS + 1, f"row{row}", text]])
        ids = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return TokenOutput(token_ids=[*ids, self._tokenizer.eos_token_id], stop_reason="completed")


class WatchedManager(MedRewardManager):
    """medreward's reward manager, which writes down what its scorer gets beside the trace."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        watch: Any = _Watch(self._rows)
        self._rows = watch


class _Watch:
    """A scorer of rows that notes each call."""

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def judged(self, source: str, text: str, *rest: Any, **place: Any) -> tuple[str, PlacedRow]:
        return text, self._rows.judged(source, text, *rest, **place)

    def results(self, rows: Sequence[tuple[str, PlacedRow]]) -> list[Result]:
        places = [(text, one.place) for text, one in rows]
        calls = [[place.get("step"), place.get("id"), text] for text, place in places]
        note(self._rows.trace.path.parent, CALL, calls)
        found: list[Result] = self._rows.results([one for _, one in rows])
        return found
