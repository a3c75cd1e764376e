"""Localisation: how well predicted boxes cover the true ones.

Predicted and true boxes of the same label are matched one to one so that the sum of their quality
is largest (the Hungarian method), and::

    R_box = (sum of the matched quality) / max(number predicted, number true)

so that surplus, repeated, impossible and missing boxes all cost. With nothing to find, the answer
that says so earns 1 and any box 0. Boxes are compared in pixels of the stored image.

An answer is correct, and earns 1, when the boxes match one to one and no coordinate is further off
than half a step of its frame: half a pixel, half a thousandth. Anything else earns less than 1.

Quality is in [0, 1]. With A a predicted and B a true box, H the smallest box around both and
u = |A ∩ B| / |A ∪ B|::

    iou       u
    giou      0.9 * u + 0.1 * (1 + GIoU) / 2,   GIoU = u - (|H| - |A ∪ B|) / |H|
    soft_iou  3 u^2 - 2 u^3
    centre    max(0, 1 - d/2)^4 * u0
    threshold 1 where u >= t, else 0
    above     max(0, (u - t) / (1 - t))

t is the setting `box_threshold`. d is the distance of the centres, the larger of its two parts, in
widths and heights of B; u0 is the IoU that A would have if its centre were moved onto that of B.
Each but `threshold` is 1 for A = B only. `threshold` is MedLoc-R1's reward at one step (arXiv
2603.28120), which `medreward.scoring.schedule` moves; `above` has the same zero without the jump.

GIoU is by Rezatofighi et al., CVPR 2019, pages 658-666. It lies in [-1, 1], is at most 0 for boxes
that do not overlap and tends to -1 as they part. Mapped to [0, 1] as it stands, a random box would
earn up to a half; with a share of 0.1, boxes that do not overlap earn at most 0.05. `soft_iou` is
the smoothstep: a threshold at one half without its jump. `centre` is above 0 up to two widths or
heights away; boxes that do not overlap earn at most 0.08, a random box about as much as by IoU, and
an image-sized box at most the true box's share of the image.

The order of the module: the reward (`box_reward`), the matching, the quality of a match.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, TypeAlias, TypeVar

from medreward.geometry.consensus import consensus
from medreward.geometry.frames import is_suspect
from medreward.geometry.regions import Box, BoxTarget, Frame, TrueBox, frame_of, list_boxes
from medreward.kinds.boxes.read import BoxAnswer, read_boxes
from medreward.kinds.verdict import BEST_WRONG, Verdict
from medreward.task.settings import RewardSettings
from medreward.task.task import Task

Table: TypeAlias = Any  # a numpy array of shape (predicted, true); numpy is imported late
Given = TypeVar("Given", bound=Hashable)

GIOU_SHARE = 0.1
_REACH = 2.0  # widths or heights of the true box at which `centre` ends


def box_reward(
    answer: str | None, target: BoxTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return R_box in [0, 1] of the boxes in `answer`.

    Raises:
        ConfigError: if the target lacks the size that the frame needs.

    >>> task = Task("lesion", kind="localisation")
    >>> target = task.parse_target([0, 0, 10, 5])
    >>> box_reward("[[0, 0, 10, 10]]", target, task, RewardSettings()).value
    0.5
    """
    frame = frame_of(settings.frame, target)
    found = read_boxes(answer, task)
    if found.reason:
        return Verdict(0.0, found.reason, unread=found.unread)
    placed = in_pixels(found, frame, task)
    value = over_annotators(
        target,
        settings.annotators,
        lambda true: match_boxes(placed, true, frame, settings.box_quality, settings.box_threshold),
    )
    notes = box_notes(found, target, frame, settings)
    return Verdict(value, _reason(value, placed, target), _json_of(placed, task), notes)


def place_boxes(
    answer: str | None, target: BoxTarget, task: Task, settings: RewardSettings
) -> BoxAnswer:
    """Return the boxes in `answer` in pixels, as `box_reward` compares them with the true ones.

    Those that leave the image, or whose label is unknown, are in `total` only.

    >>> task = Task("lesion", kind="localisation")
    >>> target = task.parse_target({"boxes": [[0, 0, 10, 5]], "size": [20, 20]})
    >>> found = place_boxes("[[0, 0, 10, 10], [0, 0, 90, 90]]", target, task, RewardSettings())
    >>> found.boxes, found.total
    ([(0, 0, 10, 10)], 2)
    """
    found = read_boxes(answer, task)
    return found if found.reason else in_pixels(found, frame_of(settings.frame, target), task)


def in_pixels(found: BoxAnswer, frame: Frame, task: Task) -> BoxAnswer:
    """Return the boxes in pixels, without those that leave the image or whose label is unknown."""
    boxes, labels, text = found.boxes, found.labels, found.text
    if found.problems or not frame.holds(found.outer):
        kept = [
            (box, label)
            for box, label in zip(boxes, labels, strict=True)
            if frame.holds(box) and not (task.labels and label is None)
        ]
        boxes, labels, text = [box for box, _ in kept], [label for _, label in kept], ""
    pixels = frame.all_pixels(boxes)
    return BoxAnswer(pixels, labels, found.total, text=text if pixels is boxes else "")


def _json_of(placed: BoxAnswer, task: Task) -> str:
    """Return the boxes as JSON text, as a target has them."""
    if placed.text:
        return placed.text
    names = [label.name for label in task.labels]
    return json.dumps(list_boxes([*map(TrueBox, placed.boxes, placed.labels)], names))


def _reason(value: float, placed: BoxAnswer, target: BoxTarget) -> str:
    if value >= 1.0:
        return "correct"
    if value > 0:
        return "box_partial"
    return "box_surplus" if placed.total and not any(target.annotators) else "box_missed"


def box_notes(
    found: BoxAnswer, target: BoxTarget, frame: Frame, settings: RewardSettings
) -> tuple[str, ...]:
    """Return what else there is to say of an answer's boxes, as they are in its frame."""
    notes = set(found.problems)
    is_inside = frame.holds(found.outer)
    if not is_inside:
        notes.add("out_of_image")
    # Only fractions of 1 and boxes that leave the image can be in another frame by appearances.
    may_be_elsewhere = found.boxes and (max(found.outer) <= 1 or not is_inside)
    if may_be_elsewhere and is_suspect(found.boxes, settings.frame, target, found.outer):
        notes.add("frame_suspect")
    if found.boxes and found.total > max(map(len, target.annotators)):
        notes.add("box_surplus")
    return tuple(sorted(notes))


# ---------------------------------------------------------------------------------------------
# Matching


def over_annotators(
    target: BoxTarget, how: str, agreement: Callable[[tuple[TrueBox, ...]], float]
) -> float:
    """Return the agreement with a target's annotators: 1, or at most `BEST_WRONG`.

    Args:
        target: the boxes of each annotator.
        how: what they stand for, out of `medreward.task.settings.ANNOTATORS`.
        agreement: gives the agreement with one list of boxes.
    """
    lists = target.annotators
    if how == "consensus":
        lists = (consensus(lists),)
    values = [agreement(boxes) for boxes in lists]
    value = max(values) if how == "best" else sum(values) / len(values)
    return value if value >= 1.0 else min(value, BEST_WRONG)


def match_boxes(
    placed: BoxAnswer,
    true: tuple[TrueBox, ...],
    frame: Frame,
    quality: str,
    threshold: float = 0.5,
) -> float:
    """Return R_box of boxes in pixels against those of one annotator."""
    if placed.total == len(true) == 0:
        return 1.0
    return matched_quality(placed, true, frame, quality, threshold) / max(placed.total, len(true))


def matched_quality(
    placed: BoxAnswer, true: tuple[TrueBox, ...], frame: Frame, quality: str, threshold: float
) -> float:
    """Return the largest sum of quality over one-to-one matches within labels."""
    import numpy as np

    if not (placed.boxes and true):
        return 0.0
    theirs, names = _true_columns(true)
    across, down = frame.tolerance
    half = across if across == down else np.array((across, down) * 2)[:, None, None]
    boxes, labels = placed.boxes, placed.labels
    twins = None
    if len(set(boxes)) < len(boxes):
        twins = _twins(theirs, names, 2 * half)
        given = drop_copies([*zip(boxes, labels, strict=True)], twins)
        boxes, labels = [box for box, _ in given], [label for _, label in given]
    pairs = Pairs.of(columns(boxes), theirs)
    table = quality_of_pairs(pairs, quality, BEST_WRONG, threshold)
    table[_within(pairs, half)] = 1.0
    if len({*labels, *names}) > 1:
        table[np.not_equal.outer(np.array(labels), np.array(names))] = 0.0
    if twins is not None:
        bar_copies(table, given, twins)
    return best_sum(table)


def _within(pairs: Pairs, reach: Table | float) -> Table:
    """Return for each pair whether no coordinates are further apart than `reach`."""
    return (abs(pairs.predicted - pairs.true) <= reach).all(axis=0)


@lru_cache(maxsize=4096)
def _true_columns(true: tuple[TrueBox, ...]) -> tuple[Table, tuple[int | None, ...]]:
    """Return true boxes as `columns` and their labels, once for a group; not to be written to."""
    return columns([box for box, _ in true]), tuple(label for _, label in true)


def _twins(true: Table, names: Sequence[int | None], reach: Table | float) -> Table:
    """Return for each two true boxes whether they have one label and are next to equal."""
    import numpy as np

    same = np.equal.outer(np.array(names), np.array(names))
    return _within(Pairs.of(true, true), reach) & same


def best_sum(table: Table) -> float:
    """Return the largest sum of a table over one-to-one matches (the Hungarian method)."""
    from scipy.optimize import linear_sum_assignment

    return float(table[linear_sum_assignment(table, maximize=True)].sum())


def drop_copies(given: Sequence[Given], twins: Table) -> Sequence[Given]:
    """Return what an answer gives, each only once where no two true things are twins.

    No copy could be matched then: `bar_copies` would bar each of them from everything.
    """
    return given if int(twins.sum()) > len(twins) else [*dict.fromkeys(given)]


def bar_copies(table: Table, given: Sequence[Hashable], twins: Table) -> None:
    """Set to 0 what copies of the same answer may not be matched with, so that they do not pay.

    An answer given once may be matched with anything. A copy of it may only be matched with twins
    of the true thing that it fits best, and there are never more copies matched than there are
    such twins. Of several that it fits equally well, those count that are twins of all of them:
    between two different things, a copy is a guess.

    Args:
        table: what each match is worth; changed in place.
        given: what the answer gives, one for each row; equal ones are copies.
        twins: for each two true things, whether they are the same, up to a rounding step: shape
            (true, true).
    """
    places: dict[Hashable, list[int]] = {}
    for row, one in enumerate(given):
        places.setdefault(one, []).append(row)
    for first, *copies in places.values():
        if not copies:
            continue
        fit = table[first]
        allowed = twins[fit == fit.max()].all(axis=0)
        most = max(int(allowed.sum()) - 1, 0)
        table[copies[most:]] = 0.0
        for row in copies[:most]:
            table[row, ~allowed] = 0.0


# ---------------------------------------------------------------------------------------------
# The quality of a match


class Pairs(NamedTuple):
    """x1, y1, x2, y2 of the predicted boxes (as columns) and of the true ones (as rows), in pixels.

    Their shapes are (4, predicted, 1) and (4, 1, true).
    """

    predicted: Table
    true: Table

    @classmethod
    def of(cls, predicted: Table, true: Table) -> Pairs:
        """Return the pairs of two lists of boxes, given as `columns`."""
        return cls(predicted[:, :, None], true[:, None])


def quality_table(
    predicted: Sequence[Box] | Table,
    true: Sequence[Box] | Table,
    quality: str = "iou",
    threshold: float = 0.5,
) -> Table:
    """Return the quality of each predicted box for each true one, shape (predicted, true).

    Boxes have a positive area; `quality` is one of `medreward.task.settings.BOX_QUALITIES`.

    >>> quality_table([(0, 0, 2, 2), (9, 9, 10, 10)], [(1, 0, 3, 2)], "iou").round(4).tolist()
    [[0.3333], [0.0]]
    """
    pairs = Pairs.of(columns(predicted), columns(true))
    return quality_of_pairs(pairs, quality, threshold=threshold)


def columns(boxes: Sequence[Box]) -> Table:
    """Return x1, y1, x2, y2 of boxes as four rows of numbers, each in one piece of memory."""
    import numpy as np

    numbers = np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes))
    return numbers.reshape(-1, 4).T.copy()


def quality_of_pairs(
    pairs: Pairs, quality: str, most: float = 1.0, threshold: float = 0.5
) -> Table:
    """Return the quality of each pair, at most `most`."""
    import numpy as np

    if quality in _FROM_THRESHOLD:
        table = _FROM_THRESHOLD[quality](_iou(pairs), threshold)
    else:
        table = _QUALITIES[quality](pairs)
    return np.minimum(table, most, out=table)


def _overlap(pairs: Pairs) -> tuple[Table, Table]:
    """Return the areas of intersection and of union."""
    import numpy as np

    a, b = pairs
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    np.maximum(sides, 0.0, out=sides)
    shared = sides[0] * sides[1]
    return shared, _area(a) + _area(b) - shared


def _area(boxes: Table) -> Table:
    return (boxes[2] - boxes[0]) * (boxes[3] - boxes[1])


def _iou(pairs: Pairs) -> Table:
    shared, union = _overlap(pairs)
    return shared / union


def _giou(pairs: Pairs) -> Table:
    import numpy as np

    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = pairs
    shared, union = _overlap(pairs)
    width = np.maximum(ax2, bx2) - np.minimum(ax1, bx1)
    height = np.maximum(ay2, by2) - np.minimum(ay1, by1)
    around = width * height
    overlap = shared / union
    generalised = overlap - (around - union) / around
    return np.maximum((1 - GIOU_SHARE) * overlap + GIOU_SHARE * (1 + generalised) / 2, 0.0)


def _soft_iou(pairs: Pairs) -> Table:
    overlap = _iou(pairs)
    return overlap * overlap * (3 - 2 * overlap)


def _centre(pairs: Pairs) -> Table:
    import numpy as np

    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = pairs
    a_width, a_height, b_width, b_height = ax2 - ax1, ay2 - ay1, bx2 - bx1, by2 - by1
    across = np.abs(ax1 + ax2 - bx1 - bx2) / (2 * b_width)
    down = np.abs(ay1 + ay2 - by1 - by2) / (2 * b_height)
    closeness = np.maximum(1 - np.maximum(across, down) / _REACH, 0.0) ** 4
    shared = np.minimum(a_width, b_width) * np.minimum(a_height, b_height)
    return closeness * shared / (a_width * a_height + b_width * b_height - shared)


def _above(overlap: Table, threshold: float) -> Table:
    import numpy as np

    return np.maximum((overlap - threshold) / (1 - threshold), 0.0)


_FROM_THRESHOLD: dict[str, Callable[[Table, float], Table]] = {
    "threshold": lambda overlap, threshold: (overlap >= threshold).astype(float),
    "above": _above,
}
_QUALITIES: dict[str, Callable[[Pairs], Table]] = {
    "iou": _iou,
    "giou": _giou,
    "soft_iou": _soft_iou,
    "centre": _centre,
}
