"""Boxes on several images of one row: each box says in which image it is.

An image is a part of a box's place: boxes of two images never match. With q the sum of matched
quality over all images (`medreward.kinds.boxes.match`)::

    R = q / max(number predicted, number true)

in [0, 1], both numbers over all images, so that a box on the wrong image costs as a surplus and a
missing one. With nothing to find in any image, the answer that says so earns 1 and any box 0.

An answer is a JSON list of boxes with their images, ``[{"image": 2, "bbox_2d": [1, 2, 30, 40]}]``,
a JSON object of images with their boxes, or a line an image, ``Image 2: [[1, 2, 30, 40]]``. Images
are numbered from 1 in the order of the prompt; one that is not named has no box. A box without an
image, or with one that is not there, leaves the answer unread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json
from medreward.geometry.regions import (
    Box,
    BoxTarget,
    Size,
    TrueBox,
    box_json,
    frame_of,
    list_boxes,
    parse_boxes,
    short,
)
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.box_targets import with_nothing_there
from medreward.kinds.boxes.match import box_notes, in_pixels, matched_quality
from medreward.kinds.boxes.read import MAX_LENGTH, BoxAnswer, label_of_box, read_boxes
from medreward.kinds.honest import SAMPLE_SIZE, Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.place_samples import moved_right
from medreward.kinds.reading import unfenced, unreadable
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

MAX_IMAGES = 64
_IMAGE_KEYS = frozenset(("image", "image_id", "image_index", "image_number"))
_NUMBERED = re.compile(r"(?:(?:image|img)(?:\s{0,2}#?|[_-]))?([1-9]\d?)", re.IGNORECASE)
_LINE = re.compile(
    r"[\s*•-]{0,9}(?:image|img)(?:\s{0,2}#?|[_-])(?P<number>\d{1,3})[*_]{0,3}\s{0,9}[:=][*_]{0,3}"
    r"(?P<rest>.*)",
    re.IGNORECASE,
)


class SeriesTarget(NamedTuple):
    """The boxes on each image of a row, in the row's order."""

    images: tuple[BoxTarget, ...]


class _Split(NamedTuple):
    """What an answer says of each image by its index, or why it cannot be taken apart."""

    texts: Mapping[int, str] = {}
    reason: str = ""
    unread: str = ""


def series_reward(
    answer: str | None, target: SeriesTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return R in [0, 1] of the boxes on all images in `answer`.

    Raises:
        ConfigError: if the target lacks the size that the frame needs.

    >>> task = Task("ct", kind="multi_image_localisation")
    >>> target = task.parse_target({"images": [[], [[0, 0, 10, 5]]]})
    >>> def earned(answer):
    ...     return series_reward(answer, target, task, RewardSettings()).value
    >>> earned('[{"image": 2, "bbox_2d": [0, 0, 10, 10]}]'), earned("Image 1: [[0, 0, 10, 5]]")
    (0.5, 0.0)
    """
    frames = [frame_of(settings.frame, image) for image in target.images]
    found = read_series(answer, target, task)
    failed = next((one for one in found if one.reason), None)
    if failed is not None:
        return Verdict(0.0, failed.reason, unread=failed.unread)
    matched, notes = 0.0, set[str]()
    placed: list[BoxAnswer] = []
    for one, image, frame in zip(found, target.images, frames, strict=True):
        placed.append(in_pixels(one, frame, task))
        matched += matched_quality(
            placed[-1], image.boxes, frame, settings.box_quality, settings.box_threshold
        )
        notes.update(box_notes(one, image, frame, settings))
    given, true = sum(one.total for one in placed), sum(len(i.boxes) for i in target.images)
    value = matched / max(given, true) if given or true else 1.0
    value = value if value >= 1.0 else min(value, BEST_WRONG)
    prediction = json.dumps(_listed(placed, task), ensure_ascii=False)
    return Verdict(value, _reason(value, given, true), prediction, tuple(sorted(notes)))


def read_series(answer: str | None, target: SeriesTarget, task: Task) -> list[BoxAnswer]:
    """Return the boxes that an answer gives of each image, in the answer's frame.

    Where it cannot be taken apart, there is one `BoxAnswer` alone, with the reason.

    >>> task = Task("ct", kind="multi_image_localisation")
    >>> target = task.parse_target({"images": [[], []]})
    >>> [found.boxes for found in read_series("Image 2: [[1, 2, 3, 4]]", target, task)]
    [(), [(1, 2, 3, 4)]]
    >>> read_series("[[1, 2, 3, 4]]", target, task)[0].reason
    'image_missing'
    """
    reason = unreadable(answer, MAX_LENGTH)
    split = _Split(reason=reason) if reason else _split(str(answer), len(target.images), task)
    if split.reason:
        return [BoxAnswer(reason=split.reason, unread=split.unread)]
    return [
        read_boxes(split.texts[i], task) if i in split.texts else BoxAnswer()
        for i in range(len(target.images))
    ]


def place_series(
    answer: str | None, target: SeriesTarget, task: Task, settings: RewardSettings
) -> list[BoxAnswer]:
    """Return the boxes of each image in pixels, as `series_reward` compares them.

    Those that leave the image, or whose label is unknown, are in `total` only. There are none of
    any image where the answer cannot be read.
    """
    found = read_series(answer, target, task)
    if any(one.reason for one in found):
        return [BoxAnswer()] * len(target.images)
    return [
        in_pixels(one, frame_of(settings.frame, image), task)
        for one, image in zip(found, target.images, strict=True)
    ]


def side_by_side(
    boxes: Sequence[Sequence[TrueBox]], others: Sequence[Sequence[TrueBox]]
) -> tuple[tuple[TrueBox, ...], tuple[TrueBox, ...]]:
    """Return the boxes of several images, and others on the same ones, on one image.

    No box of an image touches one of another, and none changes its size: their IoU is what it was,
    and 0 between two images.

    >>> one, other = TrueBox((0, 0, 4, 4)), TrueBox((2, 0, 6, 4))
    >>> [box.box for box in side_by_side([[one], [one]], [[other], []])[0]]
    [(0.0, 0, 4.0, 4), (7.0, 0, 11.0, 4)]
    """
    moved: tuple[list[TrueBox], list[TrueBox]] = ([], [])
    offset = 0.0
    for each in zip(boxes, others, strict=True):
        every = [box.box for side in each for box in side]
        left = offset - min([0.0, *(box[0] for box in every)])
        for side, kept in zip(each, moved, strict=True):
            for (x1, y1, x2, y2), label in side:
                kept.append(TrueBox((x1 + left, y1, x2 + left, y2), label))
        offset = left + max([0.0, *(box[2] for box in every)]) + 1.0
    return tuple(moved[0]), tuple(moved[1])


def _split(answer: str, count: int, task: Task) -> _Split:
    """Return what an answer says of each of `count` images."""
    text = unfenced(answer)
    if text[:1] not in ("[", "{"):
        return _from_lines(text, count, task)
    try:
        content = parse_json(text)
    except ConfigError:  # not JSON, or with a key twice
        content = {}
    if content == {}:
        return _Split(reason="boxes_unreadable")
    if isinstance(content, dict) and _IMAGE_KEYS.isdisjoint(content):
        said = ((key, v if isinstance(v, str) else _json(v)) for key, v in content.items())
        return _by_image(said, count)
    listed: dict[Any, list[Any]] = {}
    for entry in [content] if isinstance(content, dict) else content:
        keys = _IMAGE_KEYS.intersection(entry) if isinstance(entry, dict) else ()
        if len(keys) != 1:
            return _Split(reason="image_missing")
        (key,) = keys
        rest = {name: value for name, value in entry.items() if name != key}
        listed.setdefault(json.dumps(entry[key]), []).append(rest)
    return _by_image(((parse_json(key), _json(boxes)) for key, boxes in listed.items()), count)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # labels as they were written


def _from_lines(text: str, count: int, task: Task) -> _Split:
    """Take an answer apart that has a line an image, or says that nothing is in any."""
    said: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        found = _LINE.fullmatch(line)
        if found:
            said.append((found["number"], [found["rest"]]))
        elif said:
            said[-1][1].append(line)
        elif line.strip():
            whole = read_boxes(text, task)
            reason = whole.reason or ("image_missing" if whole.total else "")
            return _Split(reason=reason, unread=whole.unread)
    return _by_image(((number, "\n".join(lines)) for number, lines in said), count)


def _by_image(said: Iterable[tuple[object, str]], count: int) -> _Split:
    """Return what is said of each image by its index; each may be named once."""
    texts: dict[int, str] = {}
    for image, text in said:
        index = _index(image)
        if index is None or not 0 <= index < count:
            return _Split(reason="image_unknown", unread=str(image))
        if index in texts:
            return _Split(reason="image_twice", unread=str(image))
        texts[index] = text
    return _Split(texts)


def _index(image: object) -> int | None:
    """Return the index of an image that an answer names by its number: 2, "2", "image 2"."""
    if isinstance(image, str):
        found = _NUMBERED.fullmatch(image.strip())
        return int(found[1]) - 1 if found else None
    return image - 1 if isinstance(image, int) and not isinstance(image, bool) else None


def _reason(value: float, given: int, true: int) -> str:
    if value >= 1.0:
        return "correct"
    if value > 0:
        return "box_partial"
    return "box_surplus" if given and not true else "box_missed"


def _listed(placed: Sequence[BoxAnswer], task: Task) -> list[Any]:
    """Return boxes in pixels, each with the number of its image, as JSON has them."""
    names = [label.name for label in task.labels]
    return [
        {"image": number, **(entry if isinstance(entry, dict) else {"box": entry})}
        for number, one in enumerate(placed, start=1)
        for entry in list_boxes([*map(TrueBox, one.boxes, one.labels)], names)
    ]


class MultiImageLocalisation(Kind):
    """Boxes on several images, with labels where the card has some."""

    name = "multi_image_localisation"
    traits = frozenset((Trait.PLACES, Trait.SERIES, Trait.MAY_BE_EMPTY, Trait.PARTIAL_CREDIT))
    target_type = TargetType.SERIES
    settings = ("frame", "box_quality", "box_threshold")

    def check(self, task: Task) -> None:
        """Take any number of labels."""

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of each label, and the phrases that say that nothing is there."""
        return with_nothing_there(task, super().forms(task))

    def parse(self, task: Task, target: object) -> SeriesTarget:
        """Return the boxes of ``{"images": [<boxes of the first image>, …]}``.

        The boxes of each image are in any form that a localisation target has, with its own size.

        Raises:
            ConfigError: if it is not of this form, or an image has the boxes of several annotators.
        """
        if isinstance(target, SeriesTarget):
            return target
        where = f"task {quote(task.name)}: target"
        if not isinstance(target, Mapping) or "images" not in target:
            raise ConfigError(
                f"{where}: {quote(target)} is not {{'images': [boxes of image 1, …]}}"
            )
        known_fields(where, target, ("images",))
        images = target["images"]
        if not isinstance(images, Sequence) or isinstance(images, str):
            raise ConfigError(f"{where} images: {quote(images)} is not a list, one entry an image")
        if not 1 <= len(images) <= MAX_IMAGES:
            raise ConfigError(f"{where}: {len(images)} images; 1 to {MAX_IMAGES} are allowed")
        parsed = []
        for number, boxes in enumerate(images, start=1):
            try:
                parsed.append(parse_boxes(boxes, lambda label: label_of_box(task, label)))
            except ConfigError as error:
                raise ConfigError(f"{where}: image {number}: {error}") from error
            if len(parsed[-1].annotators) > 1:
                raise ConfigError(
                    f"{where}: image {number} has the boxes of {len(parsed[-1].annotators)} "
                    f"annotators; on several images it is those of one"
                )
        return SeriesTarget(tuple(parsed))

    def to_text(self, task: Task, target: SeriesTarget) -> str:
        """Return the boxes of all images as JSON."""
        names = [label.name for label in task.labels]
        each = ", ".join(box_json(image, names) for image in target.images)
        return f'{{"images": [{each}]}}'

    def from_text(self, task: Task, text: str) -> object:
        """Return what JSON text of boxes on images holds."""
        return json_target(task, text, '{"images": [[[x1, y1, x2, y2]], …]}')

    def size(self, target: SeriesTarget) -> Size | None:
        """Return the size of all images, None where they differ or one is not known."""
        sizes = {image.size for image in target.images}
        return sizes.pop() if len(sizes) == 1 else None

    def reward(
        self, answer: str | None, target: SeriesTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return what the boxes on all images earn."""
        return series_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return what boxes that are nearly right earn."""
        return BEST_WRONG

    def template(self, task: Task) -> str:
        """Return the template with labels for a card that has some."""
        return "labelled_multi_image_localisation" if task.labels else self.name

    def right(self, task: Task, target: SeriesTarget, settings: RewardSettings) -> str:
        """Return the boxes of all images as JSON, in the settings' frame."""
        written = []
        for number, image in enumerate(target.images, start=1):
            frame = frame_of(settings.frame, image)
            for box, label in image.boxes:
                named = {} if label is None else {"label": task.labels[label].name}
                corners = [*map(short, frame.written(box))]
                written.append({"image": number, "bbox_2d": corners, **named})
        return json.dumps(written, ensure_ascii=False)

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield boxes on one image of three, on two, and on none; or each of `targets`."""
        for target in _samples(task) if targets is None else targets:
            parsed = self.parse(task, target)
            right = self.right(task, parsed, task.reward)
            boxes = parse_json(right)
            count = len(parsed.images)
            wrong, near = [json.dumps([_anywhere(task)])], list[str]()
            if boxes:
                wrong = ["[]"]
                near.append(json.dumps([_on_next(one, count) for one in boxes]))
                near.append(json.dumps([*boxes, _on_next(boxes[0], count)]))
                near.append(json.dumps([_half_off(one) for one in boxes]))
            yield Honest(target, right, wrong=tuple(wrong), near=(*near, *wrong), empty=not boxes)


def _samples(task: Task) -> Iterator[object]:
    """Yield targets: boxes on the middle of three images, on two images, and on none."""
    names = [label.name for label in task.labels]

    def image(*boxes: Box) -> dict[str, Any]:
        rows: list[Any] = [
            {"box": [*box], "label": names[i % len(names)]} if names else [*box]
            for i, box in enumerate(boxes)
        ]
        return {"boxes": rows, "size": [*SAMPLE_SIZE], "seen": [*SAMPLE_SIZE]}

    one, two = (40.0, 120.0, 100.0, 170.0), (20.0, 30.0, 60.0, 70.0)
    yield {"images": [image(), image(one), image()]}
    yield {"images": [image(two), image(one, two)]}
    yield {"images": [image(), image()]}


def _on_next(entry: Mapping[str, Any], count: int) -> dict[str, Any]:
    return {**entry, "image": entry["image"] % count + 1}


def _half_off(entry: Mapping[str, Any]) -> dict[str, Any]:
    x1, y1, x2, y2 = entry["bbox_2d"]
    return {**entry, "bbox_2d": [*moved_right((x1, y1, x2, y2), 0.5)]}


def _anywhere(task: Task) -> dict[str, Any]:
    """Return a box on the first image."""
    named = {"label": task.labels[0].name} if task.labels else {}
    extent = 1.0 if task.reward.frame == "unit" else 200.0
    return {"image": 1, "bbox_2d": [extent / 4, extent / 4, extent / 2, extent / 2], **named}
