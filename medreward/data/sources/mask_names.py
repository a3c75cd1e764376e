"""How files of masks are named after their images: ``1_mask.png``, ``1_segmentation_2.png``."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from medreward.data.splits import split_or_none

_WORDS = (
    r"mask|msk|segmentation|seg|label|gt|ground[ _-]?truth|truth|anno(?:tation)?|manual|outline"
)
_MASK = re.compile(rf"(?P<image>.+?)[_ -]?(?:{_WORDS})(?:[_ -]?\d{{1,3}})?", re.I)
_BEFORE = re.compile(rf"(?:{_WORDS})[_ -](?P<image>.+)", re.I)
_FOLDER = re.compile(
    r"(ground ?truth|gt|masks?|segmentations?|labels?|annotations?|contours?)"
    r"([_ -]?(png|images?|masks?))?",
    re.I,
)
_IMAGES = re.compile(
    r"(jpeg|orig(inal)?|raw)?[_ -]?(images?|imgs?|pictures?|photos?|scans?|frames?|inputs?)", re.I
)
_JOINTS = re.compile(r"[_ .-]")


def image_stem(stem: str) -> str:
    """Return the name of the image that a mask's name, without ending, is made from.

    >>> [image_stem(name) for name in ("1_mask", "benign (2)_mask_1", "ISIC_1_segmentation", "2")]
    ['1', 'benign (2)', 'ISIC_1', '2']
    >>> image_stem("masks/mask_7")
    'masks/7'
    """
    folder, name = os.path.split(stem)
    found = _MASK.fullmatch(name) or _BEFORE.fullmatch(name)
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


def pair_by_folders(paths: Iterable[str]) -> dict[str, str]:
    """Return masks with their images, where folders such as masks and images hold the same names.

    The folders may lie at any level. At least half of the masks have to have an image.

    >>> pair_by_folders(["train/images/1.jpg", "train/masks/1_mask.png", "train/images/2.jpg"])
    {'train/masks/1_mask.png': 'train/images/1.jpg'}
    >>> pair_by_folders(["images/1.png", "masks/8.png", "masks/9.png", "mask/1.png"])
    {}
    """
    images: dict[str, str] = {}
    masks: dict[str, str] = {}
    for path in paths:
        parts = os.path.splitext(path)[0].split(os.sep)
        for i, part in enumerate(parts[:-1]):
            rest = os.path.join(*parts[:i], *parts[i + 1 :])
            if _IMAGES.fullmatch(part):
                images[rest] = path
            elif _FOLDER.fullmatch(part):
                masks[path] = rest
    found = {path: images.get(rest) or images.get(image_stem(rest)) for path, rest in masks.items()}
    paired = {path: image for path, image in found.items() if image}
    return paired if 2 * len(paired) >= len(masks) else {}


def in_place_of_classes(pairs: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the folders of images and of masks that stand where folders of classes would, if any.

    That is at the top, or below a folder that is named as a split.

    >>> in_place_of_classes({"train/masks/1.png": "train/images/1.png"})
    ('images', 'masks')
    >>> in_place_of_classes({"benign/masks/1.png": "benign/images/1.png"})
    """
    for mask, image in pairs.items():
        own, other = image.split(os.sep), mask.split(os.sep)
        at = 1 if own[0] == other[0] and split_or_none(own[0]) else 0
        if own[at] != other[at]:
            return own[at], other[at]
    return None


def find_derived(paths: Iterable[str]) -> dict[str, str]:
    """Return the files named after another one of their folder by a word, and that one.

    Such a file may be a mask, an overlay, or a changed copy. A number behind a name says nothing.

    >>> find_derived(["a/1.png", "a/1_overlay.png", "a/1-2.png", "b/flip_1.png", "b/1.png"])
    {'a/1_overlay.png': 'a/1.png', 'b/flip_1.png': 'b/1.png'}
    """
    stems = {os.path.splitext(path)[0]: path for path in paths}
    found = {}
    for stem, path in stems.items():
        folder, name = os.path.split(stem)
        for base in _bases(name):
            other = stems.get(os.path.join(folder, base))
            if other is not None:
                found[path] = other
                break
    return found


def _bases(name: str) -> Iterable[str]:
    """Yield what is left of a name without a word behind or before it."""
    for joint in _JOINTS.finditer(name):
        before, behind = name[: joint.start()], name[joint.end() :]
        if behind[:1].isalpha():
            yield before
        if before.isalpha():
            yield behind


def pair_by_rest(images: Sequence[str], masks: Sequence[str]) -> dict[str, str]:
    """Return the mask of each image, by what is left of names without what all have in common.

    ``21_training`` and ``21_manual1``, ``bus_1`` and ``mask_1``, ``IMD2`` and ``IMD2_lesion``. Of
    both there have to be two at least, and each image has to have a mask of its own.

    >>> pair_by_rest(["21_training.tif", "22_training.tif"], ["22_manual1.gif", "21_manual1.gif"])
    {'21_training.tif': '21_manual1.gif', '22_training.tif': '22_manual1.gif'}
    >>> pair_by_rest(["a.png", "b.png"], ["a_x.png", "c_x.png"])
    {}
    """
    own, others = _rests(images), _rests(masks)
    if len(own) < 2 or len({*own.values()}) < len(own) or len({*others.values()}) < len(others):
        return {}
    by_rest = {rest: path for path, rest in others.items()}
    if not all(rest in by_rest for rest in own.values()):
        return {}
    return {path: by_rest[rest] for path, rest in own.items()}


def _rests(paths: Sequence[str]) -> dict[str, str]:
    """Return each path with its name without the words that all names begin and end with."""
    parts = {
        path: re.split(r"([_ .-])", os.path.splitext(os.path.basename(path))[0]) for path in paths
    }
    if len(parts) < 2:
        return {}
    names = [*parts.values()]
    start = _common(names)
    stop = _common([[*reversed(name[start:])] for name in names])
    return {path: "".join(name[start : len(name) - stop]) for path, name in parts.items()}


def _common(lists: Sequence[Sequence[str]]) -> int:
    """Return with how many equal words all lists begin; one word of each is left."""
    most = min(map(len, lists)) - 1
    return next((i for i in range(most) if len({one[i] for one in lists}) > 1), most)
