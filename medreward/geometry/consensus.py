"""Several annotators of an image: what most of them drew."""

from __future__ import annotations

from functools import lru_cache

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
    for _, number, box, who in drawn:
        fits = [
            (iou(thing.box, box), -i) for i, thing in enumerate(things) if thing.takes(number, who)
        ]
        best, index = max(fits, default=(0.0, 0))
        if best >= SAME_THING:
            things[-index].add(box, who)
        else:
            things.append(_Thing(number, box, who))
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
        self._boxes = [box]

    def takes(self, label: int, who: int) -> bool:
        """Whether a box with that label by that annotator may be of this thing."""
        return label == self.label and who not in self.who

    def add(self, box: Box, who: int) -> None:
        self.who.add(who)
        self._boxes.append(box)
        count = len(self._boxes)
        x1, y1, x2, y2 = (sum(one[i] for one in self._boxes) / count for i in range(4))
        self.box = x1, y1, x2, y2
