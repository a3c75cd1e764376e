"""Every transform on a real image, with its boxes.

The stain transform is shown on scikit-image's picture of immunohistochemistry, as the blood smear
has other stains.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from skimage import data as pictures

from medreward.data.render import resize_image
from medreward.data.sources import voc
from medreward.data.sources.boxes import clean_boxes
from medreward.data.sources.record import ReadingOptions
from medreward.files.atomic import replacing
from medreward.perception import Region, Sample, parse
from medreward.perception.transforms import ALL

SMEAR = "BloodImage_00057"
COLUMNS, WIDTH, HEIGHT, LINE, MARGIN = 5, 200, 150, 16, 8
COLOURS = {"RBC": "#e02020", "WBC": "#1050ff", "Platelets": "#00a040"}
SHOWN = [
    "",
    "Flip(horizontal)",
    "Flip(vertical)",
    "Rotate(20)",
    "Rotate(20, expand=true)",
    "Rotate(90, expand=true)",
    "Scale(0.6, same_size=true)",
    "Crop([120, 60, 460, 330])",
    "CropPart(0.6, x=1, y=0)",
    "CropAround(0.8, label=WBC)",
    "Pad(left=160, bottom=90, fill=90)",
    "Letterbox(300, height=300, fill=90)",
    "Gamma(0.5)",
    "Window(level=170, width=110)",
    "CLAHE(0.01)",
    "Noise(20, seed=1)",
    "Blur(4)",
    "BiasField(0.4, seed=5)",
    "ZoomTo(0.5, label=WBC)",
    "BoxOverlay(6, label=WBC)",
    "MarkerOverlay(size=30, width=6)",
    "ContrastBeside(0.02)",
    "Flip() | Rotate(-12) | Gamma(1.4)",
]
STAINED = ["", "StainJitter(haematoxylin=1.8)"]


def smear(folder: Path) -> Sample:
    source = voc.open_voc(folder)
    record = next(r for r in source.records if SMEAR in r.where)
    image = source.load(source.fetch(record), ReadingOptions()).image
    boxes, _ = clean_boxes(record.boxes or (), image.size, record.where)
    regions = [Region(box, name, key=key) for key, (name, box) in enumerate(boxes)]
    return Sample((image,), tuple(regions))


def drawn(image: Image.Image, sample: Sample) -> Image.Image:
    """Return an image of a sample to fit a tile, with its boxes."""
    scale = min(WIDTH / image.width, HEIGHT / image.height)
    small = image.convert("RGB").resize((round(image.width * scale), round(image.height * scale)))
    pen = ImageDraw.Draw(small)
    for region in sample.regions:
        x1, y1, x2, y2 = (round(v * scale) for v in region.box)
        colour = COLOURS.get(region.label, "#e02020")
        pen.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=colour, width=2)
    return small


def tile(text: str, sample: Sample) -> Image.Image:
    after = parse(text)(sample)
    canvas = Image.new("RGB", (WIDTH, HEIGHT + LINE), "#202020")
    shown = after if "Overlay" not in text else replace(after, regions=())
    images = [drawn(image, shown) for image in after.images]
    if len(images) > 1:  # side by side
        images = [resize_image(image, WIDTH // len(images) - 2) for image in images]
    for i, image in enumerate(images):
        middle = WIDTH * (2 * i + 1) // (2 * len(images))
        canvas.paste(image, (middle - image.width // 2, LINE + (HEIGHT - image.height) // 2))
    pen, font = ImageDraw.Draw(canvas), fitting(text or "as it is")
    pen.text((1, 0), text or "as it is", fill="white", font=font)
    return canvas


def fitting(text: str) -> Any:
    sizes = (ImageFont.load_default(size=size) for size in (13, 12, 11, 10, 9))
    return next(font for font in sizes if font.getlength(text) <= WIDTH - 2 or font.size == 9)


def draw(data: Path, path: Path) -> None:
    """Write the sheet; data holds the folder `bccd` (Pascal VOC)."""
    named = " ".join(SHOWN + STAINED)
    missing = [kind.__name__ for kind in ALL if f"{kind.__name__}(" not in named]
    if missing:
        sys.exit(f"not on the sheet: {', '.join(missing)}")
    blood = smear(data / "bccd")
    tissue = Sample((Image.fromarray(pictures.immunohistochemistry()),))
    tiles = [tile(text, blood) for text in SHOWN] + [tile(text, tissue) for text in STAINED]
    rows = -(-len(tiles) // COLUMNS)
    size = COLUMNS * (WIDTH + MARGIN) + MARGIN, rows * (HEIGHT + LINE + MARGIN) + MARGIN
    sheet = Image.new("RGB", size, "#202020")
    for i, made in enumerate(tiles):
        x, y = i % COLUMNS * (WIDTH + MARGIN), i // COLUMNS * (HEIGHT + LINE + MARGIN)
        sheet.paste(made, (x + MARGIN, y + MARGIN))
    with replacing(path) as scratch:
        sheet.save(scratch, format="JPEG", quality=82, optimize=True)
