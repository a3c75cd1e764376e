"""Labels from the wild -> the card's labels, or a report of those that it does not know."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from medreward.data.record_list import RecordList
from medreward.data.sources.boxes import EMPTIED, by_reader
from medreward.data.sources.record import ANY_OBJECT, Flags, NamedBox, Record, Remark
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_json, parse_yaml, read_text
from medreward.geometry.regions import MAX_BOXES
from medreward.kinds.base import TargetType, kind_of
from medreward.kinds.choice import ChoiceTarget, shuffle_options
from medreward.kinds.short_answer import AnswerTarget
from medreward.kinds.truth import ground_truth
from medreward.prepare.label_sets import with_label_sets
from medreward.prepare.masks import settle_masks
from medreward.prepare.unknown import check_used, key_of, unknown_labels
from medreward.task.task import Task
from medreward.task.traits import Trait
from medreward.text.reasons import REASONS

Settled: TypeAlias = tuple[Sequence[Record], list[Remark]]


class Wishes(NamedTuple):
    """What a user asks of labels.

    Attributes:
        mapping: label in the source -> name in the card (or of a box); "" leaves the image, or the
            box, out.
        box_labels: of boxes and masks, the names that count; none: all.
        shuffle: whether the options of a question stand in an order of each row's own.
        seed: of that order.
        skip: whether questions that cannot be scored are left out, in place of an error.
    """

    mapping: Mapping[str, str] = {}
    box_labels: Sequence[str] = ()
    shuffle: bool = True
    seed: int = 0
    skip: bool = False


_FLAGS = ("1", "1.0", "255", "65535", "True", "true")  # set, in columns and in masks
_MOST_PROBLEMS = 20
_TO_PIXELS = "; --mask-regions pixels takes the masks themselves"
_EACH_VALUE = (
    "\nwhere each value, or colour, of a mask is an object of its own: --mask-regions instances"
)
_DROPPED = "left out: its label is mapped to nothing"


def settle_labels(
    records: Sequence[Record],
    task: Task,
    mapping: Mapping[str, str] | None = None,
    box_labels: Iterable[str] = (),
    **wishes: Any,
) -> Settled:
    """Return the records with targets as the task knows them, and what was left out.

    Args:
        records: with labels or boxes as in the source.
        task: the card.
        mapping: label in the source -> name in the card (or of a box); "" leaves the image, or
            the box, out.
        box_labels: of boxes and masks, the names that count; none: all.
        **wishes: the other fields of `Wishes`.

    Raises:
        ConfigError: if the data have labels that the card does not know; the message gives their
            counts and the nearest names. Also if the source does not have what the task needs.
    """
    asked = Wishes(mapping or {}, list(box_labels), **wishes)
    return SETTLERS[kind_of(task).target_type](records, task, asked)


def settle_unsaid(records: Sequence[Record], *, negative: bool) -> Settled:
    """Return the records of which the source says something, and what was done with the others.

    Args:
        records: as the source gives them.
        negative: whether an image without any annotation shows nothing of what is looked for; else
            it is left out, since it may not have been annotated at all.

    Raises:
        ConfigError: if no record is left.
    """
    unsaid = sum(record.unsaid for record in records)
    if not unsaid:
        return records, []
    if negative:
        taken = f"{unsaid} of {len(records)} images"
        what = "without an annotation: taken as showing nothing (--unannotated negative)"
        return records, [Remark(taken, what)]
    if unsaid == len(records):
        raise ConfigError(
            f"{unsaid} of {len(records)} images have no annotation, and no other image is "
            f"there; if this means that they show nothing, add --unannotated negative"
        )
    what = "no annotation; left out, as it may not have been looked at (--unannotated negative)"
    left_out = [Remark(record.where, what) for record in records if record.unsaid]
    return RecordList(record for record in records if not record.unsaid), left_out


def parse_mapping(pairs: Iterable[str], file: str | Path | None = None) -> dict[str, str]:
    """Return the mapping that ``OLD=NEW`` arguments and a file give; arguments win.

    Raises:
        ConfigError: if an argument has no "=" or the file is no mapping of labels to labels.
    """
    mapping = {} if file is None else read_mapping(file)
    for pair in pairs:
        old, equals, new = pair.partition("=")
        if not equals:
            raise ConfigError(f"--map: {quote(pair)} is not OLD=NEW")
        mapping[old.strip()] = new.strip()
    return mapping


def read_mapping(path: str | Path) -> dict[str, str]:
    """Return a mapping of labels from YAML, JSON, or a CSV file with two columns and no header."""
    path = Path(path)
    text = read_text(path, "utf-8-sig")
    try:
        content = _parsed(text, path.suffix.lower(), path)
    except (ConfigError, csv.Error) as error:
        raise ConfigError(f"{path}: not a mapping of labels: {error}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: not a mapping of labels to labels")
    for old, new in content.items():
        if isinstance(old, bool) or isinstance(new, bool | list | dict):
            raise ConfigError(
                f"{path}: {quote(old)}: {quote(new)} are not two labels (put them in quotes)"
            )
    return {
        str(old).strip(): "" if new is None else str(new).strip() for old, new in content.items()
    }


def _parsed(text: str, suffix: str, path: Path) -> Any:
    if suffix == ".json":
        return parse_json(text)
    if suffix in (".yaml", ".yml"):
        return parse_yaml(text)
    if suffix != ".csv":
        raise expected(f"{path}: kind of mapping file", suffix, [".yaml", ".yml", ".json", ".csv"])
    rows = [row for row in csv.reader(text.splitlines()) if row]
    wrong = next((row for row in rows if len(row) != 2), None)
    if wrong:
        raise ConfigError(f"{path}: {quote(wrong)} has {len(wrong)} fields; OLD,NEW is expected")
    return dict(rows)


def _with_labels(records: Sequence[Record], task: Task, mapping: Mapping[str, str]) -> Settled:
    counts = Counter(key_of(record.label) for record in records)
    raw = {key_of(record.label): record.label for record in records}
    known = {
        key: _mapped(task, mapping[key]) if key in mapping else _truth(task, raw[key])
        for key in counts
    }
    unknown = {key: n for key, n in counts.items() if known[key] is None}
    if unknown:
        raise ConfigError(unknown_labels(task, unknown, mapping))
    check_used(mapping, counts, records)
    kept = RecordList()
    remarks = [*_by_place(task, counts, mapping)]
    for record in records:
        key = key_of(record.label)
        if known[key]:
            kept.append(replace(record, label=known[key]))
        else:
            remarks.append(Remark(record.where, _DROPPED, repr(key)))
    return kept, remarks


def _by_place(
    task: Task, counts: Mapping[str, int], mapping: Mapping[str, str]
) -> Iterator[Remark]:
    """Yield what a number was taken for that is no name of the card: the label at its place."""
    for key, count in sorted(counts.items()):
        is_place = key.isdecimal() and key not in mapping and Trait.ORDERED not in task.traits
        if is_place and task.lexicon.label(key) is None and int(key) < len(task.labels):
            name = task.labels[int(key)].name
            what = "taken for the card's label at that place, counted from 0"
            yield Remark(f"label {key}", what, f"{name}: {count} images")


def _mapped(task: Task, name: str) -> str | None:
    """Return the ground truth of a mapping's right side: "" stays "", which leaves images out."""
    return _truth(task, name) if name else ""


def _truth(task: Task, label: Any) -> str | None:
    """Return the row's ground truth, or None for a label that the card does not know."""
    try:
        return ground_truth(task, label)
    except ConfigError:
        return None


def _one_of_each(records: Sequence[Record]) -> Sequence[Record]:
    """Return records with one label each where a source gives a set of exactly one for each."""
    lengths = {len(record.label) for record in records if isinstance(record.label, tuple)}
    if lengths != {1}:
        return records
    return RecordList(
        replace(r, label=r.label[0]) if isinstance(r.label, tuple) else r for r in records
    )


def _check_single(records: Sequence[Record], task: Task) -> None:
    """Raise `ConfigError` if a source gives boxes or several labels for a task of one label."""
    for record in records:
        if record.label is None and record.boxes:
            raise ConfigError(
                f"task {quote(task.name)} is {task.kind}, the source has boxes; a "
                f"localisation card fits, or a multilabel one for what is in an image"
                + (_TO_PIXELS if Trait.PIXELS in task.traits else "")
            )
        if isinstance(record.label, Flags):
            raise _several(record, task, "the source has several labels an image")
        if isinstance(record.label, tuple) and len(record.label) != 1:
            shown = ", ".join(map(str, record.label)) or "none"
            raise _several(
                record,
                task,
                f"its labels are {shown} (where they answer different questions, "
                f"--question-column names these)",
            )


def _several(record: Record, task: Task, said: str) -> ConfigError:
    return ConfigError(
        f"{record.where}: {said}, and task {quote(task.name)} is {task.kind}; a multilabel card "
        f"fits"
    )


def _with_boxes(records: Sequence[Record], task: Task, wishes: Wishes) -> Settled:
    mapping, wanted = wishes.mapping, wishes.box_labels
    unboxed = next((record for record in records if record.boxes is None), None)
    if unboxed:
        raise ConfigError(
            f"{unboxed.where}: a {task.kind} task needs boxes; the source has none "
            f"(--box-columns or --corner-columns name those of a CSV file)"
        )
    counts = Counter(box.name for record in records for box in record.boxes or ())
    check_used(mapping, counts, records)
    mapping, remarks = _only_label(task, counts, mapping)
    names = {mapping.get(name, name) for name in counts}
    for name in wanted:
        if name not in names:
            raise expected("--box-label: label in the data", name, sorted(names))
    chosen = set(wanted) or names - {""}
    if task.labels:
        _check_classes(task, counts, mapping, chosen)
        remarks += _still_asked(task, counts, mapping, chosen)
    kept = RecordList()
    for record in records:
        drawn = [
            (reader, [NamedBox(mapping.get(name, name), box) for name, box in boxes])
            for reader, boxes in by_reader(record.boxes or (), record.readers)
        ]
        drawn = [(reader, [one for one in all_ if one.name in chosen]) for reader, all_ in drawn]
        boxes = tuple(box for _, some in drawn for box in some)
        readers = tuple((reader, len(some)) for reader, some in drawn) if record.readers else ()
        if len(boxes) > MAX_BOXES:
            remarks.append(Remark(record.where, f"left out: more than {MAX_BOXES} boxes"))
            continue
        dropped = {mapping.get(name, name) for name in record.dropped} & chosen
        if not boxes and not record.boxes and record.dropped:
            remarks.append(Remark(record.where, EMPTIED))
            continue
        kept.append(replace(record, boxes=boxes, readers=readers, dropped=tuple(sorted(dropped))))
    return kept, remarks


def _only_label(
    task: Task, counts: Mapping[str, int], mapping: Mapping[str, str]
) -> tuple[Mapping[str, str], list[Remark]]:
    """Return the mapping with what can only be the only label of a card, and what is said of it.

    That are objects without a class, and a flag such as 1 or a mask's 255 where all boxes have it.
    """
    if len(task.labels) != 1:
        return mapping, []
    only = task.labels[0].name
    mapping = {ANY_OBJECT: only, **mapping} if ANY_OBJECT in counts else mapping
    (name, count), *others = [*counts.items()] or [("", 0)]
    if others or name in mapping or name not in _FLAGS or _class(task, name) is not None:
        return mapping, []
    what = "taken for the card's only label, as all boxes have it"
    return {**mapping, name: only}, [Remark(f"label {name}", what, f"{only}: {count} boxes")]


def _check_classes(
    task: Task, counts: Mapping[str, int], mapping: Mapping[str, str], chosen: Collection[str]
) -> None:
    """Raise `ConfigError` if boxes that count have a label that the card does not know."""
    unknown = {
        name: count
        for name, count in counts.items()
        if mapping.get(name, name) in chosen and _class(task, mapping.get(name, name)) is None
    }
    if unknown:
        numbered = len(task.labels) == 1 and all(
            name.replace(",", "").isdecimal() for name in unknown
        )
        raise ConfigError(
            unknown_labels(task, unknown, mapping, "boxes") + (_EACH_VALUE if numbered else "")
        )


def _still_asked(
    task: Task, counts: Mapping[str, int], mapping: Mapping[str, str], chosen: Collection[str]
) -> list[Remark]:
    """Say which labels of the card have boxes that are left out, while its prompts name them."""
    left: Counter[str] = Counter()
    for name, count in counts.items():
        index = _class(task, name)
        if index is not None and mapping.get(name, name) not in chosen:
            left[task.labels[index].name] += count
    what = (
        "left out, though the card's prompts ask for it: a right answer would name boxes that no "
        "target has; make a card of the labels that count"
    )
    return [Remark(f"label {name}", what, f"{count} boxes") for name, count in left.items()]


def _class(task: Task, name: str) -> int | None:
    index = task.lexicon.label(name)
    return index if index is not None and index < len(task.labels) else None


def _settle_sets(records: Sequence[Record], task: Task, wishes: Wishes) -> Settled:
    return with_label_sets(records, task, wishes.mapping)


def _settle_single(records: Sequence[Record], task: Task, wishes: Wishes) -> Settled:
    records = _one_of_each(records)
    _check_single(records, task)
    return _with_labels(records, task, wishes.mapping)


def _settle_masks(records: Sequence[Record], task: Task, wishes: Wishes) -> Settled:
    _check_single(records, task)
    return settle_masks(records, task, wishes.mapping, wishes.box_labels)


def _settle_places(records: Sequence[Record], task: Task, wishes: Wishes) -> Settled:
    """Settle boxes where the source gives some; if not, its labels are masks to point at."""
    if any(record.boxes is not None for record in records):
        return _with_boxes(records, task, wishes)
    return _settle_masks(records, task, wishes)


def _check_readable(task: Task, target: Any) -> None:
    """Raise `ConfigError` where the right answer is not read as right: nobody could earn it."""
    kind = kind_of(task)
    answer = kind.right(task, target, task.reward)
    verdict = kind.reward(answer, target, task, task.reward)
    if verdict.reason != "correct":
        unread = f", {quote(verdict.unread)} is not understood" if verdict.unread else ""
        raise ConfigError(
            f"its own right answer {quote(answer)} is not read as right "
            f"({REASONS[verdict.reason]}{unread}), so that no completion could earn it"
        )


def _check_options(records: Sequence[Record], task: Task) -> None:
    """Raise `ConfigError` where no row has options, which a card of options needs."""
    if not any(
        isinstance(record.label, Mapping) and "options" in record.label for record in records
    ):
        raise ConfigError(
            f"task {quote(task.name)} is {task.kind}, and none of {len(records)} questions has "
            f"options; --options-column NAME says which column holds them, or "
            f"--options-column A B C D which columns hold one each"
        )


def _settle_questions(records: Sequence[Record], task: Task, wishes: Wishes) -> Settled:
    """Return the records with their ground truths; options in an order of each row's own."""
    check_used(wishes.mapping, ())
    kept = RecordList()
    problems: list[Remark] = []
    for record in records:
        try:
            target = task.parse_target(record.label)
            _check_readable(task, target)
        except ConfigError as error:
            said = str(error).removeprefix(f"task {quote(task.name)}: target").lstrip(": ")
            problems.append(Remark(record.where, "left out: cannot be scored", said))
            continue
        if isinstance(target, AnswerTarget) and record.question:
            target = target._replace(question=record.question)  # for a judge
        if wishes.shuffle and isinstance(target, ChoiceTarget):
            target = shuffle_options(target, f"{wishes.seed}/options/{record.id}")
        kept.append(replace(record, label=kind_of(task).to_text(task, target)))
    if len(problems) == len(records) and Trait.OPTIONS in task.traits:
        _check_options(records, task)
    if problems and not wishes.skip:
        shown = "\n".join(f"  {p.where}: {p.detail}" for p in problems[:_MOST_PROBLEMS])
        more = len(problems) - _MOST_PROBLEMS
        raise ConfigError(
            f"{len(problems)} of {len(records)} questions cannot be scored as task "
            f"{quote(task.name)} (--on-error skip leaves them out):\n{shown}"
            + (f"\n  and {more} more" if more > 0 else "")
        )
    return kept, problems


SETTLERS: Mapping[
    TargetType,
    Callable[[Sequence[Record], Task, Wishes], Settled],
] = {
    TargetType.QUESTION: _settle_questions,
    TargetType.FINDINGS: _settle_questions,
    TargetType.FIELDS: _settle_questions,
    TargetType.LABEL: _settle_single,
    TargetType.LABELS: _settle_sets,
    TargetType.BOXES: _with_boxes,
    TargetType.SERIES: _settle_questions,
    TargetType.MASK: _settle_masks,
    TargetType.PLACES: _settle_places,
}
