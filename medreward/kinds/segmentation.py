"""Segmentation: how well the mask in an answer covers the true one.

With A the answer's mask and B the true one, in pixels of the stored image::

    dice  2 |A ∩ B| / (|A| + |B|)
    iou     |A ∩ B| / |A ∪ B|

in [0, 1], and 1 for two empty masks. A mask of the whole image earns a Dice of 2p/(1 + p) for a
true mask with the share p of the image, and so 0 where there is nothing.

An answer holds polygons ``[x1, y1, x2, y2, …]``, in the task's frame, or COCO's RLE of the stored
image, as JSON; several are one mask, their union. A part that is not well formed spoils the answer,
as does a key that is given twice, or polygons that hold no pixel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from medreward.errors import ConfigError, quote
from medreward.geometry.masks import (
    MaskError,
    MaskTarget,
    coco,
    mask_json,
    parse_mask,
    rle_of_counts,
    rle_of_polygons,
)
from medreward.geometry.regions import Frame, Size, frame_of
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.beside import Beside, read_beside
from medreward.kinds.box_targets import with_nothing_there
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.place_samples import honest_masks
from medreward.kinds.reading import MAX_ANSWER_LENGTH, unreadable
from medreward.kinds.verdict import BEST_WRONG, Verdict, cap_partial
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

# The packed RLE of a mask with a ragged outline on 1024 x 1024 takes about 10,000 characters.
MAX_LENGTH = 100_000
_FENCE = re.compile(r"```[a-z]*", re.IGNORECASE)
_KEYS = ("segmentation", "mask", "rle", "polygon", "polygons", "points", "objects", "counts")
_SIZES = ("size", "seen")  # of the image
_MOST_PARTS = 100
_DEEPEST = 20  # Python's own limit depends on its version and on who calls
_MASK = re.compile(r"[\[{]\s*[-+.\d\[{\"']")  # the beginning of one, or of something else in JSON


class MaskReading(NamedTuple):
    """The mask in an answer as pycocotools' RLE, or None and the reason code."""

    rle: dict[str, Any] | None
    reason: str = ""
    unread: str = ""


def mask_reward(
    answer: str | None, target: MaskTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return Dice or IoU, in [0, 1], of the mask in `answer`.

    >>> task = Task("lesion", kind="segmentation")
    >>> target = task.parse_target({"polygons": [[0, 0, 8, 0, 8, 8, 0, 8]], "size": [16, 16]})
    >>> mask_reward("[[0, 0, 8, 0, 8, 4, 0, 4]]", target, task, RewardSettings()).value.__round__(3)
    0.667
    """
    frame = frame_of(settings.frame, target)
    found, reason, unread = read_mask(answer, task, target, frame)
    if found is None:
        return Verdict(0.0, reason, unread=unread)
    value = cap_partial(_agreement(found, target.rle(), settings.mask_quality))
    said = json.dumps({"size": found["size"], "counts": found["counts"].decode("ascii")})
    reason = "correct" if value == 1.0 else "mask_partial" if value else "mask_missed"
    return Verdict(value, reason, said)


def read_mask(answer: str | None, task: Task, target: MaskTarget, frame: Frame) -> MaskReading:
    """Return the mask that `answer` holds; of the target, only its size matters."""
    reason = unreadable(answer, MAX_LENGTH)
    if reason:
        return MaskReading(None, reason)
    text = _FENCE.sub(" ", answer or "").strip()
    try:
        content = json.loads(text, object_pairs_hook=_mapping)
    except MaskError:
        return MaskReading(None, "mask_malformed")
    except (ValueError, RecursionError):
        return _read_prose(text, task, target)
    try:
        said = _read_fields(content, task)
        if said.reason:
            return MaskReading(None, said.reason, said.unread)
        rles = list(_rles(_limited_parts(content), target, frame))
    except (MaskError, RecursionError):  # from Python 3.12 on, JSON may be nested more deeply
        return MaskReading(None, "mask_malformed")
    return MaskReading(coco().merge(rles))


def _read_prose(text: str, task: Task, target: MaskTarget) -> MaskReading:
    """Return the empty mask where a text that is no JSON says that there is nothing."""
    is_prose = len(text) <= MAX_ANSWER_LENGTH and _MASK.search(text) is None
    said = read_beside(text, [], task) if is_prose else Beside("mask_unreadable")
    if said.says_nothing and not said.reason:
        return MaskReading(rle_of_polygons([], target.width, target.height))
    return MaskReading(None, "mask_unreadable", said.unread)


def _read_fields(content: Any, task: Task) -> Beside:
    """Return what the fields beside masks say; a reason where they are not understood or deny.

    Raises:
        MaskError: if they are nested too deeply.
    """
    for name, field in islice(_fields(content), _MOST_PARTS):
        said = read_beside(f"{json.dumps(name)}: {json.dumps(field)}", [], task)
        if said.reason or said.says_nothing or said.denied:
            return Beside(said.reason or "mask_unreadable", said.unread or name)
    return Beside()


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object that gives each key once; else one mask would hide another.

    Raises:
        MaskError: if a key is given twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MaskError("a key is given twice")
    return found


def _limited_parts(content: Any) -> list[Any]:
    """Return the parts of an answer's JSON.

    Raises:
        MaskError: if there are too many, or one is none.
    """
    parts = list(islice(_parts(content), _MOST_PARTS + 1))
    if len(parts) > _MOST_PARTS:
        raise MaskError("too many parts")
    return parts


def _fields(value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the fields beside masks in an answer's JSON: labels, confidences and the like.

    Raises:
        MaskError: if it is nested too deeply.
    """
    if depth > _DEEPEST:
        raise MaskError("nested too deeply")
    if isinstance(value, list) and not all(map(_is_number, value)):
        for item in value:
            yield from _fields(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in _KEYS and key not in ("counts", "points"):
                yield from _fields(item, depth + 1)
            elif key not in _KEYS and key not in _SIZES:
                yield key, item


def _parts(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the polygons (lists of numbers) and RLEs (mappings) in an answer's JSON.

    Raises:
        MaskError: if there is something else, or it is nested too deeply.
    """
    if depth > _DEEPEST:
        raise MaskError("nested too deeply")
    if isinstance(value, dict):
        named = [key for key in _KEYS if key in value]
        if len(named) != 1:
            raise MaskError(f"none or several of {', '.join(_KEYS)}")
        yield from [value] if named == ["counts"] else _parts(value[named[0]], depth + 1)
    elif isinstance(value, list) and value and all(map(_is_number, value)):
        yield value
    elif isinstance(value, list) and value and all(map(_is_point, value)):
        yield [number for point in value for number in point]
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item, depth + 1)
    elif value is not None:
        raise MaskError("neither a list nor an object")


def _rles(parts: list[Any], target: MaskTarget, frame: Frame) -> Iterator[dict[str, Any]]:
    width, height = target.width, target.height
    polygons = [_in_pixels(part, frame) for part in parts if isinstance(part, list)]
    if polygons or not parts:
        rle = rle_of_polygons(polygons, width, height)
        if polygons and not coco().area(rle):
            raise MaskError("the polygons hold no pixel, which is no way to say that nothing is")
        yield rle
    for part in parts:
        if isinstance(part, dict):
            yield rle_of_counts(part["counts"], part.get("size"), width, height)


def _in_pixels(polygon: list[float], frame: Frame) -> list[float]:
    scale = frame.across, frame.down
    return [float(v) * scale[i % 2] for i, v in enumerate(polygon)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e9


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _agreement(found: dict[str, Any], true: dict[str, Any], quality: str) -> float:
    module = coco()
    sizes = float(module.area(found)) + float(module.area(true))
    if not sizes:
        return 1.0
    shared = float(module.area(module.merge([found, true], intersect=True)))
    return 2 * shared / sizes if quality == "dice" else shared / (sizes - shared)


class Segmentation(Kind):
    """A mask."""

    name = "segmentation"
    traits = frozenset((Trait.PLACES, Trait.PIXELS, Trait.MAY_BE_EMPTY, Trait.PARTIAL_CREDIT))
    target_type = TargetType.MASK
    settings = ("frame", "mask_quality")
    shuffles = False  # there are no labels

    def check(self, task: Task) -> None:
        """Raise `ConfigError` if the card has labels."""
        if task.labels:
            raise ConfigError(f"labels: {len(task.labels)} given; a segmentation task has none")

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the phrases that say that nothing is there."""
        return with_nothing_there(task, [])

    def parse(self, task: Task, target: object) -> MaskTarget:
        """Return the mask of a target (`medreward.geometry.masks.parse_mask`)."""
        try:
            return parse_mask(target)
        except ConfigError as error:
            raise ConfigError(f"task {quote(task.name)}: {error}") from error

    def to_text(self, task: Task, target: MaskTarget) -> str:
        """Return the mask's run lengths as JSON."""
        return json.dumps(mask_json(target))

    def from_text(self, task: Task, text: str) -> object:
        """Return what JSON text of a mask holds."""
        return json_target(task, text, 'a mask {"size": [height, width], "counts": …}')

    def size(self, target: MaskTarget) -> Size | None:
        """Return the size of the image that the mask is for."""
        return target.size

    def reward(
        self, answer: str | None, target: MaskTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return Dice or IoU."""
        return mask_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return what a mask that is nearly right earns."""
        return BEST_WRONG

    def right(self, task: Task, target: MaskTarget, settings: RewardSettings) -> str:
        """Return the mask's run lengths as JSON."""
        return json.dumps(mask_json(target))

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield one place, two and none, or each of `targets`."""
        return honest_masks(task, targets, lambda one: self.right(task, one, task.reward))
