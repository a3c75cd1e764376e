"""What is said of labels in the data that a card does not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rapidfuzz import process, utils

from medreward.data.sources.record import Record, Remark, printable, report_lines
from medreward.errors import ConfigError, expected, quote
from medreward.kinds.base import TargetType, kind_of
from medreward.task.task import Task

_MOST_NAMED = 20
_MOST_PROBLEMS = 10


def key_of(label: Any) -> str:
    """Return a label of the source as the text that it is counted and mapped by."""
    return str(label).strip() if label is not None else ""


def unknown_labels(
    task: Task, counts: Mapping[str, int], mapping: Mapping[str, str], what: str = "images"
) -> str:
    """Return the message on labels that a card does not know: counts and the nearest names."""
    names = [form for label in task.labels for form in (label.name, *label.synonyms)]
    allowed = [label.name for label in task.labels[:40]]
    if kind_of(task).target_type is TargetType.LABELS:
        names += task.no_finding
        allowed += task.no_finding[:1]
    lines = []
    for key, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_NAMED]:
        text = mapping.get(key, key)
        found = process.extract(
            text, names, processor=utils.default_process, limit=3, score_cutoff=50
        )
        said = f", mapped to {text!r}" if key in mapping else ""
        hint = f"; nearest: {', '.join(name for name, _, _ in found)}" if found else ""
        lines.append(f"  {printable(key) or '(empty)'!r}{said}: {count} {what}{hint}")
    more = len(counts) - len(lines)
    if more > 0:
        lines.append(f"  and {more} more")
    return "\n".join(
        [
            f"labels that the card of task {quote(task.name)} does not know:",
            *lines,
            f"the card has: {', '.join(allowed)}",
            "--map OLD=NEW (or --map-file) says what they mean; --map OLD= leaves them out",
        ]
    )


def check_used(
    mapping: Mapping[str, str], counts: Iterable[str], records: Iterable[Record] = ()
) -> None:
    """Raise `ConfigError` for a mapping of a label that the data do not have.

    Labels of records that cannot be used are not known, so that their problems are said too.
    """
    present = set(counts)
    for old in mapping:
        if old not in present:
            error = expected("--map: label in the data", old, sorted(present))
            problems = [Remark(one.where, one.problem) for one in records if one.problem]
            lines = [f"of {len(problems)} images it is not known, as they cannot be used:"]
            lines += report_lines(problems, _MOST_PROBLEMS)
            raise ConfigError("\n".join([str(error), *lines])) if problems else error
