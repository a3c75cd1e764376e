"""What the tests of moved masks share: masks that are the pictures of their rows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from pycocotools import mask as coco

from medreward import Task
from medreward.data.example import Example
from medreward.data.rows import Row, make_rows
from medreward.task.task import parse_card
from tests.prepare_support import image

LESION = """
name: lesion
kind: segmentation
question: Where is the lesion?
reward: {delta: 0}
"""
TASK = parse_card(LESION)
ELL = {"polygons": [[3, 2, 23, 2, 23, 8, 9, 8, 9, 30, 3, 30]], "size": [60, 40]}  # no symmetry


def packed(values: Any) -> dict[str, Any]:
    """Return a mask as COCO's RLE, as text."""
    rle = coco.encode(np.asfortranarray(values, dtype=np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def listed(values: Any) -> dict[str, Any]:
    """Return a mask as COCO's RLE, as a list of runs."""
    flat, runs, value = np.asarray(values).astype(int).ravel(order="F").tolist(), [0], 0
    for pixel in flat:
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return {"size": list(np.shape(values)), "counts": runs}


def decoded(truth: Any) -> Any:
    """Return the mask in a ground truth as an array of true and false, by pycocotools alone."""
    given = json.loads(truth) if isinstance(truth, str) else truth
    if "polygons" in given:
        width, height = given["size"]
        return coco.decode(coco.merge(coco.frPyObjects(given["polygons"], height, width))) > 0
    counts, (height, width) = given["counts"], given["size"]
    if isinstance(counts, list):
        return coco.decode(coco.frPyObjects(given, height, width)) > 0
    return coco.decode({**given, "counts": counts.encode()}) > 0


def picture(values: Any) -> Image.Image:
    """Return a mask as a picture: white inside, black outside."""
    return Image.fromarray(np.asarray(values, dtype=np.uint8) * np.uint8(255))


def mask_row(target: Any = None, task: Task = TASK, name: str = "train-1") -> Row:
    """Return a row whose picture is its mask."""
    target = ELL if target is None else target
    return next(make_rows([Example(picture(decoded(target)), target, name, "train")], task))


def truth_of(row: Row) -> str:
    truth: str = row["reward_model"]["ground_truth"]
    return truth


def with_truth(row: Row, truth: Any) -> Row:
    return {**row, "reward_model": {**row["reward_model"], "ground_truth": truth}}


def shows_its_mask(row: Row) -> bool:
    """Return whether a row's picture is, pixel by pixel, its mask; for moves without resampling."""
    return np.array_equal(np.asarray(image(row)) > 0, decoded(truth_of(row)))


def near(values: Any, shown: Image.Image, pixels: int) -> bool:
    """Return whether a mask is a picture's bright part, but for so many pixels at its border.

    What was beyond the picture's edge is not known, so a border may be there as well.
    """
    light = shown.convert("L").point(lambda v: 255 if v >= 128 else 0)
    side = 2 * pixels + 1
    inner, outer = (
        np.asarray(ImageOps.crop(ImageOps.expand(light, pixels, beyond).filter(kind(side)), pixels))
        for kind, beyond in ((ImageFilter.MinFilter, 0), (ImageFilter.MaxFilter, 255))
    )
    found = np.asarray(values)
    if found.shape != inner.shape:
        return False
    return not (inner[~found].any() or (outer[found] == 0).any())
