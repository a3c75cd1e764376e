"""Whether paths look as if a part of them names a patient, of whom there are several images.

A name is a guess from the form of the paths alone: the beginning of each file's name, or a folder,
that several files share, that is neither nearly all of them nor one of the labels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from medreward.data.sources.record import Record

_FEWEST = 4  # names below which nothing is guessed
_SHARED = 1.2  # files a name, on average
_LARGEST = 0.5  # share of the files of one name
_MOST_BOUNDARIES = 4
# Where a name may end: before a mark, or between a digit and a letter.
_BOUNDARY = re.compile(r"(?<=[^\W_])(?=[\W_])|(?<=[0-9])(?=[A-Za-z])")
_RUN = re.compile(r"[0-9]+|[A-Za-z]+|[^0-9A-Za-z]+")


class NamesInPaths(NamedTuple):
    """What looks like patients in paths.

    Attributes:
        names: one a record, never to be shown or written.
        pattern: what ``--patient-pattern`` would find them by.
        where: what names them, "file names" or "folders".
    """

    names: list[str]
    pattern: str
    where: str


def names_in_paths(records: Sequence[Record]) -> NamesInPaths | None:
    """Return what looks like patients in the paths of records, None if nothing does.

    >>> paths = [f"benign/PT{i}_{j}.png" for i in range(1097, 1103) for j in range(2)]
    >>> found = names_in_paths([Record(p, p, p, label="benign", key=p) for p in paths])
    >>> found.pattern, found.where, len(set(found.names))
    ('PT[0-9]+', 'file names', 6)
    """
    keys = [record.key.replace("\\", "/") for record in records]
    if not keys or not all(keys) or len({*keys}) < len(keys):
        return None
    labels = len({str(record.label) for record in records if record.boxes is None})
    for where, take in _candidates(keys):
        names = [take(key) for key in keys]
        if _look_shared(names, labels) and (pattern := _pattern(names, keys, where)):
            return NamesInPaths(names, pattern, where)
    return None


def _candidates(keys: Sequence[str]) -> Iterator[tuple[str, Callable[[str], str]]]:
    """Yield what of a path may be a name: each folder, then beginnings of the file's name."""
    depth = min(key.count("/") for key in keys)
    for level in range(depth):
        yield "folders", lambda key, level=level: key.split("/")[level]  # type: ignore[misc]
    for count in range(_MOST_BOUNDARIES):
        yield "file names", lambda key, count=count: _beginning(key, count)  # type: ignore[misc]


def _beginning(key: str, count: int) -> str:
    """Return a file's name up to so many boundaries after the first, "" if it has fewer."""
    stem = key.rpartition("/")[2].rpartition(".")[0]
    places = [found.start() for found in _BOUNDARY.finditer(stem)]
    return stem[: places[count]] if count < len(places) else ""


def _look_shared(names: Sequence[str], labels: int) -> bool:
    counts = Counter(names)
    return (
        "" not in counts
        and len(counts) >= max(_FEWEST, labels + 1)
        and len(names) >= _SHARED * len(counts)
        and max(counts.values()) <= _LARGEST * len(names)
    )


def _pattern(names: Sequence[str], keys: Sequence[str], where: str) -> str:
    """Return a pattern that finds these names in the paths, "" if there is no plain one."""
    form = _form(sorted({*names}))
    for tried in (form, f"(?:^|/)({form})(?:/|[^/]*$)"):
        search = re.compile(tried).search
        found = [search(key) for key in keys]
        groups = [one[one.re.groups] if one else None for one in found]
        if groups == list(names):
            return tried
    return ""


def _form(names: Sequence[str]) -> str:
    """Return a pattern of the form of names; letters stand in it only where all names share them.

    >>> _form(["PT12", "PT7"]), _form(["Doe", "Roe"]), _form(["a-1", "b"])
    ('PT[0-9]+', '[A-Za-z]+', '[^/]+')
    """
    runs = [_RUN.findall(name) for name in names]
    kinds = {tuple(map(_kind, own)) for own in runs}
    if len(kinds) > 1:
        return "[^/]+"
    columns = [{*column} for column in zip(*runs, strict=True)]
    return "".join(
        re.escape(next(iter(column))) if len(column) == 1 and kind != "[0-9]+" else kind
        for column, kind in zip(columns, next(iter(kinds)), strict=True)
    )


def _kind(run: str) -> str:
    return "[0-9]+" if run[0].isdecimal() else "[A-Za-z]+" if run.isalpha() else re.escape(run)
