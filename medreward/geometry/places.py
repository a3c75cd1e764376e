"""What a point may lie in: the places of a pointing target, given by boxes or by masks.

A place is one thing to point at: a box, or a whole mask, whatever parts it has. Points are in
pixels of the stored image. A box [x1, y1, x2, y2] holds (x, y) if x1 <= x < x2 and y1 <= y < y2, a
mask if its pixel at (floor x, floor y) is set.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from medreward.checks import known_fields
from medreward.errors import ConfigError, quote
from medreward.geometry.masks import MaskTarget, coco, is_empty, mask_json, parse_mask
from medreward.geometry.regions import (
    MAX_BOXES,
    Box,
    BoxTarget,
    Size,
    parse_boxes,
    parse_size,
    short,
)

Point: TypeAlias = tuple[float, float]
Table: TypeAlias = Any  # a numpy array; numpy is imported late
_FIELDS = ("masks", "size", "seen")
_MASK_FIELDS = ("counts", "polygons")


@dataclass(frozen=True)
class MaskPlaces:
    """A pointing target of masks, none of which is empty.

    Attributes:
        masks: one for each thing to point at.
        size: width and height of the stored image in pixels.
        seen: width and height after the processor's resize, where known.
    """

    masks: tuple[MaskTarget, ...]
    size: Size
    seen: Size | None = None


PointTarget: TypeAlias = BoxTarget | MaskPlaces


class Places(ABC):
    """Places to point at."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many there are."""

    @abstractmethod
    def hits(self, points: Sequence[Point]) -> Table:
        """Return for each point and place whether the point lies in it: shape (points, places)."""

    @abstractmethod
    def areas(self) -> list[float]:
        """Return the area of each place, in square pixels."""

    @abstractmethod
    def middles(self) -> list[Point]:
        """Return a point within each place, as far from its border as there is one."""

    @abstractmethod
    def twins(self, reach: Point) -> Table:
        """Return for each two places whether they are the same, up to `reach` across and down."""


class BoxPlaces(Places):
    """Boxes to point at."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self._boxes = boxes

    def __len__(self) -> int:
        return len(self._boxes)

    def hits(self, points: Sequence[Point]) -> Table:
        """Return for each point and box whether the point lies in it."""
        x1, y1, x2, y2 = self._edges()
        x, y = _rows(points, 2)[:, :, None]
        return (x1 <= x) & (x < x2) & (y1 <= y) & (y < y2)

    def areas(self) -> list[float]:
        """Return the area of each box."""
        return [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in self._boxes]

    def middles(self) -> list[Point]:
        """Return the centre of each box."""
        return [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in self._boxes]

    def twins(self, reach: Point) -> Table:
        """Return for each two boxes whether no edges are further apart than `reach`."""
        edges = self._edges()
        apart = abs(edges[:, :, None] - edges[:, None])
        most = _rows([(*reach, *reach)], 4)[:, :, None]
        return (apart <= most).all(axis=0)

    def _edges(self) -> Table:
        return _rows(self._boxes, 4)


class MaskSet(Places):
    """Masks to point at."""

    def __init__(self, masks: Sequence[MaskTarget]) -> None:
        self._masks = masks

    def __len__(self) -> int:
        return len(self._masks)

    def hits(self, points: Sequence[Point]) -> Table:
        """Return for each point and mask whether the point's pixel is set in it."""
        import numpy as np

        table: Table = np.zeros((len(points), len(self._masks)), bool)
        for j, mask in enumerate(self._masks):
            pixels = _pixels(mask)
            for i, (x, y) in enumerate(points):
                inside = 0 <= x < mask.width and 0 <= y < mask.height
                table[i, j] = inside and pixels[int(y), int(x)]
        return table

    def areas(self) -> list[float]:
        """Return the number of pixels of each mask."""
        return [float(coco().area(mask.rle())) for mask in self._masks]

    def middles(self) -> list[Point]:
        """Return the centre of the pixel that lies deepest in each mask."""
        return [_deepest(mask) for mask in self._masks]

    def twins(self, reach: Point) -> Table:
        """Return for each two masks whether they are equal, pixel by pixel."""
        import numpy as np

        counts = np.array([mask.counts for mask in self._masks], dtype=object)
        return counts[:, None] == counts


def places_of(target: PointTarget) -> Places:
    """Return the places of a target; of several annotators those of the first."""
    if isinstance(target, MaskPlaces):
        return MaskSet(target.masks)
    return BoxPlaces([box for box, _ in target.boxes])


def parse_places(target: object, label_of: Callable[[object], int | None]) -> PointTarget:
    """Return a pointing target in any of its forms.

    The forms: those of boxes (`medreward.geometry.regions.parse_boxes`); one mask in a form of
    `medreward.geometry.masks.parse_mask` (of arrays only those of type bool, since four numbers may
    also be a box); a list of such masks, one for each thing to point at; and
    ``{"masks": <list>, "size": [width, height], "seen": [width, height]}``, where polygons need no
    size of their own. A mask without a set pixel is nothing to point at.

    Args:
        target: the target.
        label_of: gives the index of a box's label (None: no label is given).

    Raises:
        ConfigError: if it is none of these, there are more than `MAX_BOXES`, or masks differ in
            size.

    >>> square = {"polygons": [[0, 0, 4, 0, 4, 4, 0, 4]], "size": [8, 8]}
    >>> len(parse_places([square, square], lambda label: None).masks)
    2
    """
    if isinstance(target, MaskPlaces):
        return target
    if isinstance(target, Mapping) and "masks" in target:
        known_fields("target", target, _FIELDS)
        size, seen = (parse_size(name, target.get(name)) for name in ("size", "seen"))
        return _of_masks(target["masks"], size, seen)
    if _is_mask(target):
        mask = parse_mask(target)
        return _of_masks([mask], mask.size, mask.seen)
    if isinstance(target, Sequence) and not isinstance(target, str) and any(map(_is_mask, target)):
        return _of_masks(target, None, None)
    return parse_boxes(target, label_of)


def places_json(target: MaskPlaces) -> str:
    """Return a target of masks as JSON text, which `parse_places` reads back."""
    sizes = {"size": target.size, "seen": target.seen}
    given = {name: [short(v) for v in sides] for name, sides in sizes.items() if sides}
    masks = [{k: v for k, v in mask_json(mask).items() if k != "seen"} for mask in target.masks]
    return json.dumps({"masks": masks, **given})


def bounds(target: PointTarget) -> list[Box]:
    """Return the smallest box around each place; of several annotators those of the first."""
    if isinstance(target, BoxTarget):
        return [box for box, _ in target.boxes]
    found = (coco().toBbox(mask.rle()).tolist() for mask in target.masks)
    return [(x, y, x + width, y + height) for x, y, width, height in found]


def _of_masks(masks: object, size: Size | None, seen: Size | None) -> MaskPlaces:
    if not isinstance(masks, Sequence) or isinstance(masks, str):
        raise ConfigError(f"target masks: {quote(str(masks)[:80])} is not a list of masks")
    if len(masks) > MAX_BOXES:
        raise ConfigError(f"target: {len(masks)} masks; at most {MAX_BOXES} are allowed")
    parsed = [parse_mask(_sized(mask, size)) for mask in masks]
    size = size or (parsed[0].size if parsed else None)
    if size is None:
        raise ConfigError("target: without a mask it needs 'size': [width, height]")
    for mask in parsed:
        if mask.size != size:
            raise ConfigError(
                f"target: a mask of {mask.width} x {mask.height} pixels (width x height) is "
                f"in an image of {size[0]:g} x {size[1]:g}"
            )
    seen = seen or next((mask.seen for mask in parsed if mask.seen), None)
    filled = tuple(mask for mask in parsed if not is_empty(mask))
    return MaskPlaces(filled, size, seen)


def _sized(mask: object, size: Size | None) -> object:
    """Return a mask of the target's list; polygons take the size that stands beside the list."""
    if isinstance(mask, Mapping) and "polygons" in mask and "size" not in mask and size:
        return {**mask, "size": size}
    return mask


def _is_mask(target: object) -> bool:
    """Whether a target, or one of a list, is a mask and no box."""
    if isinstance(target, Mapping):
        return any(name in target for name in _MASK_FIELDS)
    if hasattr(target, "__array_interface__"):
        return getattr(target, "dtype", bool) == bool  # noqa: E721 - a dtype equals its type
    return isinstance(target, MaskTarget)


def _rows(values: Sequence[Sequence[float]], count: int) -> Table:
    """Return the first numbers of all in a row, then the second ones, …: shape (count, values)."""
    import numpy as np

    return np.array(values, np.float64).reshape(-1, count).T


@lru_cache(maxsize=256)
def _pixels(mask: MaskTarget) -> Table:
    """Return whether each pixel is set, rows by columns; not to be written to."""
    return coco().decode(mask.rle()).astype(bool)


@lru_cache(maxsize=256)
def _deepest(mask: MaskTarget) -> Point:
    import numpy as np
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(_pixels(mask), 1))  # the image's edge is a border, too
    y, x = divmod(int(depth.argmax()), depth.shape[1])
    return x - 0.5, y - 0.5
