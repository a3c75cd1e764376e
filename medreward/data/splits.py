"""Which split an image belongs to, so that no patient and no picture is in two of them."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from heapq import nsmallest

import numpy as np

from medreward.data.record_list import RecordList, short_hash
from medreward.data.sources.record import Record
from medreward.errors import ConfigError, expected, quote

SPLITS = ("train", "val", "test")
_ALIASES = {
    "training": "train",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "testing": "test",
}
_FOLDER = re.compile(
    r"(?P<split>[a-z]+?)"
    r"([ _-]?(set|data|dataset|images?|imgs?|pics?|pictures?|split|folder|20\d\d))+",
    re.I,
)
DEFAULT_FRACTIONS: Mapping[str, float] = {"train": 0.8, "val": 0.1, "test": 0.1}
_MOST_NAMED = 10


def split_name(text: str) -> str:
    """Return "train", "val" or "test" for a split's usual names.

    >>> split_name("Validation")
    'val'
    """
    name = text.strip().lower()
    name = _ALIASES.get(name, name)
    if name not in SPLITS:
        raise expected("split", text, [*SPLITS, *_ALIASES])
    return name


def split_or_none(text: str) -> str | None:
    """Return the split that a folder is named as, None if it is named otherwise.

    >>> split_or_none("Train"), split_or_none("test_set"), split_or_none("val2017")
    ('train', 'test', 'val')
    >>> split_or_none("benign")
    """
    found = _FOLDER.fullmatch(text.strip())
    try:
        return split_name(found["split"] if found else text)
    except ConfigError:
        return None


def parse_fractions(text: str) -> dict[str, float]:
    """Return the shares of splits written as ``train=0.8,val=0.1,test=0.1``.

    Raises:
        ConfigError: if a name or number is wrong, or the shares do not sum to 1.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            share = float(number)
        except ValueError:
            raise ConfigError(
                f"--split: {quote(part)} is not NAME=SHARE, such as train=0.8"
            ) from None
        if not 0 <= share <= 1:
            raise ConfigError(f"--split: {quote(part)}: a share lies between 0 and 1")
        shares[split_name(name)] = share
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigError(f"--split: {quote(text)} sums to {sum(shares.values()):g}, not to 1")
    return shares


def assign_splits(
    records: Sequence[Record], fractions: Mapping[str, float] | None, seed: int
) -> Sequence[Record]:
    """Return the records with their splits: the source's own, or by hash of the patient.

    A patient's split depends on the patient and the seed only, so it stays when others come.
    Without patients, each image is its own. Shares are met on average, not exactly.

    Raises:
        ConfigError: if some records have a split and others do not, or the source has splits and
            `fractions` are given too.
    """
    first = next((record for record in records if record.split is None), None)
    if first is None:
        if fractions is not None and records:
            raise ConfigError("--split: the source has its own splits; leave the option out")
        return records
    if any(record.split is not None for record in records):
        raise ConfigError(f"{first.where}: it has no split, others do")
    shares = DEFAULT_FRACTIONS if fractions is None else fractions
    return RecordList(
        replace(r, split=_drawn(r.group or r.key or r.id, shares, seed)) for r in records
    )


def check_groups(records: Sequence[Record], *, private: bool = False) -> None:
    """Raise `ConfigError` if images of a patient are in several splits, naming them.

    Args:
        records: with their splits.
        private: name the patients by an image of each split instead.
    """
    suspects = _groups_in_several(records)
    places: dict[str, dict[str, str]] = defaultdict(dict)
    for record in records if suspects else ():
        if record.group is not None and short_hash(record.group) in suspects:
            places[record.group].setdefault(str(record.split), record.where)
    torn = {group: found for group, found in places.items() if len(found) > 1}
    if torn:
        lines = [
            ("" if private else f"{group!r}: ") + "; ".join(f"{s}: {w}" for s, w in found.items())
            for group, found in torn.items()
        ]
        raise ConfigError(_listed(f"{len(torn)} patients are in more than one split", lines))


def _groups_in_several(records: Iterable[Record]) -> set[int]:
    """Return the hashes of patients that are in several splits, and perhaps a few others."""
    numbers = {split: number for number, split in enumerate(SPLITS)}
    hashes, splits = array("Q"), array("B")
    for record in records:
        if record.group is not None:
            hashes.append(short_hash(record.group))
            splits.append(numbers.get(str(record.split), len(numbers)))
    if not hashes:
        return set()
    groups, inverse = np.unique(np.frombuffer(hashes, np.uint64), return_inverse=True)
    seen: np.ndarray = np.zeros((len(groups), len(numbers) + 1), bool)
    seen[inverse, np.frombuffer(splits, np.uint8)] = True
    return {int(group) for group in groups[seen.sum(axis=1) > 1]}


def limit_splits(records: Sequence[Record], limit: int | None, seed: int) -> Sequence[Record]:
    """Return at most `limit` records of each split, drawn by the seed, in the given order."""
    if limit is None:
        return records
    drawn: set[str] = set()
    for split in SPLITS:
        ids = (record.id for record in records if record.split == split)
        drawn.update(nsmallest(limit, ids, key=lambda i: _hash(f"{seed}/limit/{i}")))
    return RecordList(record for record in records if record.id in drawn)


def _listed(heading: str, lines: Sequence[str]) -> str:
    shown = [f"  {line}" for line in lines[:_MOST_NAMED]]
    more = [f"  and {len(lines) - _MOST_NAMED} more"] if len(lines) > _MOST_NAMED else []
    return "\n".join([f"{heading}:", *shown, *more])


def _drawn(key: str, shares: Mapping[str, float], seed: int) -> str:
    point = _hash(f"{seed}/split/{key}") / 2**64
    for name, share in shares.items():
        if point < share:
            return name
        point -= share
    return [name for name in shares if shares[name] > 0][-1]


def _hash(text: str) -> int:
    digest = sha256(text.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big")
