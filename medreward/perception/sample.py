"""What a transform works on: images, the regions marked on them, and the words about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from medreward.errors import ConfigError, quote
from medreward.geometry.regions import Box
from medreward.task.laterality import Laterality, Mirror, check_quarter_turn, mirrored_texts

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = ("L", "RGB")


@dataclass(frozen=True)
class Region:
    """Something that is marked on an image.

    Attributes:
        box: [x1, y1, x2, y2] in pixels, half-open: pixel (x, y) is in it if x1 <= x < x2.
        label: what it is.
        mask: where it is, as an image of mode "L" of the sample's size, not 0 inside; with a mask,
            the box is always the smallest one around it.
        annotator: who marked it, where several did.
        key: names the region through all transforms, as its place in a list changes.

    >>> Region((8.0, 8.0, 24.0, 30.0), "left lung").box
    (8.0, 8.0, 24.0, 30.0)
    """

    box: Box
    label: str = ""
    mask: Image | None = None
    annotator: int = 0
    key: int = 0

    @classmethod
    def of_mask(cls, mask: Image, label: str = "") -> Region:
        """Return the region of a mask; raises `ConfigError` if it has no pixel."""
        box = mask.getbbox()
        if box is None:
            raise ConfigError("mask: all its pixels are 0")
        return cls(box, label, mask)


@dataclass(frozen=True)
class Sample:
    """Images of one size, with regions and texts that belong to them.

    Attributes:
        images: 8-bit grey ("L") or "RGB"; regions are marked on the first, the others show the
            same thing in another way, pixel by pixel.
        regions: what is marked.
        texts: the words about the images by any name: the question, the target, …
        laterality: how words change when the images are mirrored; None: nobody said.
        notes: sentences about what the second and later images are.

    Raises:
        ConfigError: if there is no image, they differ in size, a mode is another, or a region is
            not within the image.

    >>> from PIL import Image
    >>> Sample((Image.new("L", (64, 48)),), (Region((8.0, 8.0, 24.0, 30.0)),)).size
    (64, 48)
    """

    images: tuple[Image, ...]
    regions: tuple[Region, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    laterality: Laterality | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.images:
            raise ConfigError("images: there are none")
        for image in self.images:
            if image.mode not in MODES:
                raise ConfigError(
                    f"image: mode {quote(image.mode)} is not one of {', '.join(MODES)}"
                )
            if image.size != self.size:
                raise ConfigError(f"images: sizes differ: {image.size} and {self.size}")
        for region in self.regions:
            self._check(region)

    @property
    def image(self) -> Image:
        """The first image."""
        return self.images[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        size: tuple[int, int] = self.images[0].size
        return size

    def with_images(self, change: Callable[[Image], Image]) -> Sample:
        """Return the sample with each image changed and everything where it was."""
        return replace(self, images=tuple(change(image) for image in self.images))

    def mirrored(self, mirror: Mirror) -> Sample:
        """Return the sample with its words as they have to be after a flip.

        Raises:
            ConfigError: if a word depends on side and `laterality` does not say how it changes.
        """
        texts = mirrored_texts(self.laterality, self.texts, mirror)
        labels = [region.label for region in self.regions]
        new = mirrored_texts(self.laterality, {f"region {x!r}": x for x in labels}, mirror)
        changed = {x: new[f"region {x!r}"] for x in labels}
        regions = tuple(
            r if changed[r.label] == r.label else replace(r, label=changed[r.label])
            for r in self.regions
        )
        return replace(self, texts=texts, regions=regions)

    def on_side(self) -> None:
        """Make sure that no word depends on side, for a quarter turn that no swap can follow.

        Raises:
            ConfigError: if one does, or the laterality says so.
        """
        labels = {f"region {region.label!r}": region.label for region in self.regions}
        check_quarter_turn(self.laterality, {**self.texts, **labels})

    def _check(self, region: Region) -> None:
        x1, y1, x2, y2 = region.box
        width, height = self.size
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise ConfigError(
                f"region: box {quote(region.box)} is not [x1, y1, x2, y2] with x1 < x2, y1 "
                f"< y2 within "
                f"{width} x {height} pixels"
            )
        if region.mask is not None and (region.mask.mode, region.mask.size) != ("L", self.size):
            raise ConfigError(
                f"region: mask of mode {quote(region.mask.mode)} and size "
                f"{region.mask.size} is not "
                f"'L' of {self.size}"
            )
