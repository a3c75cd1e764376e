"""How files of masks are named after their images: ``1_mask.png``, ``1_segmentation_2.png``."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

_MASK = re.compile(
    r"(?P<image>.+?)[_ -]?(?:mask|segmentation|seg|label|gt|anno(?:tation)?)(?:[_ -]?\d{1,3})?",
    re.I,
)

_FOLDER = re.compile(r"(ground ?truth|gt|masks?|segmentations?)([_ -]?(png|images?|masks?))?", re.I)


def image_stem(stem: str) -> str:
    """Return the name of the image that a mask's name, without ending, is made from.

    >>> [image_stem(name) for name in ("1_mask", "benign (2)_mask_1", "ISIC_1_segmentation", "2")]
    ['1', 'benign (2)', 'ISIC_1', '2']
    """
    folder, name = os.path.split(stem)
    found = _MASK.fullmatch(name)
    return os.path.join(folder, found["image"]) if found else stem


def find_masks(paths: Collection[str]) -> set[str]:
    """Return the files that are named as a mask of another one.

    These are ``1_mask.png`` beside ``1.jpg``, and ``a/masks/1.png`` where ``a``, or another folder
    in it, has a picture of that name. At the top, ``masks`` may be a class.

    >>> find_masks(["a/1.jpg", "a/1_mask.png", "b/mask.png"])
    {'a/1_mask.png'}
    >>> sorted(find_masks(["a/images/1.png", "a/masks/1.png", "mask/2.png", "bare/2.png"]))
    ['a/masks/1.png']
    """
    stems = {path: os.path.splitext(path)[0] for path in paths}
    known = {*stems.values()}
    shared: set[tuple[str, str]] = set()  # folder and name of what is in it or one level below
    for stem in known:
        if not _FOLDER.fullmatch(os.path.basename(os.path.dirname(stem))):
            folder, name = os.path.split(stem)
            shared |= {(folder, name), (os.path.dirname(folder), name)}
    return {path for path, stem in stems.items() if _is_mask(stem, known, shared)}


def _is_mask(stem: str, known: Collection[str], shared: Collection[tuple[str, str]]) -> bool:
    image = image_stem(stem)
    if image != stem and image in known:
        return True
    folder, name = os.path.split(stem)
    above, own = os.path.split(folder)
    if not above or not _FOLDER.fullmatch(own):
        return False
    return (above, name) in shared or (above, os.path.basename(image)) in shared
