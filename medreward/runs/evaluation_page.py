"""An evaluation as the page that people look at: bars, confusion, worst errors with images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from medreward.data.check import open_parquet, rows_in
from medreward.geometry.masks import coco
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.right_answers import right_answer
from medreward.runs.evaluation import Scored
from medreward.runs.evaluation_confidence import certainties, reliability
from medreward.runs.evaluation_readings import BoxesSaid, PointsSaid, Prediction
from medreward.runs.evaluation_results import ModelComparison, TaskEvaluation
from medreward.runs.evaluation_rules import SuiteAgreement
from medreward.runs.evaluation_tables import (
    INTERVALS,
    PERMUTED,
    RULE_HEADS,
    RULES_NOTE,
    SIGNATURE_NOTE,
    comparison_note,
    interval_text,
    label_cells,
    lower_is_better,
    number_text,
    p_text,
    rule_cells,
    shared_notes,
)
from medreward.sheets.evaluation import (
    Bar,
    BarRow,
    Confusion,
    ErrorCard,
    EvaluationPage,
    ReliabilityPlot,
    TaskSection,
    TextTable,
    round_out,
)
from medreward.sheets.outlines import mask_shape
from medreward.sheets.pictures import Shape, picture, styles
from medreward.sheets.shapes import named_boxes
from medreward.sheets.view import Drawing
from medreward.task.task import Task
from medreward.text.reasons import REASONS

MOST_ERRORS = 24
_PIXELS = 384
_MOST_TEXT = 4000
_MOST_ANSWER = 300
_MOST_LABELS = 40  # of a confusion matrix


def evaluation_page(
    rows: str | Path,
    models: Mapping[str, Mapping[str, Scored]],
    evaluations: Sequence[TaskEvaluation],
    comparisons: Sequence[ModelComparison] = (),
    rules: Sequence[SuiteAgreement] = (),
    *,
    facts: Mapping[str, str],
    errors: int = MOST_ERRORS,
) -> EvaluationPage:
    """Return the page of an evaluation.

    Args:
        rows: the parquet file of rows, for the images.
        models: by name, the rows of each task with what the model said to them.
        evaluations: of all of them.
        comparisons: of each two.
        rules: how suites agree.
        facts: what the numbers come from, by name.
        errors: how many errors of each model and task are shown.
    """
    chosen = {
        (name, task): worst_errors(own.predictions, errors)
        for name, tasks in models.items()
        for task, own in tasks.items()
    }
    images = _images(rows, {one.place for own in chosen.values() for one in own})
    tasks = [*dict.fromkeys(one.task for one in evaluations)]
    sections = [
        _Section(task, models, [e for e in evaluations if e.task == task]).build(
            [one for one in comparisons if one.task == task],
            [one for one in rules if one.task == task],
            {name: chosen[name, task] for name in models},
            images,
        )
        for task in tasks
    ]
    return EvaluationPage(
        f"Evaluation of {Path(rows).name}",
        facts,
        sections,
        f"Interval: {INTERVALS}.",
        f"p: {PERMUTED}.",
        SIGNATURE_NOTE,
    )


def worst_errors(predictions: Sequence[Prediction], most: int) -> list[Prediction]:
    """Return answers that are not right: least credit first, then the surest, each reason in turn.

    Turns by reason show each way of failing, where the most frequent one would fill the page.
    """
    wrong = [one for one in predictions if not one.score.correct]
    wrong.sort(key=lambda one: (one.score.parts["accuracy"], -_sure(one), one.place))
    by_reason: dict[str, list[Prediction]] = defaultdict(list)
    for one in wrong:
        by_reason[one.score.reasons[0]].append(one)
    turns = chain.from_iterable(zip_longest(*by_reason.values()))
    return [one for one in turns if one is not None][:most]


def _sure(one: Prediction) -> float:
    given = one.confidence
    return max(given, default=0.0) if isinstance(given, tuple) else given or 0.0


def _images(rows: str | Path, places: set[int]) -> dict[int, Sequence[Any]]:
    """Return the pictures of some rows, small, by the rows' numbers."""
    found: dict[int, Sequence[Any]] = {}
    if not places:
        return found
    with open_parquet(rows) as file:
        for number, row in enumerate(rows_in(file, rows)):
            if number in places:
                found[number] = [picture(content, _PIXELS) for content in row["images"] or []]
                if len(found) == len(places):
                    break
    return found


class _Section:
    """Makes the section of one task."""

    def __init__(
        self,
        task: str,
        models: Mapping[str, Mapping[str, Scored]],
        evaluations: Sequence[TaskEvaluation],
    ) -> None:
        self.name = task
        self.several = len(models) > 1
        self.scored = {name: tasks[task] for name, tasks in models.items()}
        self.task = next(iter(self.scored.values())).bound.task
        self.whole = [one for one in evaluations if not one.part]
        self.parts = [one for one in evaluations if one.part]

    def build(
        self,
        comparisons: Sequence[ModelComparison],
        rules: Sequence[SuiteAgreement],
        errors: Mapping[str, Sequence[Prediction]],
        images: Mapping[int, Sequence[Any]],
    ) -> TaskSection:
        """Return the section."""
        first = self.whole[0]
        return TaskSection(
            task=self.name,
            rows=first.rows,
            notes=shared_notes(self.whole),
            metrics=_metric_rows(self.whole),
            baselines=[*first.baselines, *first.ceiling],
            parts=self._part_rows(),
            confusions=[*self._confusions()],
            reliability=[*self._reliability()],
            tables=[*self._tables(rules)],
            differences=dict(map(_difference_rows, comparisons)),
            readings={_pair(one): comparison_note(one) for one in comparisons},
            signatures=[*dict.fromkeys(one.signature for one in self.whole)],
            errors={
                self._shown(name): [_card(self.task, one, images) for one in own]
                for name, own in errors.items()
            },
        )

    def _shown(self, name: str) -> str:
        return name if self.several else ""

    def _part_rows(self) -> dict[str, list[BarRow]]:
        found: dict[str, list[BarRow]] = {}
        for part in dict.fromkeys(one.part for one in self.parts):
            own = [one for one in self.parts if one.part == part]
            column, _, value = part.partition("=")
            metric = own[0].metrics[0].name
            bars = [Bar(one.model, *one.metrics[0][1:]) for one in own]
            found.setdefault(f"{metric.capitalize()} by {column}", []).append(
                BarRow(f"{value} ({own[0].rows} rows)", bars)
            )
        return found

    def _confusions(self) -> Iterator[Confusion]:
        names = [self.task.answer_name(i) for i in range(len(self.task.labels))]
        for one in self.whole:
            if one.confusion and len(names) <= _MOST_LABELS:
                yield Confusion(one.model, names, one.confusion)

    def _reliability(self) -> Iterator[ReliabilityPlot]:
        for name, own in self.scored.items():
            sure = certainties(self.task, own.predictions)
            if sure is not None:
                right = np.array([one.score.correct for one in own.predictions], float)
                yield ReliabilityPlot(self._shown(name), reliability(sure, right))

    def _tables(self, rules: Sequence[SuiteAgreement]) -> Iterator[TextTable]:
        yield from _floor_table(self.whole[0])
        for one in self.whole:
            if one.labels:
                whose = f", {one.model}" if one.model else ""
                heads, rows = label_cells(one)
                rows = [[label, *map(_two_lines, own)] for label, *own in rows]
                yield TextTable(f"By label{whose}", heads, rows)
        codes = [*dict.fromkeys(code for one in self.whole for code in one.reasons)]
        if codes:
            yield TextTable(
                "Why answers are not right",
                ("reason", *(one.model or "answers" for one in self.whole), "what it means"),
                [
                    [code, *(_told(one, code) for one in self.whole), REASONS.get(code, "")]
                    for code in codes
                ],
                "An answer may have several reasons.",
            )
        if rules:
            yield TextTable(
                "Under other suites' rules",
                (*RULE_HEADS[1:2], "model", *RULE_HEADS[2:]),
                [
                    [cells[1], one.model or "completions", *cells[2:]]
                    for one in rules
                    for cells in [rule_cells(one)]
                ],
                RULES_NOTE,
            )


def _told(one: TaskEvaluation, code: str) -> str:
    """Return how often a reason is there, and how often it is why nothing was read."""
    count, unread = one.reasons.get(code, 0), one.unread.get(code, 0)
    if not unread:
        return str(count)
    return f"{count} (not read)" if unread == count else f"{count} ({unread} of them not read)"


def _two_lines(text: str) -> str:
    """Return a cell with its interval below the value, in one piece."""
    value, found, interval = text.partition(" (")
    return f"{value}\n({interval}".replace(" ", "\u00a0") if found and " to " in interval else text


def _floor_table(one: TaskEvaluation) -> Iterator[TextTable]:
    """Yield what the marks beside the bars stand for, in numbers."""
    columns = [
        *({name: number_text(v) for name, v in own.items()} for own in one.baselines.values()),
        *({m.name: interval_text(*m[1:]) for m in own} for own in one.ceiling.values()),
    ]
    names = [*dict.fromkeys(name for own in columns for name in own)]
    if names:
        yield TextTable(
            "Baselines" + " and people" * bool(one.ceiling),
            ("metric", *one.baselines, *one.ceiling),
            [[name, *(_two_lines(own.get(name, "")) for own in columns)] for name in names],
            "The marks beside the bars, in numbers.",
        )


def _metric_rows(whole: Sequence[TaskEvaluation]) -> list[BarRow]:
    names = [*dict.fromkeys(metric.name for one in whole for metric in one.metrics)]
    by_model = [(one.model, {m.name: m for m in one.metrics}) for one in whole]
    people = [{m.name: m.value for m in own} for own in whole[0].ceiling.values()]
    marks = [*whole[0].baselines.values(), *people]
    return [
        BarRow(
            name,
            [Bar(model, *own[name][1:]) for model, own in by_model if name in own],
            [values.get(name, math.nan) for values in marks],
            _direction(name),
        )
        for name in names
    ]


def _difference_rows(one: ModelComparison) -> tuple[str, list[BarRow]]:
    ends = [abs(end) for own in one.metrics for end in (own.value, own.low, own.high)]
    most = round_out(
        max((end for end in ends if math.isfinite(end)), default=1.0) or 1.0, down=False
    )
    rows = [
        BarRow(
            own.name,
            [Bar("", own.value, own.low, own.high, (p_text(own.p), p_text(own.adjusted)))],
            note=_direction(own.name),
            span=(-most, most),
        )
        for own in one.metrics
    ]
    return _pair(one), rows


def _pair(one: ModelComparison) -> str:
    return f"{one.one} minus {one.other}"


def _direction(metric: str) -> str:
    return "lower is better" if lower_is_better(metric) else ""


# Errors


def _card(task: Task, one: Prediction, images: Mapping[int, Sequence[Any]]) -> ErrorCard:
    pictures = images.get(one.place, ())
    shapes = _shapes(task, one)
    drawings = [
        Drawing(
            own,
            shapes if i == 0 else (),
            f"image {i + 1} of {len(pictures)} of row {one.id}",
        )
        for i, own in enumerate(pictures)
    ]
    read = one.score.prediction
    facts = dict(one.columns)
    if not isinstance(one.confidence, tuple) and one.confidence is not None:
        facts["confidence"] = number_text(one.confidence)
    return ErrorCard(
        id=one.id,
        facts=facts,
        drawings=drawings,
        truth=_truth(task, one),
        read=None if read is None else _read(one, read),
        unread=one.score.unread,
        reasons=one.score.reasons,
        completion=one.completion[:_MOST_TEXT],
    )


def _truth(task: Task, one: Prediction) -> str:
    """Return the right answer as people read it; of places, how many there are."""
    if isinstance(one.said, BoxesSaid):
        return _counted(len(one.said.true), "box", "boxes")
    if isinstance(one.said, PointsSaid):
        return _counted(len(one.said.places), "place", "places")
    if kind_of(task).target_type is TargetType.MASK:
        return _counted(int(coco().area(one.target.rle())), "pixel", "pixels")
    return _cut(right_answer(task, one.target))


def _read(one: Prediction, read: str) -> str:
    if isinstance(one.said, BoxesSaid):
        outside = one.said.total - len(one.said.boxes)
        more = f", {outside} of them not in the image, or of no label" if outside else ""
        return f"{_counted(one.said.total, 'box', 'boxes')}{more}"
    if isinstance(one.said, PointsSaid):
        return _counted(len(one.said.points), "point", "points")
    if isinstance(one.said, dict) and "counts" in one.said:
        return _counted(int(coco().area(one.said)), "pixel", "pixels")
    return _cut(read)


def _counted(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}" if count else "nothing"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_ANSWER else f"{text[:_MOST_ANSWER]} …"


def _shapes(task: Task, one: Prediction) -> list[Shape]:
    """Return what is true and what was said, as shapes over a picture."""
    place = task.place_field
    if place is not None and isinstance(one.said, Mapping) and place in one.said:
        return _shapes(task.fields[place], one.said[place])
    if kind_of(task).target_type is TargetType.MASK:
        masks = [
            mask_shape(one.target.rle(), "", 0, "true mask"),
            one.said and mask_shape(one.said, "mask", 1, "predicted"),
        ]
        return [shape for shape in masks if shape]
    names = [label.name for label in task.labels]
    true = named_boxes(kind_of(task).to_text(task, one.target), task.kind, task) or []
    return [*true, *_predicted(one.said, names)]


def _predicted(said: Any, names: Sequence[str]) -> list[Shape]:
    style = styles(names)
    if isinstance(said, BoxesSaid):
        pairs = [(box, "" if label is None else names[label]) for box, label in said.boxes]
        return [Shape(box, name, style.get(name, 1), "predicted") for box, name in pairs]
    if isinstance(said, PointsSaid):
        return [Shape((x, y, x, y), "", 1, "predicted") for x, y in said.points]
    return []
