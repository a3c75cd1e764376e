"""A localisation target -> regions, and back after they were moved.

A target is a list of boxes ``[x1, y1, x2, y2]`` or of ``{"box": …, "label": …}``; or a mapping with
such a list as ``boxes``, or with a list of lists as ``annotators``, and ``size``, ``seen``.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

from medreward.data.render import scaled
from medreward.data.sources.record import NamedBox
from medreward.errors import ConfigError
from medreward.perception.sample import Region

Size = tuple[int, int]


def regions_of(target: Any, size: Size, first: int = 0, annotator: int = 0) -> tuple[Region, ...]:
    """Return the boxes of a target on an image of a size as regions, with keys from `first` on.

    A box that reaches over the image's border is cut there.

    Raises:
        ConfigError: if it is not a target, is for an image of another size, or a box is off it.
    """
    if isinstance(target, Mapping):
        told = target.get("size")
        if told is not None and tuple(told) != size:
            raise ConfigError(f"target: its size {told!r} is not that of the image, {[*size]}")
    items = ((a, item) for a, group in enumerate(_groups(target)) for item in group)
    return tuple(
        _region(item, size, annotator + a, first + number) for number, (a, item) in enumerate(items)
    )


def with_regions(target: Any, regions: Mapping[int, Region], size: Size, first: int = 0) -> Any:
    """Return a target with the boxes of the regions that are left, in whole pixels.

    Args:
        target: as it was.
        regions: what is left of it, by key.
        size: of the new image.
        first: key of the first box.
    """
    numbers = iter(range(first, first + sum(map(len, _groups(target)))))
    groups = [
        [_item(item, regions[n], size) for item in group if (n := next(numbers)) in regions]
        for group in _groups(target)
    ]
    if not isinstance(target, Mapping):
        return groups[0]
    resized = {"size": [*size]} if "size" in target else {}
    # What the processor makes of an image of another size is not known here.
    kept = {k: v for k, v in target.items() if k != "seen" or target.get("size") == [*size]}
    if "annotators" in target:
        return {**kept, "annotators": groups, **resized}
    return {**kept, "boxes": groups[0], **resized}


def _groups(target: Any) -> list[list[Any]]:
    """Return the list of items of each annotator."""
    if isinstance(target, Mapping):
        if "annotators" in target:
            return [_items(group) for group in _items(target["annotators"])]
        target = target.get("boxes")
    items = _items(target)
    return [[items] if len(items) == 4 and isinstance(items[0], Real) else items]


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"target: {value!r} is not a list of boxes")
    return list(value)


def _region(item: Any, size: Size, annotator: int, key: int) -> Region:
    box = item.get("box") if isinstance(item, Mapping) else item
    label = str(item.get("label") or "") if isinstance(item, Mapping) else ""
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(_is_number, box)):
        raise ConfigError(f"target: {item!r} is not a box [x1, y1, x2, y2]")
    clipped = tuple(
        min(max(float(value), 0.0), float(side)) for value, side in zip(box, size * 2, strict=True)
    )
    x1, y1, x2, y2 = clipped
    if not (x1 < x2 and y1 < y2):
        raise ConfigError(f"target: box {box!r} has no area on the image of {size} pixels")
    return Region((x1, y1, x2, y2), label, annotator=annotator, key=key)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _item(item: Any, region: Region, size: Size) -> Any:
    box = [int(value) for value in scaled(NamedBox("", region.box), size, size).box]
    if not isinstance(item, Mapping):
        return box
    return {**item, "box": box, **({"label": region.label} if "label" in item else {})}
