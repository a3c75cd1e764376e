"""Which split an image belongs to, and that none leaks into another.

Without a split in the source, an image's is drawn by its patient, or by its bytes where patients
are not known: with u = the first 8 bytes of SHA-256("seed:key") / 2^64 in [0, 1), it is the first
split at which the fractions, summed in their order, exceed u. So a split depends on neither the
order nor the number of images, a patient stays together, and so do copies of a file.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from medreward.data.sources.record import Record, shown
from medreward.errors import ConfigError

DEFAULT = {"train": 0.8, "val": 0.1, "test": 0.1}
_MOST_SHOWN = 5
_ORDER = {"train": 0, "val": 1, "test": 2}


def read_fractions(text: str) -> dict[str, float]:
    """Return the fractions in a text such as ``train=0.8,test=0.2``.

    >>> read_fractions("train=0.8,test=0.2")
    {'train': 0.8, 'test': 0.2}
    """
    fractions: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            fraction = float(value)
        except ValueError:
            fraction = math.nan
        name = split_name(name.strip(), "--split")
        if not 0 < fraction <= 1 or name in fractions:
            raise ConfigError(f"--split: {part!r} is not NAME=FRACTION with a fraction in (0, 1]")
        fractions[name] = fraction
    if not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6):
        raise ConfigError(f"--split: the fractions {text!r} do not add up to 1")
    return fractions


def split_name(name: str, where: str) -> str:
    """Return a split's name if a file can be called by it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}", name):
        raise ConfigError(
            f"{where}: split {shown(name)!r} is not a name of letters, digits, '_' and '-'"
        )
    return name


def assign(
    records: Sequence[Record],
    digests: Sequence[bytes],
    seed: int,
    fractions: Mapping[str, float] | None = None,
) -> list[str]:
    """Return the split of each record: the source's, or one drawn by `fractions` if given.

    Raises:
        ConfigError: if a patient is in two splits, or a split's name is none for a file.
    """
    given = fractions is None and all(record.split is not None for record in records)
    splits = [
        split_name(record.split or "", record.where)
        if given
        else draw(record.patient or digest.hex(), seed, fractions or DEFAULT)
        for record, digest in zip(records, digests, strict=True)
    ]
    found = leaks([record.patient for record in records], splits)
    if found:
        names = [record.private for record in records]
        raise ConfigError("a patient is in more than one split:\n" + listed(found, splits, names))
    return splits


def draw(key: str, seed: int, fractions: Mapping[str, float]) -> str:
    """Return the split that a key falls into."""
    share, total = uniform(f"{seed}:{key}"), 0.0
    for name, fraction in fractions.items():
        total += fraction
        if share < total:
            return name
    return list(fractions)[-1]


def uniform(text: str) -> float:
    """Return a number in [0, 1) that depends on a text alone."""
    return int.from_bytes(sha256(text.encode("utf-8", "surrogateescape")).digest()[:8]) / 2**64


def leaks(keys: Iterable[object], splits: Sequence[str]) -> list[list[int]]:
    """Return the positions with the same key in each group that is in several splits.

    >>> leaks(["a", "b", "a", None, None], ["train", "test", "test", "train", "test"])
    [[0, 2]]
    """
    alike: dict[object, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        if key is not None:
            alike[key].append(i)
    return [group for group in alike.values() if len({splits[i] for i in group}) > 1]


def listed(groups: Sequence[Sequence[int]], splits: Sequence[str], names: Sequence[str]) -> str:
    """Return lines that name the records of leaking groups with their splits."""
    lines = [
        "  " + ", ".join(f"{names[i]} in {splits[i]}" for i in group)
        for group in groups[:_MOST_SHOWN]
    ]
    more = len(groups) - _MOST_SHOWN
    return "\n".join([*lines, *([f"  … and {more} more"] if more > 0 else [])])


def order(name: str) -> tuple[int, str]:
    """Return what to sort splits by: train, val, test, then others by name."""
    return _ORDER.get(name, len(_ORDER)), name
