"""What free-text reports are measured by: BLEU, ROUGE-L, or a metric of RadEval where it is there.

RadEval (Delbrouck et al., EMNLP 2025, `pip install radeval`) holds the metrics that radiology uses:
RadGraph, CheXbert, RaTEScore, GREEN and others. It is no dependency; this is a bridge that calls
its public class once for each batch. A metric has to give each pair a number in [0, 1], the more
the better, or it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from medreward.errors import ConfigError, expected, quote
from medreward.kinds.open_questions import OpenQuestion
from medreward.scoring.parts.recitation import reference
from medreward.task.settings import RADEVAL, REPORT_METRICS
from medreward.text.words import tokenize


class BleuMetric:
    """BLEU-4 of an answer against its reference (`medreward.scoring.parts.recitation`).

    >>> ask = OpenQuestion("", ("The heart is of normal size.",), "The heart is of normal shape.")
    >>> [round(value, 3) for value in BleuMetric()([ask])]
    [0.76]
    """

    name = "bleu:4,method1"

    def __call__(self, questions: Sequence[OpenQuestion]) -> list[float]:
        """Return the BLEU-4 of each answer, in [0, 1]."""
        return [reference(one.accepted[0]).bleu(one.given) for one in questions]


class RougeMetric:
    """ROUGE-L of an answer against its reference: F1 of their longest common subsequence of words.

    With m and n words and the length L of the longest common subsequence, ``2 L / (m + n)``:
    ROUGE-L of Lin (ACL 2004 workshop) with beta 1, on the words of `medreward.text.words`.

    >>> ask = OpenQuestion("", ("The heart is of normal size.",), "The heart is of normal shape.")
    >>> [round(value, 3) for value in RougeMetric()([ask])]
    [0.833]
    """

    name = "rouge_l:f1"

    def __call__(self, questions: Sequence[OpenQuestion]) -> list[float]:
        """Return the ROUGE-L of each answer, in [0, 1]."""
        return [_rouge(tokenize(one.accepted[0]), tokenize(one.given)) for one in questions]


def _rouge(true: Sequence[str], said: Sequence[str]) -> float:
    from rapidfuzz.distance import LCSseq

    return 2 * LCSseq.similarity(true, said) / (len(true) + len(said)) if true and said else 0.0


class RadEvalMetric:
    """A metric of RadEval, by its name there and, where it gives several values, the key of one.

    Raises:
        ConfigError: if RadEval is not installed; at the first call, if it has no such metric, or
            the metric gives several values and no key says which.
    """

    def __init__(self, metric: str, key: str = "") -> None:
        self.metric, self.key = metric, key
        if find_spec("radeval") is None:
            raise ConfigError(
                f"report_metric: {RADEVAL}{metric} needs RadEval: pip install radeval, or take one "
                f"of {', '.join(REPORT_METRICS)}"
            )

    @property
    def name(self) -> str:
        """What a signature calls it."""
        return ":".join(filter(None, ("radeval", version("radeval"), self.metric, self.key)))

    def __call__(self, questions: Sequence[OpenQuestion]) -> list[float]:
        """Return the metric of each answer against its reference, in [0, 1].

        Raises:
            ConfigError: if a value is no number in [0, 1].
        """
        found = _evaluator(self.metric)(
            refs=[one.accepted[0] for one in questions], hyps=[one.given for one in questions]
        )
        values = [float(value) for value in self._chosen(found)]
        for one, value in zip(questions, values, strict=True):
            if not (math.isfinite(value) and -1e-6 <= value <= 1 + 1e-6):
                raise ConfigError(
                    f"report_metric: {self.metric} of RadEval gave {value} for "
                    f"{quote(one.given[:80])}; a reward takes numbers in [0, 1], more is better"
                )
        return [min(1.0, max(0.0, value)) for value in values]

    def _chosen(self, found: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
        if not self.key and len(found) == 1:
            return next(iter(found.values()))
        if self.key not in found:
            metric = f"report_metric: {RADEVAL}{self.metric}"
            if not self.key:
                raise ConfigError(
                    f"{metric} gives {', '.join(found)}; say which, as in "
                    f"{RADEVAL}{self.metric}:{next(iter(found))}"
                )
            raise expected(f"{metric}: value", self.key, found)
        return found[self.key]


@lru_cache(maxsize=4)
def _evaluator(metric: str) -> Any:
    """Return RadEval with one metric loaded; a process loads its model once."""
    from radeval import RadEval

    try:
        return RadEval(metrics=[metric], per_sample=True, show_progress=False)
    except (ValueError, ImportError, OSError) as error:  # no such metric, or its model is not there
        raise ConfigError(f"report_metric: {RADEVAL}{metric}: {error}") from error


@lru_cache(maxsize=16)
def report_metric(name: str) -> BleuMetric | RougeMetric | RadEvalMetric:
    """Return the metric of a name that `RewardSettings.report_metric` allows."""
    if name in REPORT_METRICS:
        return BleuMetric() if name == "bleu" else RougeMetric()
    metric, _, key = name.removeprefix(RADEVAL).partition(":")
    return RadEvalMetric(metric, key)
