"""What a completion says, in the form in which its metrics compare it with the truth.

A `Score` says what an answer earns; for IoU at thresholds, errors of numbers and the like, the
answer itself is needed: boxes in pixels, a mask, a number. Each type of target has one reader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from medreward.files.reading import parse_json
from medreward.geometry.consensus import consensus
from medreward.geometry.places import BoxPlaces, MaskPlaces, Places, places_of
from medreward.geometry.regions import BoxTarget, TrueBox
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.boxes.match import place_boxes
from medreward.kinds.boxes.series import SeriesTarget, place_series, side_by_side
from medreward.kinds.fields import FieldsTarget, split_fields
from medreward.kinds.number import Quantity, read_quantity
from medreward.scoring.scorer import Score, Scorer
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

NO_VALUE = "(no value)"  # what an empty field of a row is called


class SampleCounts(NamedTuple):
    """What the samples of one row say together.

    Attributes:
        total: how many there are.
        agreeing: how many say what most of them say; those that cannot be read agree with none.
        right: how many are right.
        credit: their mean R_accuracy.
        unread: how many cannot be read.
    """

    total: int
    agreeing: int
    right: int
    credit: float
    unread: int


class Prediction(NamedTuple):
    """A scored completion of a row.

    Attributes:
        id: the row's.
        target: the row's target, parsed.
        score: what the completion earns, and why.
        cluster: what it is drawn together with: its images.
        columns: values by which results are divided.
        said: what the answer was read as, in the form of its type of target (`READERS`).
        completion: the text.
        answer: the answer in it, None where there is none.
        confidence: how sure the model was of its answer; of each label, in the card's order; None
            where that is not known.
        place: the number of the row in its file.
        samples: what several samples say together, of which this is the most frequent answer.
        knowledge: what the prompt held; None: not known.
        patient: whose the row is; "(no value)" where that is not known.
    """

    id: str
    target: Any
    score: Score
    cluster: str = ""
    columns: Mapping[str, str] = {}
    said: Any = None
    completion: str = ""
    answer: str | None = None
    confidence: float | tuple[float, ...] | None = None
    place: int = -1
    samples: SampleCounts | None = None
    knowledge: str | None = None
    patient: str = NO_VALUE


class BoxesSaid(NamedTuple):
    """The boxes of an answer beside the true ones, in pixels of the stored image.

    Attributes:
        boxes: those that lie in the image and whose label is known.
        total: how many there are, with those that cannot be right.
        true: the true ones: of several annotators the consensus where the settings ask for it,
            else the first one's.
    """

    boxes: tuple[TrueBox, ...]
    total: int
    true: tuple[TrueBox, ...]


class PointsSaid(NamedTuple):
    """The points of an answer, in pixels of the stored image, and the places that they may hit."""

    points: tuple[tuple[float, float], ...]
    places: Places


def predict(
    bound: Scorer, name: str, completion: str, target: Any, knowledge: str | None = None
) -> Prediction:
    """Return a completion scored and read.

    Args:
        bound: the scorer of the row.
        name: the row's id.
        completion: the text.
        target: the row's target, parsed.
        knowledge: what the prompt held.
    """
    score = bound.score(completion, target, knowledge)
    answer = bound.format.parse(completion).answer
    said = read_answer(bound.task, bound.settings, answer, target, score)
    return Prediction(
        name, target, score, said=said, completion=completion, answer=answer, knowledge=knowledge
    )


def read_answer(
    task: Task, settings: RewardSettings, answer: str | None, target: Any, score: Score
) -> Any:
    """Return what an answer says, as the metrics of its type of target take it."""
    return READERS[kind_of(task).target_type](task, settings, answer, target, score)


def label_of(task: Task, score: Score) -> int:
    """Return the index of the label that was read; behind the last one for none."""
    if score.prediction is None:
        return len(task.labels)
    names = {task.answer_name(i): i for i in range(len(task.labels))}
    return names.get(score.prediction, len(task.labels))


def set_of(task: Task, score: Score) -> frozenset[int]:
    """Return the labels that were read; none if the answer is unread.

    A prediction lists their names in the card's order, and a name may have a comma.
    """
    rest, found = score.prediction or "", set()
    for i, label in enumerate(task.labels):
        if rest == label.name or rest.startswith(f"{label.name}, "):
            found.add(i)
            rest = rest[len(label.name) + 2 :]
    return frozenset(found)


def labels_said(task: Task, score: Score) -> frozenset[int]:
    """Return the labels that an answer names, of one label or a set."""
    if kind_of(task).target_type is TargetType.LABELS:
        return set_of(task, score)
    return frozenset({label_of(task, score)} - {len(task.labels)})


def _nothing(
    task: Task, settings: RewardSettings, answer: str | None, target: Any, score: Score
) -> None:
    """Return nothing: the score's prediction says it all."""


def _boxes(
    task: Task, settings: RewardSettings, answer: str | None, target: BoxTarget, score: Score
) -> BoxesSaid:
    found = place_boxes(answer, target, task, settings)
    pairs = zip(found.boxes, found.labels, strict=True)
    return BoxesSaid(
        tuple(TrueBox(box, label) for box, label in pairs),
        found.total,
        _true_boxes(target, settings),
    )


def _series(
    task: Task, settings: RewardSettings, answer: str | None, target: SeriesTarget, score: Score
) -> BoxesSaid:
    """Return the boxes on all images as if these lay side by side."""
    found = place_series(answer, target, task, settings)
    said, true = side_by_side(
        [[*map(TrueBox, one.boxes, one.labels)] for one in found],
        [image.boxes for image in target.images],
    )
    return BoxesSaid(said, sum(one.total for one in found), true)


def _true_boxes(target: BoxTarget, settings: RewardSettings) -> tuple[TrueBox, ...]:
    is_merged = settings.annotators == "consensus" and len(target.annotators) > 1
    return consensus(target.annotators) if is_merged else target.boxes


def _points(
    task: Task,
    settings: RewardSettings,
    answer: str | None,
    target: BoxTarget | MaskPlaces,
    score: Score,
) -> PointsSaid:
    places = (
        places_of(target)
        if isinstance(target, MaskPlaces)
        else BoxPlaces([box for box, _ in _true_boxes(target, settings)])
    )
    return PointsSaid(tuple((x, y) for x, y in parse_json(score.prediction or "[]")), places)


def _mask(
    task: Task, settings: RewardSettings, answer: str | None, target: Any, score: Score
) -> dict[str, Any] | None:
    """Return the mask as pycocotools takes it, None where none was read."""
    if score.prediction is None:
        return None
    found = parse_json(score.prediction)
    return {"size": found["size"], "counts": found["counts"].encode("ascii")}


def _question(
    task: Task, settings: RewardSettings, answer: str | None, target: Any, score: Score
) -> Quantity | None:
    """Return the number of an answer to a question for one."""
    if Trait.NUMBER not in task.traits or score.prediction is None:
        return None
    return read_quantity(str(answer), task)[0]


def _fields(
    task: Task, settings: RewardSettings, answer: str | None, target: FieldsTarget, score: Score
) -> Mapping[str, Prediction]:
    """Return a prediction of each field by itself."""
    texts = split_fields(answer, task).texts if answer and score.prediction is not None else {}
    found = {}
    for (name, field), true in zip(task.fields.items(), target.targets, strict=True):
        text = texts.get(name)
        verdict = kind_of(field).reward(text, true, field, field.reward)
        own = Score(
            total=verdict.value,
            parts={"accuracy": verdict.value},
            reasons=(verdict.reason, *verdict.notes),
            signature=score.signature,
            correct=verdict.reason == "correct",
            prediction=verdict.prediction,
            unread=verdict.unread,
        )
        said = read_answer(field, field.reward, text, true, own)
        found[name] = Prediction(name, true, own, said=said, answer=text)
    return found


READERS: Mapping[TargetType, Callable[[Task, RewardSettings, str | None, Any, Score], Any]] = {
    TargetType.LABEL: _nothing,
    TargetType.LABELS: _nothing,
    TargetType.QUESTION: _question,
    TargetType.FINDINGS: _nothing,
    TargetType.FIELDS: _fields,
    TargetType.BOXES: _boxes,
    TargetType.SERIES: _series,
    TargetType.MASK: _mask,
    TargetType.PLACES: _points,
}


def several_annotators(predictions: Sequence[Prediction]) -> int:
    """Return how many rows have the boxes of several annotators."""
    return sum(len(getattr(one.target, "annotators", ())) > 1 for one in predictions)
