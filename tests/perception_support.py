"""What the tests of the transforms share: samples, and strategies that draw them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from PIL import Image, ImageDraw

from medreward.geometry.regions import Box
from medreward.perception.sample import Region, Sample
from medreward.perception.transforms import ALL
from medreward.perception.transforms.parameter import ParameterKind, kind_of
from tests.prepare_support import noise


def sample(width: int = 60, height: int = 40, *boxes: Box, mode: str = "L") -> Sample:
    image = noise(1, width, height, 1 if mode == "L" else 3)
    regions = tuple(Region(box, f"cell {i}", key=i) for i, box in enumerate(boxes))
    return Sample((image,), regions)


def box_mask(size: tuple[int, int], box: tuple[int, ...]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def ellipse_mask(size: tuple[int, int], box: tuple[int, ...]) -> Image.Image:
    """Return an ellipse that touches the sides of a box, with one pixel at least."""
    x1, y1, x2, y2 = box
    mask = Image.new("L", size)
    mask.putpixel(((x1 + x2) // 2, (y1 + y2) // 2), 255)
    ImageDraw.Draw(mask).ellipse((x1, y1, x2 - 1, y2 - 1), fill=255)
    return mask


@st.composite
def boxes(draw: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    width, height = size
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return x1, y1, draw(st.integers(x1 + 1, width)), draw(st.integers(y1 + 1, height))


@st.composite
def samples(draw: Any, mask: Any = None, most: int = 3, mode: str | None = None) -> Sample:
    """Draw a sample with some boxes; with masks of a shape if `mask` makes them."""
    size = draw(st.integers(8, 64)), draw(st.integers(8, 64))
    mode = mode or draw(st.sampled_from(["L", "RGB"]))
    image = noise(draw(st.integers(0, 99)), *size, 1 if mode == "L" else 3)
    regions = []
    for key in range(draw(st.integers(0 if mask is None else 1, most))):
        box = draw(boxes(size))
        made = None if mask is None else mask(size, box)
        region = Region(box, "cell") if made is None else Region.of_mask(made, "cell")
        regions.append(Region(region.box, "cell", made, key=key))
    return Sample((image,), tuple(regions))


def _scalar(kind: ParameterKind) -> st.SearchStrategy[Any]:
    if kind.flag:
        return st.booleans()
    if kind.words:
        return st.text(max_size=8) if kind.words == ("",) else st.sampled_from(kind.words)
    if kind.whole:
        return st.integers(int(kind.low), int(kind.high))
    return st.floats(kind.low, kind.high)


@st.composite
def _box(draw: Any) -> tuple[float, float, float, float]:
    x1, y1, width, height = (draw(st.integers(0, 500)) for _ in range(4))
    return float(x1), float(y1), float(x1 + width + 1), float(y1 + height + 1)


def _value(kind: ParameterKind) -> st.SearchStrategy[Any]:
    from medreward.perception import Choice, Range

    if kind.box:
        return _box()
    scalar = _scalar(kind)
    values = st.lists(scalar, min_size=2, max_size=3).map(lambda v: Choice(tuple(v)))
    kinds = [scalar, values]
    if kind.low < kind.high and not kind.words:
        pairs = st.tuples(scalar, scalar).filter(lambda pair: pair[0] < pair[1])
        kinds.append(pairs.map(lambda pair: Range(*pair)))
    if kind.none:
        kinds = [st.none(), scalar]
    return st.one_of(kinds)


@st.composite
def transforms(draw: Any) -> Any:
    """Draw any transform with any parameters that it allows."""
    from dataclasses import fields

    kind = draw(st.sampled_from(ALL))
    values = {}
    for f in fields(kind):
        if f.name == "p":
            values["p"] = draw(st.floats(0, 1))
        elif f.name == "box" or draw(st.booleans()):
            values[f.name] = draw(_value(kind_of(f)))
    return kind(**values)


# One moderate, random form of each transform; those without boxes to go by still work.
MODERATE = {
    "Flip": "Flip(axis=horizontal/vertical)",
    "Rotate": "Rotate(degrees=-180..180, expand=true/false)",
    "Scale": "Scale(factor=0.4..2.5, same_size=true/false)",
    "Crop": "Crop(box=[2, 2, 7, 7])",
    "CropPart": "CropPart(share=0.3..1, x=0..1, y=0..1)",
    "CropAround": "CropAround(margin=0..2, shift_x=-1..1, shift_y=-1..1, of=all/largest)",
    "Pad": "Pad(left=0..9, top=0..9, right=0..9, bottom=0..9)",
    "Letterbox": "Letterbox(width=16..80, height=16..80)",
    "Gamma": "Gamma(gamma=0.5..2)",
    "Window": "Window(level=80..160, width=60..300)",
    "CLAHE": "CLAHE(clip_limit=0.005..0.05, tiles=2..4)",
    "Noise": "Noise(std=1..20)",
    "Blur": "Blur(sigma=0.5..3)",
    "BiasField": "BiasField(strength=0.1..0.5)",
    "StainJitter": "StainJitter(haematoxylin=0.7..1.3, eosin=0.7..1.3, eosin_shift=-0.1..0.1)",
    "ZoomTo": "ZoomTo(margin=0.1..2)",
    "BoxOverlay": "BoxOverlay(width=1..3)",
    "MarkerOverlay": "MarkerOverlay(shape=circle/cross, size=2..9)",
    "ContrastBeside": "ContrastBeside(tiles=2..4)",
}


def drawn(name: str, seed: int) -> Any:
    """Return one transform of a name, fixed."""
    from medreward.perception import parse

    return parse(MODERATE[name]).draw(seed, "row")
