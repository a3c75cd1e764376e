"""Masks: run lengths in COCO's form, polygons and arrays -> one form in which they are compared.

COCO's run-length encoding (RLE) is ``{"size": [height, width], "counts": …}``: the lengths of runs
of 0s and 1s in turn, column by column, as a list, or packed into a text. Rasterising and comparing
is pycocotools' work; what comes from a model is checked first, so that no text can make it read or
write outside of its memory, or allocate more than the image's size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from medreward.checks import number
from medreward.errors import ConfigError, quote
from medreward.geometry.regions import Size

MAX_SIDE = 16_384
# A polygon longer than this many times the image's width plus height is no outline of anything.
_LONGEST_OUTLINE = 50.0


class MaskError(ValueError):
    """A mask is not well formed; the message says why."""


@dataclass(frozen=True)
class MaskTarget:
    """A mask of the stored image.

    Attributes:
        counts: its run lengths, packed as by COCO.
        width: of the image in pixels.
        height: of the image in pixels.
        seen: width and height after the processor's resize, where known.
    """

    counts: str
    width: int
    height: int
    seen: Size | None = None

    @property
    def size(self) -> Size:
        """Width and height of the stored image."""
        return float(self.width), float(self.height)

    def rle(self) -> dict[str, Any]:
        """Return the mask as pycocotools takes it."""
        return {"size": [self.height, self.width], "counts": self.counts.encode("ascii")}


def parse_mask(target: object) -> MaskTarget:
    """Return a target in any of its forms as a `MaskTarget`.

    The forms: COCO's RLE, packed or as a list; an array or image of 0s and other values;
    ``{"polygons": [[x1, y1, x2, y2, …], …], "size": [width, height]}``, empty where there is
    nothing; each mapping with ``"seen": [width, height]`` if need be.

    Raises:
        ConfigError: if it is none of these, or pycocotools is not installed.
    """
    if isinstance(target, MaskTarget):
        return target
    try:
        if isinstance(target, Mapping):
            return _from_mapping(target)
        if hasattr(target, "__array_interface__") or hasattr(target, "__array__"):
            return _from_array(target)
    except MaskError as error:
        raise ConfigError(f"target mask: {error}") from error
    raise ConfigError(
        f"target {quote(str(target)[:80])} is not a mask: COCO's RLE, an array, or polygons "
        f"with a size"
    )


def mask_json(target: MaskTarget) -> dict[str, Any]:
    """Return a target as JSON-ready RLE, which `parse_mask` reads back."""
    seen = {"seen": list(target.seen)} if target.seen else {}
    return {"size": [target.height, target.width], "counts": target.counts, **seen}


def rle_of_counts(counts: object, size: object, width: int, height: int) -> dict[str, Any]:
    """Return checked run lengths as pycocotools' RLE.

    Raises:
        MaskError: if the size is another one, or the runs do not fill the image exactly.
    """
    if _plain(size) != [height, width]:
        raise MaskError(f"RLE size {quote(size)} is not [height, width] = {[height, width]}")
    runs = list(_unpacked(counts)) if isinstance(counts, str | bytes) else _plain(counts)
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise MaskError("RLE counts are neither a packed text nor a list of whole numbers")
    if sum(runs) != width * height:
        raise MaskError(f"RLE counts sum to {sum(runs)}, not to {width} x {height}")
    checked = {"size": [height, width], "counts": _without_empty(runs)}
    rle: dict[str, Any] = coco().frPyObjects(checked, height, width)
    return rle


def rle_of_polygons(
    polygons: Sequence[Sequence[float]], width: int, height: int, *, beyond: float = 1
) -> dict[str, Any]:
    """Return the union of polygons ``[x1, y1, x2, y2, …]`` in pixels as pycocotools' RLE.

    Corners may lie up to `beyond` pixels outside of the image; what is outside holds no pixel.

    Raises:
        MaskError: if one has fewer than three corners, leaves the image or is far too long.
    """
    outline = 0.0
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise MaskError(f"a polygon has {len(polygon)} numbers, not 6, 8, 10, …")
        xs, ys = polygon[::2], polygon[1::2]
        if min(*xs, *ys) < -beyond or max(xs) > width + beyond or max(ys) > height + beyond:
            raise MaskError("a polygon leaves the image")
        corners = list(zip(xs, ys, strict=True))
        following = corners[1:] + corners[:1]
        outline += sum(
            max(abs(a[0] - b[0]), abs(a[1] - b[1])) for a, b in zip(corners, following, strict=True)
        )
    if outline > _LONGEST_OUTLINE * (width + height):
        raise MaskError("the polygons are far longer than an outline can be")
    if not polygons:
        return rle_of_counts([width * height], [height, width], width, height)
    module = coco()
    found = module.frPyObjects([list(map(float, p)) for p in polygons], height, width)
    rle: dict[str, Any] = module.merge(found)
    return rle


def is_empty(target: MaskTarget) -> bool:
    """Whether no pixel of a mask is set."""
    return not coco().area(target.rle())


def coco() -> Any:
    """Return pycocotools' module of masks.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ConfigError(
            f"masks need pycocotools (pip install 'medreward[masks]'): {error}"
        ) from error
    return mask


def _from_mapping(target: Mapping[str, Any]) -> MaskTarget:
    allowed = {"size", "seen", "polygons" if "polygons" in target else "counts"}
    unknown = sorted(set(target) - allowed)
    if unknown or "size" not in target:
        raise MaskError(
            f"its fields are {', '.join(map(str, target))}; {sorted(allowed)} are meant"
        )
    seen = _sides("seen", target["seen"]) if target.get("seen") is not None else None
    one, other = _sides("size", target["size"])
    if "polygons" in target:
        rle = rle_of_polygons(_flat(target["polygons"]), one, other)
    else:
        rle = rle_of_counts(target.get("counts"), [one, other], other, one)
    return _target(rle, seen and (float(seen[0]), float(seen[1])))


def _from_array(target: Any) -> MaskTarget:
    import numpy as np

    values = np.asarray(target)
    if values.ndim != 2 or not values.size or max(values.shape) > MAX_SIDE:
        raise MaskError(f"an array of shape {values.shape} is not one of height and width")
    return _target(coco().encode(np.asfortranarray(values != 0, dtype=np.uint8)), None)


def _target(rle: Mapping[str, Any], seen: Size | None) -> MaskTarget:
    height, width = rle["size"]
    return MaskTarget(rle["counts"].decode("ascii"), int(width), int(height), seen)


def _sides(name: str, value: object) -> tuple[int, int]:
    value = _plain(value)
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise MaskError(f"{name}: {quote(value)} is not two sides")
    one, other = (int(number(f"target {name}", side, 1, MAX_SIDE)) for side in value)
    return one, other


def _flat(polygons: object) -> list[list[float]]:
    value = _plain(polygons)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise MaskError(f"polygons: {quote(value)} is not a list of lists of numbers")
    for polygon in value:
        numeric = isinstance(polygon, Sequence) and all(isinstance(v, Real) for v in polygon)
        if not numeric:
            raise MaskError(f"polygon {quote(polygon)} is not a list of numbers x1, y1, x2, y2, …")
    try:
        return [[float(v) for v in polygon] for polygon in value]
    except OverflowError as error:
        raise MaskError(f"polygons: a number of {quote(value)} is too large") from error


def _unpacked(counts: str | bytes) -> Iterator[int]:
    """Yield the run lengths in COCO's packed text: base 32, the third on as differences.

    Raises:
        MaskError: if it is not such a text.
    """
    codes = counts if isinstance(counts, bytes) else counts.encode("utf-8", "surrogatepass")
    runs: list[int] = []
    value = shift = 0
    for code in codes:
        digit = code - 48
        if not 0 <= digit < 64 or shift > 30:
            raise MaskError("RLE counts are no text packed by COCO")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            value -= (digit & 16) << (shift - 4)
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    if shift:
        raise MaskError("RLE counts are cut off")
    yield from runs


def _without_empty(runs: list[int]) -> list[int]:
    """Return the same mask without runs of length 0 but the first.

    pycocotools allocates as many runs as there are pixels, and writes beyond that where there are
    more.
    """
    kept = runs[:1]
    for i, run in enumerate(runs[1:], start=1):
        if run and i % 2 == len(kept) % 2:
            kept.append(run)
        elif run:
            kept[-1] += run
    return kept


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
