"""Transforms against torchvision's and albumentations' of the same meaning, boxes moved along.

Each works on the kind of image that it is made for, which is in memory: medreward on Pillow's,
torchvision on tensors (or Pillow's, where only these are bicubic), albumentations on arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.speed.measure import REPEATS, Pair, Row, compared, installed
from medreward.perception import Pipeline, Region, Sample, parse

Boxes = list[tuple[float, float, float, float]]
Pixels = tuple[Any, Boxes]  # an array (height, width, 3), and what is marked on it
BOXES: Boxes = [(x, y, x + 60, y + 50) for x in range(50, 500, 110) for y in range(40, 380, 90)]
CORNERS = (60, 60, 460, 345)  # cuts some boxes, by less than would drop them, and loses four
VISIBLE = 0.3  # medreward's share of a box that has to be left
TIMES = 20


class Operation(NamedTuple):
    """A change that all make.

    Attributes:
        name: what it is.
        text: medreward's transform.
        plain: the same by Pillow alone, without boxes.
        near: by how much pixels may differ from torchvision's and albumentations' in the mean.
        box: by how many pixels boxes may differ.
    """

    name: str
    text: str
    plain: Callable[[Image.Image], Image.Image]
    near: tuple[float, float]
    box: float = 1e-3


_GAMMA = [round(255 * (value / 255) ** 0.8) for value in range(256)] * 3
OPERATIONS = {
    "crop": Operation(
        "flip and crop",
        f"Flip(horizontal) | Crop({list(CORNERS)})",
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop(CORNERS),
        (0.0, 0.0),
    ),
    "scale": Operation(
        "scale by a half",
        "Scale(factor=0.5)",
        lambda image: image.resize((320, 240), Image.Resampling.BICUBIC),
        (0.05, 1.5),
    ),
    "rotate": Operation(
        "rotate by 10°",
        "Rotate(degrees=10)",
        lambda image: image.rotate(10, Image.Resampling.BICUBIC),
        (0.0, 1.0),
    ),
    "gamma": Operation(
        "gamma 0.8", "Gamma(gamma=0.8)", lambda image: image.point(_GAMMA), (0.25, 0.6)
    ),
}


def rows(image: Image.Image, short: bool) -> Iterator[Row]:
    """Compare on an RGB image of 640×480; no rows for what is not installed."""
    makers = {
        "torchvision": (installed("torchvision"), torchvision, 0),
        "albumentations": (installed("albumentations"), albumentations, 1),
    }
    for name, (module, maker, place) in makers.items():
        for key, operation in OPERATIONS.items() if module else ():
            theirs, on = maker(key, image)
            pair = Pair(
                partial(_again, partial(medreward, parse(operation.text), image)),
                partial(_again, theirs),
                partial(_agree, operation, operation.near[place]),
                TIMES,
                "Pillow's work on the pixels",
                partial(_again, partial(operation.plain, image)),
            )
            what = f"{operation.name}, {len(BOXES)} boxes"
            yield compared(
                (what, "640×480 in memory", f"{name}, {on}"), pair, 0 if short else REPEATS
            )


def medreward(pipeline: Pipeline, image: Image.Image) -> tuple[Image.Image, Boxes]:
    regions = tuple(Region(box, "cell", key=key) for key, box in enumerate(BOXES))
    after = pipeline(Sample((image,), regions))
    return after.image, [region.box for region in after.regions]


def torchvision(key: str, image: Image.Image) -> tuple[Callable[[], Any], str]:
    """Return what makes the change, and what it works on."""
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    values: Any = image if key == "rotate" else v2.functional.pil_to_tensor(image)
    flip, bicubic = v2.RandomHorizontalFlip(p=1.0), v2.InterpolationMode.BICUBIC
    left, top, right, bottom = CORNERS
    crop = partial(v2.functional.crop, top=top, left=left, height=bottom - top, width=right - left)
    change = {
        "crop": v2.Compose([flip, lambda both: tuple(map(crop, both)), _dropping(v2, torch)]),
        "scale": v2.Resize((240, 320), interpolation=bicubic, antialias=True),
        "rotate": v2.RandomRotation((10, 10), interpolation=bicubic),
        "gamma": lambda both: (v2.functional.adjust_gamma(both[0], 0.8), both[1]),
    }[key]

    def theirs() -> Any:
        wrapped = values if key == "rotate" else tv_tensors.Image(values)
        boxes = tv_tensors.BoundingBoxes(
            torch.tensor(BOXES, dtype=torch.float32), format="XYXY", canvas_size=(480, 640)
        )
        return change((wrapped, boxes))

    return theirs, "Pillow's images" if key == "rotate" else "tensors"


def _dropping(v2: Any, torch: Any) -> Callable[[Any], Any]:
    """Return torchvision's way to drop boxes without area, which takes labels along."""
    sanitize = v2.SanitizeBoundingBoxes(labels_getter=lambda sample: sample["labels"])

    def dropped(both: Any) -> Any:
        sample = {"image": both[0], "boxes": both[1], "labels": torch.arange(len(both[1]))}
        after = sanitize(sample)
        return after["image"], after["boxes"]

    return dropped


def albumentations(key: str, image: Image.Image) -> tuple[Callable[[], Any], str]:
    """Return what makes the change, and what it works on."""
    import albumentations as module
    import cv2

    cv2.setNumThreads(1)
    values = np.asarray(image)
    left, top, right, bottom = CORNERS
    change = {
        "crop": [module.HorizontalFlip(p=1.0), module.Crop(left, top, right, bottom, p=1.0)],
        "scale": [module.Resize(240, 320, interpolation=cv2.INTER_AREA, p=1.0)],
        "rotate": [module.Rotate((10, 10), interpolation=cv2.INTER_CUBIC, p=1.0)],
        "gamma": [module.RandomGamma((80, 80), p=1.0)],
    }[key]
    boxes = module.BboxParams("pascal_voc", min_visibility=VISIBLE, label_fields=["labels"])
    pipeline = module.Compose(change, bbox_params=boxes)
    labels = ["cell"] * len(BOXES)

    def theirs() -> Any:
        after = pipeline(image=values, bboxes=BOXES, labels=labels)
        return after["image"], after["bboxes"]

    return theirs, "arrays"


def _again(work: Callable[[], Any]) -> Any:
    for _ in range(TIMES - 1):
        work()
    return work()


def _agree(operation: Operation, near: float, ours: Any, theirs: Any) -> None:
    """Compare pixels, in the mean, and boxes."""
    (image, boxes), (other, others) = ours, theirs
    values = other.numpy().transpose(1, 2, 0) if hasattr(other, "numpy") else np.asarray(other)
    apart = np.abs(np.asarray(image).astype(float) - values).mean()
    assert apart <= near, f"{operation.name}: pixels differ by {apart:.3g} in the mean"
    far = np.abs(np.array(boxes) - np.array([list(map(float, box)) for box in others])).max()
    assert far <= operation.box, f"{operation.name}: boxes differ by {far:.3g} pixels"
