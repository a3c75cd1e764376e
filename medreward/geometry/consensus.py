"""Several annotators of an image: what most of them drew."""

from __future__ import annotations

from functools import lru_cache
from operator import add

from medreward.geometry.regions import Box, TrueBox, iou

# Boxes that overlap by this much are of the same thing, as in Pascal VOC's and VinDr-CXR's scoring.
SAME_THING = 0.5


@lru_cache(maxsize=4096)
def consensus(annotators: tuple[tuple[TrueBox, ...], ...]) -> tuple[TrueBox, ...]:
    """Return the boxes that more than half of the annotators drew, each averaged over them.

    Boxes of different annotators with the same label are of the same thing when they overlap the
    average of it with an IoU of at least `SAME_THING`; each box goes to the thing that it overlaps
    most, in order of coordinates and, of equal boxes, of their annotators' whole lists: the order
    in which annotators are given does not matter. It is weighted boxes fusion (Solovyev, Wang,
    Gabruseva, Image and Vision Computing 107:104117, 2021) with equal weights and a majority vote.

    >>> one, two = TrueBox((0.0, 0.0, 10.0, 10.0)), TrueBox((0.0, 0.0, 10.0, 12.0))
    >>> consensus(((one,), (two,), ()))[0].box
    (0.0, 0.0, 10.0, 11.0)
    """
    lists = sorted(
        sorted((label is None, label or 0, box) for box, label in boxes) for boxes in annotators
    )
    drawn = sorted((*one, who) for who, boxes in enumerate(lists) for one in boxes)
    things: list[_Thing] = []
    near: list[_Thing] = []  # those that a box may still overlap enough, as boxes come in order
    for _, number, box, who in drawn:
        near = [thing for thing in near if thing.is_near(number, box)]
        fits = [(iou(thing.box, box), -i) for i, thing in enumerate(near) if who not in thing.who]
        best, index = max(fits, default=(0.0, 0))
        if best >= SAME_THING:
            near[-index].add(box, who)
        else:
            near.append(_Thing(number, box, who))
            things.append(near[-1])
    has_labels = any(label is not None for boxes in annotators for _, label in boxes)
    return tuple(
        TrueBox(thing.box, thing.label if has_labels else None)
        for thing in things
        if 2 * len(thing.who) > len(annotators)
    )


class _Thing:
    """What several annotators drew, so far."""

    def __init__(self, label: int, box: Box, who: int) -> None:
        self.label, self.box, self.who = label, box, {who}
        self._sums = box

    def is_near(self, label: int, box: Box) -> bool:
        """Whether a box with that label, or one further to the right, may be of this thing.

        One that starts behind 3/5 of a thing's width overlaps it with an IoU of 2/5 at most.
        """
        x1, _, x2, _ = self.box
        return label == self.label and box[0] <= x1 + 0.6 * (x2 - x1)

    def add(self, box: Box, who: int) -> None:
        self.who.add(who)
        count = len(self.who)
        x1, y1, x2, y2 = self._sums = tuple(map(add, self._sums, box))
        self.box = x1 / count, y1 / count, x2 / count, y2 / count
