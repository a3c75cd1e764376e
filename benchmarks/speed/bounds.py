"""How fast this machine moves bytes, and how far from that words and rewards are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.speed.measure import timed
from benchmarks.speed.whole import PROMPTS, step
from medreward import shaped_reward
from medreward.text.completion import Completion
from medreward.text.words import tokenize

COPIED = 2**28  # bytes of an array, more than any cache holds
RUNS = 5
_WORD = re.compile(r"[^\W_]+")
_NOTHING = {0: None}


class Rate(NamedTuple):
    """What was done and how many bytes a second it took in, the median of some runs."""

    what: str
    rate: float


def rates(prompts: int = PROMPTS) -> list[Rate]:
    """Return the rates of this machine and of medreward, on the completions of a step."""
    completions, targets, task = step(prompts)
    array = np.ones(COPIED, np.uint8)
    target = np.empty_like(array)
    size = sum(len(text.encode()) for text in completions)
    works: dict[str, Callable[[], Any]] = {
        "`str.count`, which only looks": partial(_each, lambda x: x.count("\x00"), completions),
        "`str.lower`": partial(_each, str.lower, completions),
        "`str.split`": partial(_each, str.split, completions),
        "a regular expression for words": partial(_each, _WORD.findall, completions),
        "`str.translate`": partial(_each, lambda x: x.translate(_NOTHING), completions),
        "medreward's tags": partial(_each, Completion.parse, completions),
        "medreward's words": partial(_each, tokenize, completions),
        "the whole reward": partial(shaped_reward, completions, targets, task=task),
    }
    copying = Rate("copying in memory (numpy)", _rate(lambda: np.copyto(target, array), COPIED))
    return [copying, *(Rate(what, _rate(work, size)) for what, work in works.items())]


def table(found: Iterable[Rate]) -> str:
    """Return rates as a Markdown table, the first as the bound."""
    first, *others = found
    lines = ["| what | MB a second | copying is … times as fast |", "| --- | --- | --- |"]
    lines += [
        f"| {what} | {rate / 1e6:,.0f} | {first.rate / rate:,.0f} |"
        for what, rate in (first, *others)
    ]
    return "\n".join(lines)


def _each(work: Callable[[str], Any], completions: Iterable[str]) -> None:
    for text in completions:
        work(text)


def _rate(work: Callable[[], Any], size: int) -> float:
    return size / median(timed(work) for _ in range(RUNS))
