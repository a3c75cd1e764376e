"""A folder for each class: ``[split/]class/…/image``."""

from __future__ import annotations

from pathlib import Path

from medreward.data.images import ImageFile
from medreward.data.sources.record import (
    SPLITS,
    Found,
    Record,
    folder,
    image_files,
    safe_ids,
    shown,
)
from medreward.errors import ConfigError


def records(path: Path) -> Found:
    """Return the images below `path`; the first folder on the way to an image is its label.

    If every first folder is named as a split (train, val, valid, validation, test), it is the
    split, and the second folder the label.

    Raises:
        ConfigError: if there are no images in folders.
    """
    names = image_files(folder(path))
    inside = [name for name in names if "/" in name]
    if not inside:
        raise ConfigError(f"{shown(path)}: there are no images in folders, one folder a class")
    parts = [name.split("/") for name in inside]
    depth = 1 if all(p[0].lower() in SPLITS and len(p) > 2 for p in parts) else 0
    found = [
        Record(
            new,
            ImageFile(path, name),
            shown(name),
            label=part[depth],
            split=SPLITS[part[0].lower()] if depth else None,
        )
        for name, new, part in zip(inside, safe_ids(inside), parts, strict=True)
    ]
    outside = [name for name in names if "/" not in name]
    return Found(found, [f"in no class's folder, left out: {shown(name)}" for name in outside])
