"""Pointing: how many of the true boxes or masks have a point in them.

Points and true places are matched one to one so that as many as possible are hits, and::

    R_point = hits / max(number of points, number of true places)

A point hits a place that it lies in (`medreward.geometry.places`), after conversion from the frame
of the answer to pixels of the stored image. So surplus points cost as missing ones do, and with
nothing to find the answer that says so earns 1 and any point 0. One point hits one place, also
where places overlap, and a copy of it earns nothing but where the smallest place that it lies in is
there twice. This is the pointing game (Zhang et al., International Journal of Computer Vision
126:1084-1102, 2018) for several objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from medreward.errors import ConfigError
from medreward.geometry.places import (
    BoxPlaces,
    MaskPlaces,
    Places,
    Point,
    PointTarget,
    places_json,
    places_of,
)
from medreward.geometry.regions import MAX_BOXES, Frame, Size, box_json, frame_of, short
from medreward.kinds.base import Kind, TargetType
from medreward.kinds.box_targets import place_target, with_nothing_there
from medreward.kinds.boxes.match import bar_copies, best_sum, drop_copies, over_annotators
from medreward.kinds.boxes.read import (
    FINITE,
    LARGEST,
    MAX_LENGTH,
    Group,
    place_problem,
    read_places,
    scan,
    without_edge_names,
)
from medreward.kinds.honest import Honest
from medreward.kinds.json_text import json_target
from medreward.kinds.place_samples import honest_points
from medreward.kinds.reading import unreadable
from medreward.kinds.verdict import BEST_WRONG, Verdict, cap_partial
from medreward.task.settings import RewardSettings
from medreward.task.task import Task
from medreward.task.traits import Trait

_BARE = re.compile(rf"\s*[-+]?(?:{FINITE})\s*,\s*[-+]?(?:{FINITE})\s*", re.IGNORECASE | re.ASCII)


# Steps across and down from a middle, nearest first: more than there are boxes in a target.
_AROUND = sorted(
    product(range(-5, 6), repeat=2), key=lambda step: (step[0] ** 2 + step[1] ** 2, step)
)
_FINEST = 8  # decimals below a frame's own step


class PointReading(NamedTuple):
    """The points in an answer (none: it says that there is nothing), or None and the reason."""

    points: tuple[Point, ...] | None
    reason: str = ""
    unread: str = ""


def point_reward(
    answer: str | None, target: PointTarget, task: Task, settings: RewardSettings
) -> Verdict:
    """Return R_point in [0, 1] of the points in `answer`.

    Raises:
        ConfigError: if the target lacks the size that the frame needs.

    >>> task = Task("lesion", kind="pointing")
    >>> target = task.parse_target([[0, 0, 10, 5], [20, 0, 30, 5]])
    >>> point_reward("[[2, 3], [50, 50]]", target, task, RewardSettings()).value
    0.5
    """
    frame = frame_of(settings.frame, target)
    points, reason, unread = read_points(answer, task)
    if points is None:
        return Verdict(0.0, reason, unread=unread)
    placed = [frame.pixels((x, y, x, y))[:2] for x, y in points]
    value = cap_partial(_earned(placed, target, settings, frame.tolerance))
    reason = "correct" if value >= 1 else "points_partial" if value > 0 else "point_missed"
    return Verdict(value, reason, json.dumps([[short(x), short(y)] for x, y in placed]))


def read_points(answer: str | None, task: Task) -> PointReading:
    """Return the points in `answer`: pairs of numbers in brackets, in whatever is around them.

    Numbers are what they are in boxes. Other numbers beside the points make an answer unreadable,
    so that no box and no size passes for a point.

    >>> task = Task("lesion", kind="pointing")
    >>> read_points('[{"point_2d": [3, 4.5], "label": "lesion"}]', task).points
    ((3.0, 4.5),)
    >>> read_points("[1, 2, 3, 4]", task).reason, read_points("[]", task).points
    ('points_unreadable', ())
    """
    if not answer or len(answer) > MAX_LENGTH:
        return PointReading(None, unreadable(answer, MAX_LENGTH))
    text = without_edge_names(answer)
    if _BARE.fullmatch(text):
        text = f"[{text}]"
    found = scan(text)
    groups = found.groups
    if not all(map(_is_point, groups)):
        return PointReading(None, "points_unreadable")
    if len(groups) > MAX_BOXES:
        return PointReading(None, "too_many_boxes")
    beside = read_places(text, found, task)
    reason = beside.reason or place_problem(beside, bool(groups), "points_unreadable")
    if reason:
        return PointReading(None, reason, beside.unread)
    return PointReading(tuple((group.numbers[0], group.numbers[1]) for group in groups))


def _is_point(group: Group) -> bool:
    return len(group.numbers) == 2 and all(abs(value) <= LARGEST for value in group.numbers)


def _earned(
    points: Sequence[Point], target: PointTarget, settings: RewardSettings, half: Point
) -> float:
    """Return R_point; `half` is half a step of the answer's frame, in pixels."""
    if isinstance(target, MaskPlaces):
        return _hit_share(points, places_of(target), half)
    return over_annotators(
        target,
        settings.annotators,
        lambda boxes: _hit_share(points, BoxPlaces([box for box, _ in boxes]), half),
    )


def _hit_share(points: Sequence[Point], places: Places, half: Point) -> float:
    if not points or not len(places):
        return float(len(points) == len(places))
    twins, given = None, points
    if len(set(points)) < len(points):
        twins = places.twins((2 * half[0], 2 * half[1]))
        given = drop_copies(points, twins)
    table = places.hits(given)
    if twins is not None:
        # A point fits the smallest place best, as a tiny box around it would by its overlap.
        table = table / places.areas()
        bar_copies(table, given, twins)
    return best_sum((table > 0).astype(float)) / max(len(points), len(places))


def _points(target: PointTarget, settings: RewardSettings) -> list[list[float]]:
    """Return a point in each place of a target, no two of them the same.

    The smallest places choose first, since what is left of them for others is least.
    """
    frame, places = frame_of(settings.frame, target), places_of(target)
    middles, areas = places.middles(), places.areas()
    written: dict[int, Point] = {}
    for i in sorted(range(len(places)), key=areas.__getitem__):
        near = _near(middles[i], frame)
        free = (point for point in near if point not in written.values())
        written[i] = next(point for point in free if _holds(places, i, point, frame))
    return [[short(v) for v in written[i]] for i in range(len(places))]


def _near(middle: Point, frame: Frame) -> Iterator[Point]:
    """Yield points in the answer's frame, from a place's middle outwards, then in finer steps.

    A hundred of each step are enough for a hundred places, and the finest step lies within the
    smallest box.
    """
    for digits in range(_FINEST + 1):
        step = frame.step / 10**digits
        x, y = (round(v / unit / step) for v, unit in zip(middle, frame[:2], strict=True))
        for across, down in _AROUND:
            yield round((x + across) * step, 3 + digits), round((y + down) * step, 3 + digits)


def _holds(places: Places, index: int, point: Point, frame: Frame) -> bool:
    x, y = point
    return bool(places.hits([frame.pixels((x, y, x, y))[:2]])[0, index])


class Pointing(Kind):
    """A point in each box or mask."""

    name = "pointing"
    traits = frozenset((Trait.PLACES, Trait.POINTS, Trait.MAY_BE_EMPTY, Trait.PARTIAL_CREDIT))
    target_type = TargetType.PLACES
    settings = ("frame", "annotators")

    def check(self, task: Task) -> None:
        """Raise `ConfigError` if there is more than one label."""
        if len(task.labels) > 1:
            raise ConfigError(
                f"labels: {len(task.labels)} given; a pointing task has one or none, since points "
                f"name no label and one of a wrong label would be right; ask for one at a time"
            )

    def forms(self, task: Task) -> list[tuple[str, ...]]:
        """Return the forms of the label, and the phrases that say that nothing is there."""
        return with_nothing_there(task, super().forms(task))

    def parse(self, task: Task, target: object) -> PointTarget:
        """Return the boxes or masks of a target."""
        return place_target(task, target)

    def to_text(self, task: Task, target: PointTarget) -> str:
        """Return the boxes or masks as JSON."""
        if isinstance(target, MaskPlaces):
            return places_json(target)
        return box_json(target, [label.name for label in task.labels])

    def from_text(self, task: Task, text: str) -> object:
        """Return what JSON text of boxes or masks holds."""
        form = 'boxes [[x1, y1, x2, y2]], or masks {"masks": [{"size": …, "counts": …}]}'
        return json_target(task, text, form)

    def size(self, target: PointTarget) -> Size | None:
        """Return the size of the image that the places are in."""
        return target.size

    def reward(
        self, answer: str | None, target: PointTarget, task: Task, settings: RewardSettings
    ) -> Verdict:
        """Return R_point."""
        return point_reward(answer, target, task, settings)

    def best_wrong(self, task: Task, settings: RewardSettings) -> float:
        """Return what points of which one is missing earn."""
        return BEST_WRONG

    def right(self, task: Task, target: PointTarget, settings: RewardSettings) -> str:
        """Return a point in each place as JSON, in the settings' frame, no two the same."""
        return json.dumps(_points(target, settings))

    def honest(self, task: Task, targets: Sequence[object] | None) -> Iterator[Honest]:
        """Yield one place, two and none, by boxes and by masks, or each of `targets`."""
        return honest_points(task, targets, lambda one: self.right(task, one, task.reward))
