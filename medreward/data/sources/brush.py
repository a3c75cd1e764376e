"""Label Studio's brush strokes: run lengths of RGBA bytes, packed bit by bit (thi.ng's rle-pack).

After the number of values (32 bits), the bits of a value less one (5), and four run sizes less one
(4 bits each) come runs. A run begins with a bit that tells runs of one value from runs of single
ones, two bits that choose its run size, and its length less one in that many bits. Then stand its
value, or its values. The format is described at https://github.com/thi-ng/umbrella, package
rle-pack.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medreward.data.sources.record import DEFAULT_MAX_PIXELS
from medreward.errors import ConfigError

_CHANNELS = 4


class _Bits:
    """Reads whole numbers of some bits, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._text = "".join(f"{byte:08b}" for byte in content)
        self._at = 0

    def next(self, count: int) -> int:
        """Return the next number.

        Raises:
            ValueError: if fewer bits are left.
        """
        start, self._at = self._at, self._at + count
        if self._at > len(self._text):
            raise ValueError("it ends too early")
        return int(self._text[start : self._at], 2)


def read_brush(packed: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Return which pixels a brush stroke paints, rows by columns: those that are not transparent.

    Args:
        packed: the bytes in a result's ``rle``.
        size: width and height of the image.

    Raises:
        ConfigError: if they are no run lengths, or of an image of another size.
    """
    width, height = size
    wanted = width * height * _CHANNELS
    if wanted > _CHANNELS * DEFAULT_MAX_PIXELS:
        raise ConfigError(f"rle: of {width} x {height} pixels; not decoded")
    try:
        bits = _Bits(bytes(packed))
        count, value_bits = bits.next(32), bits.next(5) + 1
        if count != wanted or value_bits != 8:
            raise ConfigError(
                f"rle: {count} values of {value_bits} bits; an image of {width} x {height} has "
                f"{wanted} of 8"
            )
        values = _values(bits, count)
    except (ValueError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"rle: not a brush stroke: {error}") from error
    painted: np.ndarray = values.reshape(height, width, _CHANNELS)[..., 3] > 0
    return painted


def _values(bits: _Bits, count: int) -> np.ndarray:
    run_bits = [bits.next(4) + 1 for _ in range(4)]
    values: np.ndarray = np.zeros(count, np.uint8)
    done = 0
    while done < count:
        is_run = bits.next(1)
        length = bits.next(run_bits[bits.next(2)]) + 1
        if done + length > count:
            raise ValueError("a run is longer than what is left")
        if is_run:
            values[done : done + length] = bits.next(8)
        else:
            values[done : done + length] = [bits.next(8) for _ in range(length)]
        done += length
    return values
