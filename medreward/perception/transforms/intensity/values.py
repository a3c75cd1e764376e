"""What the intensity transforms share: 8-bit values in, 8-bit values out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

Change = Callable[[Image.Image], Image.Image]


def looked_up(function: Callable[[float], float]) -> Change:
    """Return the change of each value, from 0 to 255, by a function; rounded and cut off."""
    table = [min(255, max(0, round(function(value)))) for value in range(256)]
    return lambda image: image.point(table * len(image.getbands()))


def computed(function: Callable[[NDArray[np.float64]], Any]) -> Change:
    """Return the change of an array (height, width) or (height, width, 3) by a function."""

    def change(image: Image.Image) -> Image.Image:
        values = np.asarray(function(np.asarray(image, dtype=np.float64)))
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))

    return change


def shaped(field: Any, values: NDArray[np.float64]) -> Any:
    """Return a field (height, width) so that it applies to all channels of an array."""
    return field[..., None] if values.ndim == 3 else field
