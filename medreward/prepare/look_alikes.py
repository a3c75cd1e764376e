"""Pictures of two splits that look alike: one that was stored again, scaled, or named twice.

Of each picture a thumbnail of 17 x 16 grey values is kept. Two look alike where

- at most `MOST_BITS` of the 256 bits of their difference hashes differ (whether a pixel is brighter
  than its left neighbour; N. Krawetz, "Kind of Like That", Hacker Factor, 2013), and
- the thumbnails differ by at most `MOST_GREY` grey values on average.

The hash finds pairs and the thumbnail judges them: by the hash alone, photographs of one organ in
one frame look alike. Pictures that were stored as JPEG again differ by 0.5 to 1.2 grey values, the
nearest of 395 fundus photographs of different eyes by 2.1 (of 256).
"""

from __future__ import annotations

import sqlite3

import numpy as np

from medreward.data.render import LOOK_SIDES
from medreward.data.sources.record import Remark
from medreward.prepare.outcome import Identity

MOST_BITS, MOST_GREY = 16, 1.25
MOST_NAMED = 20
WHAT = "looks like an image of another split; kept"
_FLAT = 16  # grey values between the darkest and the brightest of a picture that shows something
_BANDS = 16  # of 16 bits: fewer bits than bands differ, so that one band at least is the same
_NEXT = 8  # neighbours in the order of a band that each picture is held against
_MOST_PAIRS = 100_000
_BITS_SET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(
    axis=1, dtype=np.uint8
)


class LookAlikes:
    """Thumbnails of a run's pictures, however many: in a temporary file that ends with the process.

    >>> looks, look = LookAlikes(), bytes(range(0, 250)) + bytes(22)
    >>> looks.add(look, Identity("a.png", "train", 0, 0))
    >>> looks.add(look, Identity("b.png", "test", 1, 0))
    >>> [remark.where for remark in looks.remarks()[0]]
    ['b.png']
    """

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000; BEGIN;"
            "CREATE TABLE looks (id INTEGER PRIMARY KEY, split TEXT, name BLOB, look BLOB)"
        )

    def add(self, look: bytes, one: Identity) -> None:
        """Note a picture; one without a thumbnail, or that shows nothing, is like no other."""
        if not look or max(look) - min(look) < _FLAT:
            return
        where = one.where.encode("utf-8", "surrogatepass")
        row = (one.split, where, look)
        self._table.execute("INSERT INTO looks (split, name, look) VALUES (?, ?, ?)", row)

    def remarks(self) -> tuple[list[Remark], int]:
        """Return a remark for each of the first pairs, and how many other pairs there are."""
        named: list[Remark] = []
        others = 0
        for first, second in sorted(self._pairs()):
            (split, name, look), (_, other, second_look) = self._row(first), self._row(second)
            apart = np.frombuffer(look, np.uint8).astype(int) - np.frombuffer(second_look, np.uint8)
            if np.abs(apart).mean() > MOST_GREY:
                continue
            if len(named) < MOST_NAMED:
                named.append(Remark(other, WHAT, f"{split}: {name}"))
            else:
                others += 1
        return named, others

    def _row(self, key: int) -> tuple[str, str, bytes]:
        found = self._table.execute("SELECT split, name, look FROM looks WHERE id = ?", (key,))
        split, name, look = found.fetchone()
        return split, name.decode("utf-8", "surrogatepass"), look

    def _pairs(self) -> set[tuple[int, int]]:
        """Return the numbers of pictures of two splits whose hashes are near."""
        found: set[tuple[int, int]] = set()
        hashes, splits = self._hashes()
        if len({*splits.tolist()}) < 2:
            return found
        for band in range(_BANDS):
            words: np.ndarray = hashes.view(np.uint16)[:, band]
            order = np.argsort(words, kind="stable")
            for step in range(1, _NEXT + 1):
                one, other = order[:-step], order[step:]
                near = (words[one] == words[other]) & (splits[one] != splits[other])
                one, other = one[near], other[near]
                bits = _BITS_SET[hashes[one] ^ hashes[other]].sum(axis=1)
                for a, b in zip(one[bits <= MOST_BITS], other[bits <= MOST_BITS], strict=True):
                    found.add((int(min(a, b)) + 1, int(max(a, b)) + 1))
            if len(found) > _MOST_PAIRS:
                break
        return found

    def _hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the hash of each picture, in the order of their ids, and a number of its split."""
        numbers: dict[str, int] = {}
        packed, splits = bytearray(), bytearray()
        for split, look in self._table.execute("SELECT split, look FROM looks ORDER BY id"):
            grey = np.frombuffer(look, np.uint8).reshape(LOOK_SIDES[::-1])
            packed += np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes()
            splits.append(numbers.setdefault(split, len(numbers)))
        hashes = np.frombuffer(packed, np.uint8).reshape(len(splits), _BANDS * 2)
        return hashes, np.frombuffer(splits, np.uint8)
