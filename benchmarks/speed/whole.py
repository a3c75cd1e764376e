"""The whole shaped reward of a step: its time, its parts and its memory."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from time import process_time

from benchmarks.speed import texts
from benchmarks.speed.measure import Pair, Row, compared, equal
from benchmarks.speed.recitation import nltk
from medreward import Task, shaped_reward
from medreward.text.completion import Completion
from medreward.text.words import tokenize

PROMPTS, GROUP = 512, 8
_FORMAT = re.compile(r"\s*<think>(.*?)</think>\s*<answer>(.*?)</answer>\s*", re.DOTALL)


def usual(completions: list[str], targets: list[int], task: Task) -> list[float]:
    """Score by regular expressions and nltk, as is usual; right for well-formed plain grades."""
    weights, delta, knowledge = task.reward.weights, task.reward.delta, task.knowledge_text()
    totals = []
    for text, target in zip(completions, targets, strict=True):
        found = _FORMAT.fullmatch(text)
        assert found is not None
        [bleu] = nltk(knowledge, [found[1]])
        accuracy = 4.0 ** -abs(int(found[2]) - target)
        totals.append(weights.accuracy * accuracy + weights.format)
        totals[-1] += weights.recitation * delta * bleu
    return totals


def step(prompts: int) -> tuple[list[str], list[int], Task]:
    """Return the completions and targets of a training step."""
    task = Task.load("retinamnist")
    completions = texts.batch(task.knowledge_text(), prompts * GROUP)
    return completions, [i // GROUP % 5 for i in range(prompts * GROUP)], task


def rows(short: bool) -> Iterator[Row]:
    completions, targets, task = step(16 if short else PROMPTS)
    pair = Pair(
        lambda: shaped_reward(completions, targets, task=task),
        lambda: usual(completions, targets, task),
        equal(1e-12),
        len(completions),
        "parsing the tags and splitting the text into words",
        lambda: [tokenize(Completion.parse(text).reasoning) for text in completions],
    )
    inputs = f"{len(completions) // GROUP} prompts × {GROUP} × {texts.WORDS} words, one core"
    names = "shaped reward", inputs, "regular expressions and nltk"
    yield compared(names, pair, 0 if short else 5)


def memory() -> dict[str, float]:
    """Return the time, and by how much the peak of memory rises, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.speed.whole"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _alone() -> dict[str, float]:
    completions, targets, task = step(PROMPTS)
    shaped_reward(completions[:GROUP], targets[:GROUP], task=task)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = process_time()
    shaped_reward(completions, targets, task=task)
    seconds = process_time() - start
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    tracemalloc.start()
    shaped_reward(completions, targets, task=task)
    peak = tracemalloc.get_traced_memory()[1]
    size = sum(map(len, completions))
    return {"seconds": seconds, "rss_mb": grown / 1024, "peak_mb": peak / 2**20, "mb": size / 2**20}


if __name__ == "__main__":
    print(json.dumps(_alone()))
