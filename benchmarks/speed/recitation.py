"""R_recite of a group against nltk's and sacreBLEU's sentence BLEU on the same tokens."""

from __future__ import annotations

from collections.abc import Iterator

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from sacrebleu.metrics.bleu import BLEU

from benchmarks.speed import texts
from benchmarks.speed.measure import REPEATS, Pair, Row, compared, equal
from medreward import Task
from medreward.scoring.parts.recitation import reference
from medreward.text.completion import Completion
from medreward.text.words import tokenize

BOUND = "splitting the text into words"
KINDS = {"own words, 15% copied": 0.15, "half copied": 0.5, "nothing but the knowledge": 1.0}


def ours(knowledge: str, group: list[str]) -> list[float]:
    """Compare the group as scoring does: the knowledge was counted when it first came."""
    return reference(knowledge).bleus(group)


def nltk(knowledge: str, group: list[str]) -> list[float]:
    tokens, method1 = tokenize(knowledge), SmoothingFunction().method1
    return [sentence_bleu([tokens], tokenize(t), smoothing_function=method1) for t in group]


def sacrebleu(knowledge: str, group: list[str]) -> list[float]:
    """Floor smoothing by 0.1 is nltk's method 1; scores are in percent there."""
    metric = BLEU(tokenize="none", smooth_method="floor", smooth_value=0.1, effective_order=True)
    known = [" ".join(tokenize(knowledge))]
    return [metric.sentence_score(" ".join(tokenize(t)), known).score / 100 for t in group]


def rows(short: bool) -> Iterator[Row]:
    knowledge = Task.load("retinamnist").knowledge_text()
    for size in (8,) if short else (8, 64):
        for kind, copied in KINDS.items():
            made = texts.batch(knowledge, size, copied)
            group = [Completion.parse(text).reasoning for text in made]
            for name, other, tolerance in (
                ("nltk `sentence_bleu`", nltk, 1e-12),
                ("sacreBLEU `sentence_score`", sacrebleu, 1e-9),
            ):
                pair = Pair(
                    lambda group=group: ours(knowledge, group),  # type: ignore[misc]
                    lambda group=group, other=other: other(knowledge, group),  # type: ignore[misc]
                    equal(tolerance),
                    size,
                    BOUND,
                    lambda group=group: [tokenize(text) for text in group],  # type: ignore[misc]
                )
                inputs = f"group of {size} × {texts.WORDS} words, {kind}"
                repeats = 0 if short else 3 * REPEATS
                yield compared(("R_recite", inputs, name), pair, repeats)
