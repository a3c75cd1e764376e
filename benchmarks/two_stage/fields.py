"""Fields of blood smears: square windows of BCCD's images, with boxes and the kinds of cells."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from PIL import Image
from medreward.data.example import Example

Box = tuple[float, float, float, float]
WINDOW = 320
VISIBLE = 0.6
KINDS = {"WBC": 1, "Platelets": 2}


class Field(NamedTuple):
    image: Image.Image
    boxes: list[tuple[str, Box]]


def fields(folder, names, per_image, size, seed):
    for name in names:
        chance = random.Random(f"{seed} {name}")
        tree = ElementTree.parse(folder / "Annotations" / f"{name}.xml").getroot()
        boxes = []
        for o in tree.iter("object"):
            b = o.find("bndbox")
            box = tuple(float(b.find(k).text) for k in ("xmin", "ymin", "xmax", "ymax"))
            if o.find("name").text in KINDS and box[0] < box[2] and box[1] < box[3]:
                boxes.append((o.find("name").text, box))
        image = Image.open(folder / "JPEGImages" / f"{name}.jpg").convert("RGB")
        made = 0
        while made < per_image:
            x, y = chance.randint(0, image.width - WINDOW), chance.randint(0, image.height - WINDOW)
            seen = window(boxes, x, y, size / WINDOW)
            if seen is None:
                continue
            crop = image.crop((x, y, x + WINDOW, y + WINDOW)).resize((size, size), Image.Resampling.BILINEAR)
            if chance.random() < 0.5:
                crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                seen = [(k, (size - b[2], b[1], size - b[0], b[3])) for k, b in seen]
            yield f"{name}-{made}", crop, sorted(seen, key=lambda s: s[1])
            made += 1


def window(boxes, x, y, scale):
    out = []
    for kind, (x1, y1, x2, y2) in boxes:
        a = max(x1, x), max(y1, y), min(x2, x + WINDOW), min(y2, y + WINDOW)
        if a[0] >= a[2] or a[1] >= a[3]:
            continue
        share = (a[2] - a[0]) * (a[3] - a[1]) / ((x2 - x1) * (y2 - y1))
        if share < 0.1:
            continue
        if share < VISIBLE:
            return None
        b = tuple(round(v * scale) for v in (a[0] - x, a[1] - y, a[2] - x, a[3] - y))
        if b[0] < b[2] and b[1] < b[3]:
            out.append((kind, b))
    return out


def label(boxes):
    return sum({KINDS[k] for k, _ in boxes})
