"""Which rows of a parquet file a sheet shows, in which order, and the completions of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from medreward.checks import one_of, whole
from medreward.data.check import check_shape, open_parquet
from medreward.data.parquet import batches_of, reading_parquet
from medreward.errors import ConfigError, expected
from medreward.files.reading import parse_json
from medreward.kinds.right_answers import right_answer
from medreward.kinds.truth import target_of
from medreward.scoring.groups import zero_variance_share
from medreward.scoring.trace import TraceRow, read_rows
from medreward.task.task import Task
from medreward.task.traits import Trait

ORDERS = {
    "file": "as in the file",
    "worst": "lowest mean reward first",
    "best": "highest mean reward first",
    "zero-variance": "first those whose completions all earn the same, from which GRPO learns "
    "nothing; then the lowest mean reward",
}
ROW_FIELDS = ("id", "task", "kind", "split", "target")
ANSWER_FIELDS = ("reason", "correct", "step", "prediction")
_LIGHT = ["data_source", "ability", "reward_model", "extra_info"]
MOST = 1000


@dataclass(frozen=True)
class RowChoice:
    """What to show.

    Attributes:
        limit: at most so many rows, up to `MOST`.
        filters: (field, pattern) pairs that all have to match; ``*`` in a pattern stands for
            anything. Fields of a row: `ROW_FIELDS`; of a completion: `ANSWER_FIELDS`, which leave
            out other completions, and rows of which none is left.
        order: one of `ORDERS`; all but "file" need a trace.

    Raises:
        ConfigError: if a value is not allowed.
    """

    limit: int = 50
    filters: Sequence[tuple[str, str]] = ()
    order: str = "file"

    def __post_init__(self) -> None:
        whole("limit", self.limit, 1, MOST)
        one_of("sort", self.order, ORDERS)
        for name, _ in self.filters:
            if name not in (*ROW_FIELDS, *ANSWER_FIELDS):
                raise expected("filter", name, (*ROW_FIELDS, *ANSWER_FIELDS))


class Entry(NamedTuple):
    """A row that is shown: its place in the file, its content, its completions."""

    number: int
    row: Mapping[str, Any]
    answers: Sequence[TraceRow]


@dataclass(frozen=True)
class RowSelection:
    """The rows that are shown, and of how many.

    Attributes:
        entries: the rows.
        total: rows in the file.
        matching: those that the filters leave.
        answers: completions in the trace, None without a trace.
        strangers: completions of which the file has no row.
    """

    entries: Sequence[Entry]
    total: int
    matching: int
    answers: int | None = None
    strangers: int = 0


@dataclass
class _Light:
    """What is known of a row before its images are read."""

    number: int
    facts: Mapping[str, str]
    answers: list[TraceRow] = field(default_factory=list)


def choose_rows(
    path: str | Path, choice: RowChoice, trace: str | Path | None = None
) -> RowSelection:
    """Return the rows to show.

    Raises:
        ConfigError: if a file cannot be read, nothing matches, or no completion belongs to a row.
    """
    if trace is None and (choice.order != "file" or _names(choice) & set(ANSWER_FIELDS)):
        raise ConfigError("the order and filters by completions need a trace (--trace)")
    lights = _light_rows(path)
    answers = None if trace is None else _answers(trace)
    strangers = 0 if answers is None else _joined(lights, answers, path, trace)
    kept = [light for light in map(_filter(choice), lights) if light is not None]
    if not kept:
        raise ConfigError(f"{path}: no row matches {_said(choice)}")
    shown = _ordered(kept, choice.order)[: choice.limit]
    rows = _full_rows(path, [light.number for light in shown])
    return RowSelection(
        entries=[Entry(light.number, rows[light.number], light.answers) for light in shown],
        total=len(lights),
        matching=len(kept),
        answers=None if answers is None else sum(map(len, answers.values())),
        strangers=strangers,
    )


def facts_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a row that can be filtered by."""
    info = row.get("extra_info") or {}
    return {
        "id": str(info.get("id") or ""),
        "task": str(row["data_source"]),
        "kind": str(row.get("ability") or ""),
        "split": str(info.get("split") or ""),
        "target": str((row["reward_model"] or {}).get("ground_truth")),
    }


def shown_fields(truth: str, task: Task | None) -> dict[str, str]:
    """Return the right answer in each field of a target but its place; none of another kind."""
    if task is None or Trait.FIELDS not in task.traits:
        return {}
    try:
        own = parse_json(truth)
        return {
            name: right_answer(field, target_of(field, own[name]))
            for name, field in task.fields.items()
            if name != task.place_field
        }
    except (ConfigError, LookupError, TypeError):  # it is shown as it stands in the row
        return {}


def _light_rows(path: str | Path) -> list[_Light]:
    with open_parquet(path) as file, reading_parquet(path):
        columns = [name for name in _LIGHT if name in file.schema_arrow.names]
        rows = file.read(columns=columns).to_pylist()
    if not rows:
        raise ConfigError(f"{path}: there are no rows")
    for i, row in enumerate(rows):
        _refuse_misshapen(path, i, row)
    return [_Light(i, facts_of(row)) for i, row in enumerate(rows)]


def _refuse_misshapen(path: str | Path, number: int, row: Mapping[str, Any]) -> None:
    for problem in check_shape(row):
        raise ConfigError(f"{path}: row {number}: {problem}")


def _full_rows(path: str | Path, numbers: Iterable[int]) -> dict[int, Mapping[str, Any]]:
    wanted, start = set(numbers), 0
    rows: dict[int, Mapping[str, Any]] = {}
    with open_parquet(path) as file:
        for batch in batches_of(file, path):
            for i in wanted.intersection(range(start, start + len(batch))):
                rows[i] = batch[i - start]
                _refuse_misshapen(path, i, rows[i])
            start += len(batch)
    return rows


def _answers(trace: str | Path) -> dict[str, list[TraceRow]]:
    answers: dict[str, list[TraceRow]] = defaultdict(list)
    for row in read_rows(trace):
        try:
            answer = TraceRow.from_dict(row)
        except ConfigError as error:
            raise ConfigError(f"{trace}, line {row['line']}: {error}") from error
        answers[str(answer.id)].append(answer)
    return answers


def _joined(
    lights: Sequence[_Light],
    answers: Mapping[str, list[TraceRow]],
    path: str | Path,
    trace: str | Path | None,
) -> int:
    """Give each row its completions; return how many belong to none."""
    strangers = set(answers)
    for light in lights:
        light.answers = answers.get(light.facts["id"], [])
        strangers.discard(light.facts["id"])
    if len(strangers) == len(answers):
        known = ", ".join(sorted(strangers)[:3]) or "(it is empty)"
        raise ConfigError(f"{trace}: none of its ids is a row of {path}; it has {known}, …")
    return sum(len(answers[name]) for name in strangers)


def _filter(choice: RowChoice) -> Callable[[_Light], _Light | None]:
    of_row = [pair for pair in choice.filters if pair[0] in ROW_FIELDS]
    of_answer = [pair for pair in choice.filters if pair[0] in ANSWER_FIELDS]
    needs_answers = of_answer or choice.order != "file"

    def kept(light: _Light) -> _Light | None:
        if not all(fnmatchcase(light.facts[name], pattern) for name, pattern in of_row):
            return None
        light.answers = [
            answer
            for answer in light.answers
            if all(_matches(answer, name, pattern) for name, pattern in of_answer)
        ]
        return light if light.answers or not needs_answers else None

    return kept


def _matches(answer: TraceRow, name: str, pattern: str) -> bool:
    if name == "reason":
        return any(fnmatchcase(reason, pattern) for reason in answer.reasons)
    value = getattr(answer, name)
    shown = {None: "none", True: "true", False: "false"}.get(value, str(value))
    return fnmatchcase(shown, pattern)


def _ordered(lights: Sequence[_Light], order: str) -> list[_Light]:
    if order == "file":
        return list(lights)
    if order == "zero-variance":
        return sorted(lights, key=lambda light: (-_dead_share(light.answers), _mean(light.answers)))
    sign = 1 if order == "worst" else -1
    return sorted(lights, key=lambda light: sign * _mean(light.answers))


def _mean(answers: Sequence[TraceRow]) -> float:
    totals = [answer.total for answer in answers if answer.total is not None]
    return sum(totals) / len(totals) if totals else 0.0


def _dead_share(answers: Sequence[TraceRow]) -> float:
    """Return the share of a row's groups, of two completions at least, without any variance."""
    ordered = sorted(answers, key=_group)
    groups = [
        [answer.total or 0.0 for answer in group] for _, group in groupby(ordered, key=_group)
    ]
    groups = [group for group in groups if len(group) > 1]
    return zero_variance_share(groups) if groups else 0.0


def _group(answer: TraceRow) -> tuple[int, str]:
    return answer.step or 0, answer.group or ""


def _names(choice: RowChoice) -> set[str]:
    return {name for name, _ in choice.filters}


def _said(choice: RowChoice) -> str:
    return " and ".join(f"{name}={pattern}" for name, pattern in choice.filters) or "the choice"
