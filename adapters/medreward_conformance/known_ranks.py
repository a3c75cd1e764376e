"""Rows and completions of runs of several processes: the same in any number of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medreward import ConfigError
from medreward.runs.trace_sources import read_trace
from medreward_conformance.known import padded
from medreward_conformance.ranks import Rank, Ranks, Sampled

TASK = "pneumoniamnist"
STEPS, COPIES, GROUPS = 2, 4, 4  # groups a step
TRACE = "trace-{rank}.jsonl"


def check_count(count: int) -> None:
    """Refuse a number of processes that cannot share the groups of a step.

    >>> check_count(3)
    Traceback (most recent call last):
    ...
    medreward.errors.ConfigError: ranks: 3 processes do not share 4 groups; take 1, 2 or 4
    """
    if GROUPS % count:
        raise ConfigError(f"ranks: {count} processes do not share {GROUPS} groups; take 1, 2 or 4")


def columns_of(row: int) -> dict[str, str]:
    """Return the columns of a row beside its prompt, which holds its id.

    >>> columns_of(3)["id"]
    'row3'
    """
    return {
        "id": f"row{row}",
        "task": TASK,
        "target": "normal",
        "knowledge": "",
        "split": "train",
    }


def row_of(prompt: str) -> int:
    """Return the number of the row whose id stands in a prompt.

    >>> row_of("<|user|>row12?")
    12
    """
    return int(re.findall(r"row(\d+)", prompt)[0])


def known_text(row: int, copy: int) -> str:
    """Return the completion of a row: rows differ in how many of theirs are wrong or unreadable.

    >>> known_text(5, 0), known_text(5, 1)
    ('<think>row 5, copy 0</think>none', '<think>row 5, copy 1</think><answer>normal</answer>')
    """
    think = f"<think>row {row}, copy {copy}</think>"
    if copy >= row % 4:
        return f"{think}<answer>normal</answer>"
    return f"{think}<answer>pneumonia</answer>" if row < 4 or copy else f"{think}none"


class KnownWriter:
    """Writes `known_text` to prompts in place of a model; `sent` is what it wrote.

    Args:
        tokenizer: reads the rows' numbers out of prompts, and ends each completion.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.sent: list[Sampled] = []
        self._tokenizer, self._steps = tokenizer, 0

    def behind(self, prompts: Any) -> Any:
        """Return a batch of prompts of one step as a tensor, each with its completion behind it."""
        import torch

        self._steps += 1
        copies: Counter[int] = Counter()
        written = []
        for prompt in prompts:
            row = row_of(self._tokenizer.decode(prompt, skip_special_tokens=True))
            ids = self._tokenizer(known_text(row, copies[row]))["input_ids"]
            copies[row] += 1
            self.sent.append(Sampled(self._steps, f"row{row}", self._tokenizer.decode(ids)))
            written.append([*ids, self._tokenizer.eos_token_id])
        completions, _ = padded(written, self._tokenizer.pad_token_id)
        return torch.cat([prompts, completions], dim=1)


def probe_into(calls: list[list[Sampled]]) -> Callable[..., list[float]]:
    """Return a reward of TRL's shape that notes each call and pays the length of a text."""

    def probe(completions: list[str], **columns: Any) -> list[float]:
        step = columns["trainer_state"].global_step + 1
        rows = zip(columns["id"], completions, strict=True)
        calls.append([Sampled(step, name, text) for name, text in rows])
        return [float(len(text)) for text in completions]

    return probe


def logged_rewards(history: Iterable[Mapping[str, Any]], names: Container[str]) -> list[Any]:
    """Return the metrics of these names, and of the rewards, of each step that a trainer logged."""
    return [
        {
            name: float(entry[name])
            for name in sorted(entry)
            if name in names or name.startswith("rewards/")
        }
        for entry in history
        if "reward" in entry
    ]


def traced(files: Iterable[Path]) -> list[Sampled]:
    """Return the completions of trace files, read together."""
    return [Sampled(row.step or 0, row.id or "", row.completion) for row in read_trace([*files])]


def launch(module: Sequence[str]) -> None:
    """Run a module that starts the processes, with this process's packages, and wait for it.

    Raises:
        ConfigError: if it fails, with the end of what it said.
    """
    folders = [*sys.path, os.environ.get("PYTHONPATH", "")]
    given = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, folders))}
    done = subprocess.run(
        [sys.executable, "-m", *module],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **given},
    )
    if done.returncode:
        raise ConfigError(f"ranks: {module[0]} ended with an error:\n{done.stderr[-2000:]}")


def write_rank(out: Path, rank: int, found: Mapping[str, Any]) -> None:
    """Write what a process sent, what its reward got, and what it logged."""
    (out / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")


def read_ranks(out: Path, count: int, alone: Sequence[Mapping[str, float]]) -> Ranks:
    """Read what `write_rank` wrote, and the trace files beside it."""
    ranks = []
    for number in range(count):
        found = json.loads((out / f"rank{number}.json").read_text(encoding="utf-8"))
        file = out / TRACE.format(rank=number)
        sent = [Sampled(*one) for one in found["sent"]]
        calls = [[Sampled(*one) for one in call] for call in found["calls"]]
        ranks.append(Rank(sent, calls, traced([file]) if file.exists() else [], found["logged"]))
    return Ranks(ranks, traced(sorted(out.glob("trace-*.jsonl"))), alone, COPIES)
