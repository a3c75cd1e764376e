"""Several labels an image: as a source gives them -> a set of the card's labels."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medreward.data.record_list import RecordList
from medreward.data.sources.boxes import check_one_reader
from medreward.data.sources.record import Flags, Record, Remark, Unclear
from medreward.errors import ConfigError, quote
from medreward.kinds.multilabel import parse_label_set
from medreward.prepare.unknown import check_used, key_of, unknown_labels
from medreward.task.task import Task

_DROPPED = "left out: a label of it is mapped to nothing"


def with_label_sets(
    records: Sequence[Record], task: Task, mapping: Mapping[str, str]
) -> tuple[Sequence[Record], list[Remark]]:
    """Return the records with the ground truth of a multi-label task, and what was left out.

    A label that is mapped to a phrase for "no finding" is dropped from its set; one that is mapped
    to nothing leaves its images out. Of boxes, the set of their names counts.

    Raises:
        ConfigError: for labels that the card does not know, an array of another length than the
            card has labels, or an image that has "no finding" beside a finding.
    """
    check_one_reader(records, "a set of labels is of one reader")
    counts = Counter(key for record in records for key in _keys(record, task))
    unclear = {key_of(x) for r in records for x in _parts(r.label) if isinstance(x, Unclear)}
    known = {
        key: None if key in unclear - {*mapping} else _meaning(task, mapping.get(key, key))
        for key in counts
        if key not in mapping or mapping[key]
    }
    unknown = {key: counts[key] for key, meaning in known.items() if meaning is None}
    if unknown:
        raise ConfigError(unknown_labels(task, unknown, mapping) + _hint(unknown, unclear))
    check_used(mapping, counts, records)
    kept = RecordList()
    remarks = []
    flagged = sum(isinstance(record.label, Flags) for record in records)
    if flagged:
        what = "zeros and ones are taken for the card's labels in their order"
        remarks.append(Remark(f"{flagged} images", what, ", ".join(x.name for x in task.labels)))
    for record in records:
        keys = _keys(record, task)
        gone = [key for key in keys if key not in known]
        if gone:
            remarks.append(Remark(record.where, _DROPPED, repr(gone[0])))
            continue
        _check_no_finding(record, keys, known, mapping)
        indices = sorted(frozenset().union(*(known[key] or () for key in keys)))
        truth = json.dumps([task.labels[i].name for i in indices])
        kept.append(replace(record, label=truth, boxes=None, size=None))
    return kept, remarks


def _keys(record: Record, task: Task) -> list[str]:
    """Return the labels of a record as texts, each once; an empty one where there is no label."""
    label = record.label
    if label is None and record.boxes is not None:
        label = (*(box.name for box in record.boxes), *record.crowds)
    elif isinstance(label, Flags):
        _check_flags(record, label, task)
        label = tuple(i for i, flag in enumerate(label.values) if flag)
    return list(dict.fromkeys(map(key_of, _parts(label))))


def _parts(label: Any) -> tuple[Any, ...]:
    return label if isinstance(label, tuple) else (label,)


def _check_flags(record: Record, flags: Flags, task: Task) -> None:
    if len(flags.values) != len(task.labels) or not {0, 1} >= {*flags.values}:
        raise ConfigError(
            f"{record.where}: its labels {list(flags.values)} are not a 0 or 1 for each of the "
            f"{len(task.labels)} labels of task {quote(task.name)}"
        )


def _meaning(task: Task, text: str) -> frozenset[int] | None:
    """Return the label that a text names, as a set; the empty one for "no finding"."""
    try:
        return parse_label_set(task, text)
    except ConfigError:
        return None


def _check_no_finding(
    record: Record,
    keys: Sequence[str],
    known: Mapping[str, frozenset[int] | None],
    mapping: Mapping[str, str],
) -> None:
    """Refuse "no finding" beside a finding, unless a mapping says that it is to be dropped."""
    nothing = [key for key in keys if not known[key] and key not in mapping]
    if nothing and any(known[key] for key in keys):
        raise ConfigError(
            f"{record.where}: {quote(nothing[0])} stands beside "
            f"{', '.join(k for k in keys if known[k])}"
            f"; --map {quote(nothing[0])}='no finding' drops it there, --map {quote(nothing[0])}= "
            f"leaves such images out"
        )


def _hint(unknown: Mapping[str, int], unclear: Collection[str]) -> str:
    if any(key in unclear for key in unknown):
        return (
            "\n--flag-value VALUE=1, VALUE=0 or VALUE= (which leaves the images out) says what a "
            "value means in all --label-columns; =0 is for empty cells"
        )
    joined = next((key for key in unknown if any(c in key for c in "|;,")), None)
    if joined is None:
        return ""
    return f"\nwhere {joined!r} is several labels, --label-separator says what stands between them"
