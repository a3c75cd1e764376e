"""One image with the answer that is right for it: what every data source yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Example:
    """An image, its target and where they come from.

    Attributes:
        image: the picture as the model gets it.
        target: what `medreward.Task` takes as a target: a label's name, a grade, or boxes.
        id: unique within the source; safe as part of a file name.
        split: the part of the data it belongs to, such as "train" or "test".
        meta: facts of the source or measured on the image (position, areas, patient, …).
        question: what is asked about the image; "": the card's own question.

    >>> from PIL import Image
    >>> Example(Image.new("L", (64, 48)), "pneumonia", id="train-1", split="train").target
    'pneumonia'
    """

    image: Image
    target: Any
    id: str
    split: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    question: str = ""
