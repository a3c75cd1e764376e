"""A target of masks -> a region for each, and back after they were moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from medreward.geometry.masks import MaskTarget, coco, parse_mask
from medreward.geometry.places import MaskPlaces
from medreward.geometry.regions import check_size
from medreward.perception.affine import moved, resized
from medreward.perception.sample import Region, Sample
from medreward.perception.target import OTHERS

Size = tuple[int, int]


def mask_regions(target: MaskTarget, size: Size) -> tuple[Region, ...]:
    """Return a target on an image of a size as one region with the key 0; none if it is empty.

    Raises:
        ConfigError: if the target is for an image of another size.
    """
    check_size(target.size, size)
    values = coco().decode(target.rle())
    return (Region.of_mask(Image.fromarray(values * np.uint8(255))),) if values.any() else ()


def own_regions(sample: Sample) -> list[Region]:
    """Return the regions of a sample that are the target's, not those of attention aids."""
    return [region for region in sample.regions if region.key < OTHERS]


def with_mask(target: MaskTarget, sample: Sample) -> MaskTarget:
    """Return a target with the mask of the region 0 of a sample; empty if it has none.

    What the processor makes of an image (``seen``) is forgotten if the image has another size now.
    """
    masks = [region.mask for region in own_regions(sample)]
    found = parse_mask(np.asarray(masks[0] if masks else Image.new("L", sample.size)))
    return replace(found, seen=target.seen if found.size == target.size else None)


def with_masks(target: MaskPlaces, sample: Sample) -> MaskPlaces:
    """Return a pointing target with the masks of the regions of a sample that are left.

    What the processor makes of an image (``seen``) is forgotten if the image has another size now.
    """
    size = float(sample.size[0]), float(sample.size[1])
    masks = tuple(parse_mask(np.asarray(region.mask)) for region in own_regions(sample))
    return MaskPlaces(masks, size, target.seen if target.size == size else None)


def resize_mask(target: MaskTarget, size: Size) -> MaskTarget:
    """Return the target of an image that was brought to another size.

    >>> target = parse_mask({"polygons": [[0, 0, 4, 0, 4, 4, 0, 4]], "size": [8, 8]})
    >>> resize_mask(target, (16, 4)) == parse_mask(
    ...     {"polygons": [[0, 0, 8, 0, 8, 2, 0, 2]], "size": [16, 4]}
    ... )
    True
    """
    old = target.width, target.height
    sample = Sample((Image.new("L", old),), mask_regions(target, old))
    return with_mask(target, moved(sample, resized(old, size)))
