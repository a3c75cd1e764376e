"""How files of masks are named after their images: ``1_mask.png``, ``1_segmentation_2.png``."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

_MASK = re.compile(
    r"(?P<image>.+?)[_ -]?(?:mask|segmentation|seg|label|gt|anno(?:tation)?)(?:[_ -]?\d{1,3})?",
    re.I,
)


def image_stem(stem: str) -> str:
    """Return the name of the image that a mask's name, without ending, is made from.

    >>> [image_stem(name) for name in ("1_mask", "benign (2)_mask_1", "ISIC_1_segmentation", "2")]
    ['1', 'benign (2)', 'ISIC_1', '2']
    """
    folder, name = os.path.split(stem)
    found = _MASK.fullmatch(name)
    return os.path.join(folder, found["image"]) if found else stem


def find_masks(paths: Collection[str]) -> set[str]:
    """Return the files that are named as a mask of another one in the same folder.

    >>> find_masks(["a/1.jpg", "a/1_mask.png", "b/mask.png"])
    {'a/1_mask.png'}
    """
    stems = {path: os.path.splitext(path)[0] for path in paths}
    known = {*stems.values()}
    return {
        path
        for path, stem in stems.items()
        if (image := image_stem(stem)) != stem and image in known
    }
