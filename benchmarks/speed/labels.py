"""The label reward against rapidfuzz over the same vocabulary plus the usual regular expressions.

medreward also tells asserted labels from denied ones and from those left open, which `extractOne`
does not; the second line of `wrong_by` counts what that costs.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from rapidfuzz import fuzz, process

from benchmarks.speed import texts
from benchmarks.speed.measure import REPEATS, Pair, Row, compared
from medreward import Task
from medreward.scoring.scorer import Scorer
from medreward.text.completion import Completion
from tests.peers import format_by_pattern

COUNT = 512
CUTOFF = 90
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
TASKS = ("pneumoniamnist", "bloodmnist", "pathmnist")
HARD = (
    "not {}", "no {}", "{} or {other}", "no evidence of {}", "{} is ruled out", "{}?",
    "{other}, not {}", "{} unlikely",
)  # fmt: skip


def vocabulary(task: Task) -> dict[str, int]:
    """Return each name and synonym in lower case, and its label."""
    return {
        form.lower(): index
        for index, label in enumerate(task.labels)
        for form in (label.name, *label.synonyms)
    }


def extract_one(completion: str, target: int, known: dict[str, int], names: list[str]) -> float:
    """Return 1 where the form nearest to the answer is the target's, as is usual."""
    found = _ANSWER.search(completion)
    format_by_pattern(completion, names[target])
    if found is None:
        return 0.0
    best = process.extractOne(
        found[1].strip().lower(), list(known), scorer=fuzz.ratio, score_cutoff=CUTOFF
    )
    return float(best is not None and known[best[0]] == target)


def completions(task: Task, count: int, words: int) -> tuple[list[str], list[int]]:
    """Return completions whose answer is a plain name or synonym."""
    chance = random.Random(0)
    forms = list(vocabulary(task))
    knowledge = task.knowledge_text()
    made = [
        texts.completion(chance, knowledge, 0.15, chance.choice(forms), words) for _ in range(count)
    ]
    return made, [chance.randrange(len(task.labels)) for _ in range(count)]


def wrong_by(task: Task) -> tuple[int, int, int]:
    """Return how many hard answers there are, and how many earn 1 from medreward and from them.

    Each denies the label that is true, or leaves it open: none should earn anything.
    """
    names, known = [label.name for label in task.labels], vocabulary(task)
    scorer = Scorer(task, task.reward.updated({"delta": 0}))
    hard = [
        (f"<think>x</think><answer>{form.format(name, other=names[i - 1])}</answer>", i)
        for i, name in enumerate(names)
        for form in HARD
    ]
    ours = sum(scorer.score(text, target).correct for text, target in hard)
    theirs = sum(extract_one(text, target, known, names) for text, target in hard)
    return len(hard), ours, round(theirs)


def same(ours: list[float], theirs: list[float]) -> None:
    assert ours == theirs, "plain answers are read differently"
    assert 0 < sum(ours) < len(ours)


def rows(short: bool) -> Iterator[Row]:
    for name in TASKS[:1] if short else TASKS:
        task = Task.load(name)
        scorer = Scorer(task, task.reward.updated({"delta": 0}))
        known, names = vocabulary(task), [label.name for label in task.labels]
        made, targets = completions(task, 64 if short else COUNT, texts.WORDS)
        inputs = list(zip(made, targets, strict=True))
        batch = made, targets, [None] * len(made)
        pair = Pair(
            lambda: [score.parts["accuracy"] for score in scorer.score_group(*batch)],  # noqa: B023
            lambda: [extract_one(*row, known, names) for row in inputs],  # noqa: B023
            same,
            len(inputs),
            "parsing the tags",
            lambda: [Completion.parse(text) for text, _ in inputs],  # noqa: B023
        )
        about = f"{len(inputs)} completions, {len(names)} labels in {len(known)} forms"
        names_of = "label and format, no recitation", about, "rapidfuzz `extractOne` and regexes"
        yield compared(names_of, pair, 0 if short else 3 * REPEATS)
