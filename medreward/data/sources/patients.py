"""Patients out of paths: what a pattern finds in the path of an image."""

from __future__ import annotations

import re
from dataclasses import replace

from medreward.data.record_list import RecordList
from medreward.data.sources.record import Source
from medreward.errors import ConfigError, quote


def with_patients(source: Source, pattern: str) -> Source:
    r"""Return a source whose records have the patient that a pattern finds in their paths.

    Args:
        source: with records that have paths.
        pattern: a regular expression; its first group, or else all that it finds, is the patient.

    Raises:
        ConfigError: if the pattern is none, or finds nothing in a path.

    >>> from medreward.data.sources.record import Record
    >>> record = Record("1", "1", ("x", "train/patient007/1.png"), key="train/patient007/1.png")
    >>> with_patients(Source("x", [record], load=len), r"patient(\d+)").records[0].group
    '007'
    """
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise ConfigError(f"--patient-pattern: {quote(pattern)}: {error}") from error
    without = [record.where for record in source.records if not search(record.key)]
    if without:
        shown = ", ".join(without[:3])
        raise ConfigError(
            f"--patient-pattern: {quote(pattern)} finds nothing in the paths of {len(without)} of "
            f"{len(source.records)} images, such as {shown}"
        )
    records = RecordList(
        replace(record, group=one[1] if one.re.groups else one[0])
        for record in source.records
        if (one := search(record.key))
    )
    return replace(source, records=records)
