"""The ground truth of a rendered image, and what it is counted and shown as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

from medreward.data.picture import picture_size
from medreward.data.render import Rendered
from medreward.data.sources.boxes import by_reader
from medreward.data.sources.record import NamedBox, Record
from medreward.errors import ConfigError
from medreward.files.reading import parse_json
from medreward.geometry.frames import qwen_resized
from medreward.geometry.regions import BoxTarget, check_size
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.boxes.series import SeriesTarget
from medreward.kinds.choice import ChoiceTarget
from medreward.kinds.short_answer import is_closed
from medreward.kinds.truth import ground_truth, target_of, target_size
from medreward.prepare.masks import mask_names, mask_truth
from medreward.task.task import Task
from medreward.task.traits import Trait

# Factor, least and largest area of a Qwen processor; None: what it makes of images is not told.
Resize: TypeAlias = tuple[int, int, int] | None


class FinishedTarget(NamedTuple):
    """A row's ground truth, the names that it is counted by, and a title for the contact sheet.

    Boxes are those in the ground truth that the image as rendered does not have.
    """

    truth: str
    names: list[str]
    title: str
    boxes: tuple[NamedBox, ...] = ()


def finish_target(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    """Return the ground truth of a settled record, now that the size of its image is known.

    Args:
        task: the task.
        record: with a target as the task knows it.
        image: the record's image as it was rendered.
        resize: gives the image's size after the processor's resize (`qwen_resized`), or None.

    Raises:
        ConfigError: if the target does not fit the image.
    """
    try:
        return FINISHERS[kind_of(task).target_type](task, record, image, resize)
    except ConfigError as error:
        raise ConfigError(f"{record.where}: {error}") from error


def _finish_label(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    truth = str(record.label)
    return FinishedTarget(truth, [truth], _shown(task, [truth]))


def _finish_question(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    """Count the letters of right options and yes and no; other answers are of no closed set."""
    truth = str(record.label)
    target = task.parse_target(target_of(task, truth))
    answer = kind_of(task).right(task, target, task.reward)
    return FinishedTarget(truth, _counted_answers(task, target, answer), answer)


def _counted_answers(task: Task, target: Any, answer: str) -> list[str]:
    """Return what a right answer to a question is counted as."""
    if isinstance(target, ChoiceTarget):
        return [*target.letters]
    if Trait.MEASURED in task.traits:
        return ["(reports)"]
    if Trait.NUMBER in task.traits:
        return ["(numbers)"]
    closed = is_closed(kind_of(task).row_task(task, target))
    return [answer.lower() if closed else "(other answers)"]


def _finish_findings(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    truth = str(record.label)
    named = [f"{name}: {state}" for name, state in parse_json(truth).items()]
    return FinishedTarget(truth, named, "; ".join(named))


def _finish_fields(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    """Count the texts of those fields that name labels; a place is in pixels of the row's image.

    Boxes that do not say of what size their image is get the size of the row's.
    """
    truth = str(record.label)
    size = target_size(task, truth)
    if size is not None:
        check_size(size, image.size)
    target = task.parse_target(target_of(task, truth))
    sized = [_sized(true, image, resize) for true in target.targets]
    truth = kind_of(task).to_text(task, type(target)(tuple(sized)))
    task.parse_target(target_of(task, truth))  # now that the size is known: no box leaves the image
    counted, shown, boxes = [], [], []
    for (name, field), true in zip(task.fields.items(), sized, strict=True):
        if isinstance(true, BoxTarget):
            what = [f"{len(true.boxes)} boxes"]
            answer = "1 box" if len(true.boxes) == 1 else what[0]
            boxes += [NamedBox(name, box.box) for box in true.boxes]
        else:
            answer = kind_of(field).right(field, true, field.reward)
            is_open = kind_of(field).target_type is TargetType.QUESTION
            what = _counted_answers(field, true, answer) if is_open else [answer]
        counted += [f"{name}: {one}" for one in what]
        shown.append(f"{name}: {answer}")
    return FinishedTarget(truth, counted, "; ".join(shown), tuple(boxes))


def _sized(true: Any, image: Rendered, resize: Resize) -> Any:
    """Return a target of a field, with the size of its image if it is of boxes on one."""
    if not isinstance(true, BoxTarget) or not image.png:
        return true
    size = (float(image.size[0]), float(image.size[1]))
    seen = _seen(image.size, resize)
    return replace(true, size=size, seen=true.seen if seen is None else seen)


def _finish_labels(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    truth = str(record.label)
    nothing = task.no_finding[0] if task.no_finding else "(none)"
    names = parse_json(truth)
    return FinishedTarget(truth, names or [nothing], _shown(task, names) or nothing)


def _shown(task: Task, names: Sequence[str]) -> str:
    """Return the names of labels as people read them; of grades, the numbers that they are."""
    places = (task.index_of_name.get(name) for name in names)
    return ", ".join(
        name if at is None else task.shown_name(at) for name, at in zip(names, places, strict=True)
    )


def _finish_boxes(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    drawn = [
        [{"box": box, "label": name} for name, box in boxes]
        for _, boxes in by_reader(image.boxes, image.readers)
    ]
    several = {"annotators": drawn} if len(drawn) > 1 else {"boxes": drawn[0]}
    seen = _seen(image.size, resize)
    truth = ground_truth(task, {**several, "size": image.size, "seen": seen})
    whose = f" by {len(drawn)} readers" if len(drawn) > 1 else ""
    names = [box.name for box in image.boxes]
    shown = ", ".join(f"{n} {name}" for name, n in Counter(names).items() if name)
    title = f"boxes: {shown or len(names)}{whose}"
    return FinishedTarget(truth, names, title)


def _finish_series(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    """Give the boxes of each image, which are in its pixels, its size."""
    target = task.parse_target(target_of(task, str(record.label)))
    sizes = [picture_size(png) for png in image.pngs]
    if sizes and len(sizes) != len(target.images):
        raise ConfigError(
            f"its target has the boxes of {len(target.images)} images, and there are {len(sizes)}"
        )
    for number, (boxes, size) in enumerate(zip(target.images, sizes, strict=False), start=1):
        try:
            check_size(boxes.size, size)
        except ConfigError as error:
            raise ConfigError(f"image {number}: {error}") from error
    sized = [
        replace(boxes, size=size, seen=_seen(size, resize) or boxes.seen)
        for boxes, size in zip(target.images, sizes, strict=False)
    ]
    truth = ground_truth(task, SeriesTarget(tuple(sized)) if sized else target)
    task.parse_target(target_of(task, truth))  # now that sizes are known: no box leaves its image
    labels = [box.label for one in target.images for box in one.boxes]
    names = ["" if label is None else task.labels[label].name for label in labels]
    return FinishedTarget(truth, names, f"boxes: {len(names)} on {len(target.images)} images")


def _finish_mask(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    truth = mask_truth(task, str(record.label), image.size, _seen(image.size, resize))
    names = mask_names(task, truth)
    return FinishedTarget(truth, names, names[0] if len(names) == 1 else f"masks: {len(names)}")


def _finish_places(task: Task, record: Record, image: Rendered, resize: Resize) -> FinishedTarget:
    finish = _finish_mask if record.boxes is None else _finish_boxes
    return finish(task, record, image, resize)


def _seen(size: tuple[int, int], resize: Resize) -> tuple[int, int] | None:
    return resize and qwen_resized(size, *resize)


FINISHERS: Mapping[TargetType, Callable[[Task, Record, Rendered, Resize], FinishedTarget]] = {
    TargetType.QUESTION: _finish_question,
    TargetType.FINDINGS: _finish_findings,
    TargetType.FIELDS: _finish_fields,
    TargetType.LABEL: _finish_label,
    TargetType.LABELS: _finish_labels,
    TargetType.BOXES: _finish_boxes,
    TargetType.SERIES: _finish_series,
    TargetType.MASK: _finish_mask,
    TargetType.PLACES: _finish_places,
}
