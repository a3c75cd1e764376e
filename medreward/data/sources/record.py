"""What every source gives: light records now, and the picture of each later, in a worker."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from medreward.geometry.regions import Box

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_MAX_PIXELS = 100_000_000
# The name of a box of a source that has objects without classes: the card's only label.
ANY_OBJECT = "object"


class UnusableError(ValueError):
    """An image cannot be used. The message says why, and holds nothing from a DICOM header."""


class NamedBox(NamedTuple):
    """A box [x1, y1, x2, y2] in pixels, half-open, and what is in it."""

    name: str
    box: Box


class Flags(NamedTuple):
    """A 0 or 1 for each of the card's labels, in their order: MedMNIST's way to give several."""

    values: tuple[int, ...]


class Unclear(str):
    """A label that no card knows, however it reads, so that a mapping has to settle it."""


@dataclass(frozen=True, slots=True)
class NamedMasks:
    """Masks of an image by the names of what they show; a task's mask is made of some of them.

    Attributes:
        size: width and height of the image.
        parts: the name of each and its run lengths, packed as by COCO.
        unmasked: the names of objects in the image of which there is no mask; a name may recur.
    """

    size: tuple[int, int]
    parts: tuple[tuple[str, str], ...]
    unmasked: tuple[str, ...] = ()


class Remark(NamedTuple):
    """Something that was done to an input, or why it was left out: a line of the report."""

    where: str
    what: str
    detail: str = ""


@dataclass(frozen=True)
class ReadingOptions:
    """How pictures are read.

    Attributes:
        max_pixels: larger pictures are refused from their header, without decoding.
        intensity: values that become black and white, of pictures with more than 8 bits, DICOM
            (after the modality's rescale, so Hounsfield units for CT) and NIfTI; None: see docs.
        frame: of a multi-frame DICOM: "first", "middle", or a frame's number from 0.
        allow_burned_in: take DICOM images whose header says that annotation is burned in.

    >>> ReadingOptions(intensity=(-160.0, 240.0)).frame
    'middle'
    """

    max_pixels: int = DEFAULT_MAX_PIXELS
    intensity: tuple[float, float] | None = None
    frame: str | int = "middle"
    allow_burned_in: bool = False


@dataclass(frozen=True)
class Picture:
    """A decoded picture, 8-bit grey or RGB.

    Attributes:
        image: the pixels, without metadata.
        notes: what was done to get there, where it is worth a line in the report.
        facts: allow-listed facts, such as the modality, to be counted in the data set's card.

    >>> from PIL import Image
    >>> Picture(Image.new("L", (64, 48)), notes=("alpha dropped",)).image.size
    (64, 48)
    """

    image: Image
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)  # there may be a million of them
class Record:
    """One image of a source, not read yet.

    Attributes:
        id: unique in the source; holds no file name, since these often hold a patient's.
        where: names the image in reports to the person who has the source.
        place: what the source's loader needs to find it.
        label: as in the source, or None. Several labels are a tuple of them, or `Flags`; masks are
            `NamedMasks`, or a mask in a form that a card of masks takes.
        question: what is asked about the image, where the source says so; "": the card's question.
        boxes: as in the source, or None where a source has no boxes.
        readers: where several read an image, each with the number of boxes drawn; the boxes are in
            that order. Empty where the source does not say who drew a box.
        crowds: what else is in an image with boxes, known by its name only.
        size: width and height that the boxes refer to.
        split: "train", "val", "test", or None where the source has no splits.
        group: the patient. Kept in memory to split by; never written.
        key: what a split by hash goes by where there is no group.
        dropped: the names of objects in the image that no box is given of; a name may recur.
        unsaid: whether the source says nothing of the image, so that "nothing to find" would be a
            guess.
        problem: why its image cannot be used, where that is known before it is read.

    >>> Record("row-2", where="labels.csv, line 2", place=("images", "1.png"), label="normal").split
    """

    id: str
    where: str
    place: Any
    label: Any = None
    question: str = ""
    boxes: tuple[NamedBox, ...] | None = None
    readers: tuple[tuple[str, int], ...] = ()
    size: tuple[int, int] | None = None
    split: str | None = None
    group: str | None = None
    key: str = ""
    dropped: tuple[str, ...] = ()
    crowds: tuple[str, ...] = ()
    unsaid: bool = False
    problem: str = ""


# A question may be about several pictures, or none.
Loader: TypeAlias = Callable[[Any, ReadingOptions], Picture | Sequence[Picture]]


@dataclass(frozen=True)
class Source:
    """Records and how to get at their pictures.

    Attributes:
        name: names the source in the data set's card.
        records: one an image, in a fixed order.
        load: runs in a worker process on what `fetch` gave; so both can be pickled.
        fetch: runs in the main process, shortly before `load`.
        remarks: what the source has to report already.
        private: whether patients' names must stay out of error messages too.

    >>> from PIL import Image
    >>> def load(place, reading):
    ...     return Picture(Image.new("L", (32, 32), place))
    >>> source = Source("grey images", [Record("grey-1", "grey 1", 128, label="normal")], load)
    >>> source.load(source.fetch(source.records[0]), ReadingOptions()).image.getpixel((0, 0))
    128
    """

    name: str
    records: Sequence[Record]
    load: Loader
    fetch: Callable[[Record], Any] = attrgetter("place")
    remarks: tuple[Remark, ...] = ()
    private: bool = False


def report_lines(
    remarks: Sequence[Remark], most: int = 50, more: Mapping[str, int] | None = None
) -> list[str]:
    """Return the remarks as lines, those of a kind together and at most `most` of each kind.

    Args:
        remarks: the remarks.
        most: of each kind.
        more: how many others of a kind there were, which `thin_remarks` left out.
    """
    lines = []
    kinds = _by_kind(remarks)
    for what, found in kinds.items():
        lines += [
            f"  {r.where}: {what}" + (f" ({r.detail})" if r.detail else "") for r in found[:most]
        ]
        others = max(0, len(found) - most) + (more or {}).get(what, 0)
        if others:
            lines.append(f"  and {others} more: {what}")
    return lines


def thin_remarks(remarks: Sequence[Remark], most: int) -> tuple[list[Remark], Counter[str]]:
    """Return the first `most` remarks of each kind, and how many others of it there are."""
    kept: list[Remark] = []
    others: Counter[str] = Counter()
    for what, found in _by_kind(remarks).items():
        kept += found[:most]
        others[what] = max(0, len(found) - most)
    return kept, +others


def _by_kind(remarks: Sequence[Remark]) -> dict[str, list[Remark]]:
    kinds: dict[str, list[Remark]] = defaultdict(list)
    for remark in sorted(remarks, key=_natural):
        kinds[remark.what].append(remark)
    return kinds


def _natural(remark: Remark) -> list[tuple[int, str]]:
    """Return a key that sorts by what, then by where with "line 9" before "line 10"."""
    parts = re.split(r"([0-9]+)", remark.where)
    return [(0, remark.what), *((int(p) if p.isdecimal() else -1, p) for p in parts)]


def printable(text: object) -> str:
    r"""Return a text that stays on its line: control characters become escapes.

    >>> print(printable("a\nb.png"))
    a\nb.png
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text)
    )
