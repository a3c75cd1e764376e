"""One record -> the PNG and the target of its row: what a worker process does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from PIL import Image

from medreward.data.picture import TURNED, png_bytes
from medreward.data.render_cache import KeptImages, RenderCache
from medreward.data.sources.boxes import by_reader, clean_boxes
from medreward.data.sources.record import (
    Loader,
    NamedBox,
    Picture,
    ReadingOptions,
    Record,
    Remark,
    UnusableError,
)

_WHOLE = "a box is the whole image: was it drawn, or filled in?"
_BLANK = "all of its pixels have one value: it shows nothing"
_ITS_PLACES = "; boxes and masks are taken as drawn on the turned image: look at them"
LOOK_SIDES = (17, 16)  # width and height of the thumbnail by which pictures look alike


class Job(NamedTuple):
    """A record and what its source fetched for it."""

    record: Record
    payload: Any


class Rendered(NamedTuple):
    """A usable image.

    Attributes:
        png: the image as the model gets it, the first one of several; empty where there is none.
        size: its width and height.
        boxes: in whole pixels of that image.
        digest: the same for two images of the same pixels, as rows have them.
        remarks: what was done to it.
        facts: allow-listed facts from its header.
        others: further images, in order.
        readers: who drew how many of the boxes, in their order; empty where nobody is named.
        look: the grey values of a thumbnail of `LOOK_SIDES`; empty for several images or none.
    """

    png: bytes
    size: tuple[int, int]
    boxes: tuple[NamedBox, ...]
    digest: bytes
    remarks: tuple[Remark, ...]
    facts: Mapping[str, str]
    others: tuple[bytes, ...] = ()
    readers: tuple[tuple[str, int], ...] = ()
    look: bytes = b""

    @property
    def pngs(self) -> tuple[bytes, ...]:
        """All images, in order."""
        return (self.png, *self.others) if self.png else ()


@dataclass(frozen=True)
class Renderer:
    """Reads pictures and brings them to size; can be pickled.

    Attributes:
        load: the source's loader.
        reading: how pictures are read.
        size: length of the longest side in pixels; None: as it is.
        cache: keeps what was rendered, for another run; None: nothing.
    """

    load: Loader
    reading: ReadingOptions
    size: int | None = None
    cache: RenderCache | None = None

    def __call__(self, job: Job) -> Rendered | Remark:
        """Return the rendered image, or why there is none."""
        record = job.record
        if record.problem:
            return Remark(record.where, record.problem)
        try:
            images = self._images(job.payload)
            if images is None:
                return _without_image(record)
            boxes, readers, said = _boxes(record, images.old_size)
        except UnusableError as error:
            return Remark(record.where, str(error))
        except Exception as error:  # noqa: BLE001 - one odd file must not end a run over thousands
            # Without the error's text, which may quote a header.
            return Remark(record.where, f"cannot be read ({type(error).__name__})")
        return Rendered(
            png=images.pngs[0],
            size=images.size,
            boxes=tuple(scale_box(box, images.old_size, images.size) for box in boxes),
            digest=images.digest,
            remarks=(*(Remark(record.where, _note(note, record)) for note in images.notes), *said),
            facts=images.facts,
            others=images.pngs[1:],
            readers=readers,
            look=images.look,
        )

    def _images(self, payload: Any) -> KeptImages | None:
        """Return the images of a record, rendered or from the cache; None where it has none."""
        key = self.cache.key(payload) if self.cache else None
        if self.cache and key and (kept := self.cache.read(key)):
            return kept
        loaded = self.load(payload, self.reading)
        pictures = [loaded] if isinstance(loaded, Picture) else [*loaded]
        if not pictures:
            return None
        images = [resize_image(picture.image, self.size) for picture in pictures]
        made = KeptImages(
            pngs=tuple(map(png_bytes, images)),
            old_size=pictures[0].image.size,
            size=images[0].size,
            digest=b"".join(map(_digest, images)),
            notes=tuple(note for one in pictures for note in (*one.notes, *_blank(one.image))),
            facts=pictures[0].facts,
            look=_look(images[0]) if len(images) == 1 else b"",
        )
        if self.cache and key:
            self.cache.write(key, made)
        return made


def _note(note: str, record: Record) -> str:
    """Return what is said of a picture, with what it means for the places in it."""
    has_places = bool(record.boxes) or (record.boxes is None and record.size is not None)
    return f"{note}{_ITS_PLACES}" if note == TURNED and has_places else note


def _blank(image: Image.Image) -> tuple[str, ...]:
    """Return what is said of a picture that shows nothing; nothing of others."""
    low_and_high = [image.getextrema()] if image.mode == "L" else image.getextrema()
    return (_BLANK,) if all(low == high for low, high in low_and_high) else ()


def _look(image: Image.Image) -> bytes:
    grey: bytes = image.convert("L").resize(LOOK_SIDES, Image.Resampling.BOX).tobytes()
    return grey


def _without_image(record: Record) -> Rendered:
    """Return what a row of text only has: no image, which is like no other."""
    digest = sha256(record.id.encode("utf-8", "surrogatepass")).digest()
    return Rendered(b"", (0, 0), (), digest, (), {})


def resize_image(image: Image.Image, size: int | None) -> Image.Image:
    """Return the image with its longest side `size` pixels long, in proportion (bicubic).

    >>> resize_image(Image.new("L", (40, 20)), 10).size
    (10, 5)
    """
    if size is None or max(image.size) == size:
        return image
    scale = size / max(image.size)
    sides = (max(1, round(side * scale)) for side in image.size)
    return image.resize(tuple(sides), Image.Resampling.BICUBIC)


def scale_box(named: NamedBox, old: tuple[int, int], new: tuple[int, int]) -> NamedBox:
    """Return a box of an image of size `old` in whole pixels of the same image of size `new`.

    Corners go to the nearest pixel border; a box keeps at least the pixel of its centre.

    >>> scale_box(NamedBox("cell", (10, 10, 20, 30)), (100, 100), (50, 50)).box
    (5, 5, 10, 15)
    """
    x1, y1, x2, y2 = named.box
    left, right = _side(x1, x2, old[0], new[0])
    top, bottom = _side(y1, y2, old[1], new[1])
    return NamedBox(named.name, (left, top, right, bottom))


def _side(low: float, high: float, old: int, new: int) -> tuple[int, int]:
    first, stop = round(low * new / old), round(high * new / old)
    if first < stop:
        return first, stop
    middle = min(int((low + high) / 2 * new / old), new - 1)
    return middle, middle + 1


def _boxes(
    record: Record, size: tuple[int, int]
) -> tuple[tuple[NamedBox, ...], tuple[tuple[str, int], ...], tuple[Remark, ...]]:
    """Return the boxes of a record within an image of that size, whose they are, and remarks.

    Raises:
        UnusableError: if they were drawn on an image of another size, or none is left.
    """
    if record.size and record.size != size:
        old, new = ("{} x {}".format(*sides) for sides in (record.size, size))
        raise UnusableError(
            f"its annotation is for an image of {old} pixels, it has {new}; resize one to the "
            f"other, or take the size out of the annotation if only that is wrong"
        )
    if not record.boxes:
        return (), record.readers, ()
    boxes: tuple[NamedBox, ...] = ()
    readers, said = [], []
    for reader, drawn in by_reader(record.boxes, record.readers):
        kept, remarks = clean_boxes(drawn, size, record.where)
        boxes += kept
        said += remarks
        if kept or not drawn:
            readers.append((reader, len(kept)))
        elif len(record.readers) > 1:  # else this one would say that there is nothing
            said.append(Remark(record.where, "a reader left out: none of the boxes can be used"))
    if any(tuple(box) == (0, 0, *size) for _, box in boxes):
        said.append(Remark(record.where, _WHOLE))
    if not boxes:
        raise UnusableError("none of its boxes can be used: they have no area in the image")
    return boxes, tuple(readers) if record.readers else (), tuple(said)


def _digest(image: Image.Image) -> bytes:
    digest = sha256(f"{image.mode}{image.size}".encode())
    digest.update(image.tobytes())
    return digest.digest()
