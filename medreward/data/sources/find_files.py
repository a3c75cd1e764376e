"""Files that are not where a table says, found in all of the folder, with a remark each time."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medreward.data.image_file import SUFFIXES
from medreward.data.record_list import RecordList
from medreward.data.sources.record import Record, Remark

_BY_NAME = "in a sub-folder, found by its name"
_BY_STEM = "the table gives no ending: found by its name without one"
_TWO_FOLDERS = (
    "several files in sub-folders have its name, and none is where the table says; the table has "
    "to give the folder"
)
_TWO_ENDINGS = "several files have its name, with other endings; --image-suffix .EXT says which"
_BY_NUMBER = "found by its number, which the table gives without leading zeros"


def find_files(
    folder: Path, records: Sequence[Record], paths: Callable[[], Iterable[str]]
) -> tuple[Sequence[Record], list[Remark]]:
    """Return records with the places of files that are elsewhere in the folder.

    A file that is not where its row says is looked for in all of the folder: by its name; where the
    row gives no ending, by its name without one; by its number. Nothing is taken where several
    files have it.

    Args:
        folder: what places are relative to.
        records: with a place that begins with a folder and a path in it.
        paths: gives all paths in the folder; asked for only if a file is not there.
    """
    there = [os.path.isfile(os.path.join(folder, record.place[1])) for record in records]
    if all(there):
        return records, []
    finder = _Finder(paths())
    placed, moved = RecordList(), Counter[str]()
    for record, is_there in zip(records, there, strict=True):
        found, how = ("", "") if is_there else finder.find(record.place[1])
        if how and not found:
            placed.append(replace(record, problem=how))
            continue
        moved[how] += bool(found)
        place = (str(folder), found, *record.place[2:])
        placed.append(replace(record, place=place) if found else record)
    return placed, [Remark(f"{count} images", how) for how, count in moved.items() if count]


class _Finder:
    """Paths by name, by name without ending, and by number; of several of one kind, no path."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_name: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        self._by_number: dict[int, str] = {}
        for path in paths:
            name = os.path.basename(path)
            _add(self._by_name, name, path)
            stem = _stem(name)
            _add(self._by_stem, stem, path)
            if stem.isdecimal():
                _add(self._by_number, int(stem), path)

    def find(self, written: str) -> tuple[str, str]:
        """Return the path of a file and how it was found.

        Two empty texts where it was not; where several have the name, only what is said of that.
        """
        name = re.split(r"[/\\]", written)[-1]
        if name in self._by_name:
            found = self._by_name[name]
            return found, _BY_NAME if found else _TWO_FOLDERS
        stem = _stem(name)
        if stem == name and stem in self._by_stem:
            found = self._by_stem[stem]
            return found, _BY_STEM if found else _TWO_ENDINGS
        found = self._by_number.get(int(stem), "") if stem.isdecimal() else ""
        is_padded = len(_stem(os.path.basename(found))) > len(stem)
        return (found, _BY_NUMBER) if is_padded else ("", "")


def _add(known: dict[Any, str], key: Any, path: str) -> None:
    known[key] = "" if key in known else path


def _stem(name: str) -> str:
    """Return a name without the ending of a picture or volume; other dots are a part of names."""
    for _ in range(2):  # .nii.gz
        stem, ending = os.path.splitext(name)
        if ending.lower() not in (*SUFFIXES, ".dcm", ".dicom", ".nii", ".gz", ".mha", ".nrrd"):
            break
        name = stem
    return name
