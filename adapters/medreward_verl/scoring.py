"""veRL's rows -> medreward's scores, as the flat dictionaries of numbers that veRL aggregates."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from medreward import ConfigError, Score, Task
from medreward.errors import expected
from medreward.scoring.judge import check_decides
from medreward.scoring.parts.base import part_names
from medreward.scoring.rows import JudgedRow, judge_row, score_rows
from medreward.scoring.scorer import Scorer, scorer
from medreward.scoring.task_book import TaskBook
from medreward.scoring.trace import trace_writer
from medreward.text.reasons import REASONS

Result: TypeAlias = dict[str, float]

# The keys of every result, in this order. veRL makes a metric of each and breaks where rows differ.
BASIC_KEYS = ("score", *part_names(), "acc", "correct", "unreadable")
KEYS = (*BASIC_KEYS, *(f"reason_{code}" for code in REASONS))
# What veRL hands to every reward function beside its settings when a reward model is served.
_FROM_VERL = ("reward_router_address", "reward_model_tokenizer")

_log = logging.getLogger(__name__)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    **reward_kwargs: Any,
) -> Result:
    """Return the shaped reward of a completion with its parts: veRL's custom reward function.

    Args:
        data_source: the row's task: a shipped task's name, or a key of ``tasks``.
        solution_str: the completion's text.
        ground_truth: label, grade, or boxes as JSON.
        extra_info: the row's; ``task`` (a shipped name or a key of ``tasks``, never a file) goes
            before ``data_source``, and ``knowledge`` is the text injected into the prompt (default:
            the card's own).
        **reward_kwargs: ``tasks`` maps a data source to a shipped name, a card's path, or a mapping
            of ``task`` and settings for this source alone; ``reasons`` lists the reason codes to
            report (default: all; veRL bootstraps every key where it validates with several
            completions a prompt); ``trace`` is a file to which all completions are written, for
            ``medreward why``: a path, or a mapping of `medreward.scoring.trace.TraceWriter`'s
            arguments; everything else overrides the settings of every card: weights,
            delta, decay, under_grading, over_grading, gates.

    Returns:
        `KEYS` (or those that ``reasons`` leaves) to numbers, the same for every row: ``score`` is
        the weighted sum; ``accuracy``, ``format`` and ``recitation`` are its parts after gates and
        sign; ``acc`` (veRL's name) and ``correct`` are 1 for exactly the right answer, else 0;
        ``unreadable`` is 1 where no answer could be read; ``reason_<code>`` is 1 for each of the
        score's reason codes, else 0.

    Raises:
        ConfigError: if the data source, a setting or the ground truth is not allowed. Model text
            never raises.

    >>> compute_score("retinamnist", "<think>x</think><answer>1</answer>", "2")["accuracy"]
    0.25
    """
    settings = {k: v for k, v in reward_kwargs.items() if k not in _FROM_VERL}
    return row_scorer(settings).result(data_source, solution_str, ground_truth, extra_info)


def row_scorer(settings: Mapping[str, Any]) -> RowScorer:
    """Return the scorer of these reward settings, made once a process."""
    return _row_scorer(_frozen(settings))


@lru_cache(maxsize=64)
def _row_scorer(frozen: Any) -> RowScorer:
    return RowScorer(_thawed(frozen))


class PlacedRow(NamedTuple):
    """A judged row, and its step, id, split and group as far as they are known."""

    row: JudgedRow
    place: Mapping[str, Any]


class RowScorer:
    """Scores veRL's rows; a task's card is read and its settings are checked once.

    Raises:
        ConfigError: if a setting or an entry of ``tasks`` is not allowed.

    >>> text = "<think>x</think><answer>1</answer>"
    >>> scorer = RowScorer({"decay": "linear"})
    >>> [result] = scorer.results([scorer.judged("retinamnist", text, "2")])
    >>> result["accuracy"]
    0.75
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = dict(settings or {})
        self.keys = _keys(self.settings.pop("reasons", None))
        self.trace = trace_writer(self.settings.pop("trace", None))
        check_decides(self.settings.get("judge"), "veRL")
        named = self.settings.pop("tasks", None) or {}
        if not isinstance(named, Mapping):
            raise ConfigError(f"tasks: {named!r} is not a mapping of data sources to task cards")
        self._scorers = {str(source): self._named(source, card) for source, card in named.items()}
        self.book = TaskBook({source: bound.task for source, bound in self._scorers.items()})

    def scorer(self, data_source: str, extra_info: Mapping[str, Any] | None = None) -> Scorer:
        """Return the scorer of a row.

        Raises:
            ConfigError: if its task is not known, with the known ones and the nearest, or it names
                a file.
        """
        name = self.book.source_of(data_source, extra_info)
        if name not in self._scorers:
            self._scorers[name] = self._logged(scorer(Task.load(name), self.settings))
        return self._scorers[name]

    def judged(
        self,
        data_source: str,
        completion: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **place: Any,
    ) -> PlacedRow:
        """Judge a row's completion, for `results`.

        ``place`` is the ``step`` and the ``group``, where the caller knows them.

        Raises:
            ConfigError: if the data source or the ground truth is not allowed.
        """
        info = extra_info or {}
        bound = self.scorer(data_source, info)
        row = judge_row(bound, completion, ground_truth, info.get("knowledge"))
        return PlacedRow(row, {**_place(info), **place})

    def results(self, rows: Sequence[PlacedRow]) -> list[Result]:
        """Return what veRL wants of each row (see :func:`compute_score`), and trace them."""
        scores = score_rows([row for row, _ in rows])
        if self.trace is not None:
            self.trace.write(
                row.traced(score, place) for score, (row, place) in zip(scores, rows, strict=True)
            )
        return [as_result(score, self.keys) for score in scores]

    def result(
        self,
        data_source: str,
        completion: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **place: Any,
    ) -> Result:
        """Score one row's completion as veRL wants it."""
        row = self.judged(data_source, completion, ground_truth, extra_info, **place)
        return self.results([row])[0]

    def _named(self, source: str, card: Any) -> Scorer:
        try:
            changes = dict(card) if isinstance(card, Mapping) else {"task": card}
            return self._logged(scorer(changes.pop("task", source), self.settings | changes))
        except ConfigError as error:
            raise ConfigError(f"tasks.{source}: {error}") from error

    def _logged(self, bound: Scorer) -> Scorer:
        _log.info("reward %s", bound.signature())
        return bound


def as_result(score: Score, keys: Sequence[str] = KEYS) -> Result:
    """Return a score as numbers under `keys`, which hold the `BASIC_KEYS` and reasons."""
    result = dict.fromkeys(keys, 0.0)
    result["score"] = score.total
    result.update(score.parts)
    result["acc"] = result["correct"] = float(score.correct)
    result["unreadable"] = float(score.prediction is None)
    for code in score.reasons:
        if f"reason_{code}" in result:
            result[f"reason_{code}"] = 1.0
    return result


def _place(extra_info: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a row stands: verl adds the version of the weights, which starts with 0."""
    version, row_id, split = (extra_info.get(name) for name in ("global_steps", "id", "split"))
    return {
        "step": None if version is None else int(version) + 1,
        "id": None if row_id is None else str(row_id),
        "split": None if split is None else str(split),
    }


def _keys(reasons: Any) -> tuple[str, ...]:
    """Return the keys of every result, with the reason codes that are asked for."""
    if reasons is None:
        return KEYS
    if isinstance(reasons, str) or not isinstance(reasons, Sequence):
        raise ConfigError(f"reasons: {reasons!r} is not a list of reason codes")
    for code in reasons:
        if code not in REASONS:
            raise expected("reasons", code, REASONS)
    return (*BASIC_KEYS, *(f"reason_{code}" for code in reasons))


def _frozen(value: Any) -> Any:
    """Return settings (plain or omegaconf's) as nested tuples, which can be hashed."""
    if isinstance(value, Mapping):
        return ("map", *((str(key), _frozen(value[key])) for key in value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ("list", *map(_frozen, value))
    return value


def _thawed(value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    kind, *items = value
    if kind == "map":
        return {key: _thawed(item) for key, item in items}
    return [_thawed(item) for item in items]
