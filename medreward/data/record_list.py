"""Records in little memory: compressed, some hundreds at a time.

A set may have a million images, and all of its records are known before the first one is decoded:
to count labels, to split by patient, to find files that are not there. As objects they take about
800 bytes each, here about 30.
"""

from __future__ import annotations

import pickle
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from typing import Any, overload

import numpy as np

from medreward.data.sources.record import NamedMasks, Record

_CHUNK = 512
_RECENT = 3  # chunks that stay unpacked: the run reads at two places at once, near each other
_VALUES = attrgetter(*(field.name for field in fields(Record)))


class RecordList(Sequence[Record]):
    """A list of records that grows at its end; each time it is read, a record is a new object.

    Records that hold more than texts and numbers, such as a decoded picture, are kept as they are.

    >>> records = RecordList(Record(f"row-{i}", f"line {i}", f"{i}.png") for i in range(2000))
    >>> len(records), records[1999].id, [record.id for record in records[3:5]]
    (2000, 'row-1999', ['row-3', 'row-4'])
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._packed: list[bytes | list[Record]] = []
        self._last: list[Record] = []
        self._recent: OrderedDict[int, list[Record]] = OrderedDict()
        for record in records:
            self.append(record)

    def append(self, record: Record) -> None:
        """Add a record at the end."""
        self._last.append(record)
        if len(self._last) == _CHUNK:
            self._packed.append(_packed(self._last))
            self._last = []

    def __len__(self) -> int:
        return len(self._packed) * _CHUNK + len(self._last)

    def __iter__(self) -> Iterator[Record]:
        for chunk in self._packed:
            yield from _unpacked(chunk)
        yield from self._last

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        number, offset = divmod(place, _CHUNK)
        return self._chunk(number)[offset]

    def _chunk(self, number: int) -> list[Record]:
        if number == len(self._packed):
            return self._last
        chunk = self._recent.get(number)
        if chunk is None:
            chunk = self._recent[number] = _unpacked(self._packed[number])
            while len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        return chunk


def _packed(records: list[Record]) -> bytes | list[Record]:
    if not all(_is_light(record.place) and _is_light(record.label) for record in records):
        return records
    values = list(map(_VALUES, records))
    return zlib.compress(pickle.dumps(values, pickle.HIGHEST_PROTOCOL), 1)


def _unpacked(chunk: bytes | list[Record]) -> list[Record]:
    if isinstance(chunk, list):
        return chunk
    return [Record(*values) for values in pickle.loads(zlib.decompress(chunk))]


def _is_light(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_light, value))
    if isinstance(value, dict):
        return all(map(_is_light, value.values()))
    return value is None or isinstance(value, str | int | float | NamedMasks)


def short_hash(value: object) -> int:
    """Return 64 bits by which values are held equal where all of them do not fit into memory.

    Two of a million different values have the same ones with a probability of 1 in 40 million.

    >>> short_hash(("a", 1)) == short_hash(("a", 1)), short_hash(("a", 1)) == short_hash(("a", 2))
    (True, False)
    """
    text = repr(value).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def number_values(values: Iterable[object]) -> np.ndarray:
    """Return a number for each value, equal for equal ones, in the order in which they first come.

    >>> number_values(["b", "a", "b", "c"]).tolist()
    [0, 1, 0, 2]
    """
    found = array("Q", map(short_hash, values))
    if not found:
        return np.zeros(0, np.uint32)
    hashes = np.frombuffer(found, np.uint64)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    ranks: np.ndarray = np.empty(len(first), np.uint32)
    ranks[np.argsort(first)] = np.arange(len(first), dtype=np.uint32)
    numbers: np.ndarray = ranks[inverse]
    return numbers
