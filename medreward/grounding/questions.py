"""Which grounding questions are asked about which image, negatives in a controlled share.

=========  ===================================  ==============================  ================
ask        question                             right answer                    card of its rows
=========  ===================================  ==============================  ================
where      where is every instance of a class?  its boxes, [] if there is none  grounding_where
all        where is an instance of any class?   all boxes, [] if there is none  grounding_where
point      where, by a point on each instance?  a point in each, [] if none     grounding_point
count      how many instances of a class?       a whole number                  grounding_count
present    is there an instance of a class?     yes or no                       grounding_present
=========  ===================================  ==============================  ================

A *negative* is a question about a class that the image does not show. Whatever is annotated counts
as all there is. So where an annotation is known to be incomplete, because a box of a class had no
area or was a crowd, nothing is asked about this class in this image.

The cards are shipped and know no class, so the rows can be scored wherever medreward is installed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from medreward.checks import number as checked_number
from medreward.checks import whole
from medreward.data.record_list import RecordList
from medreward.data.sources.boxes import check_one_reader
from medreward.data.sources.record import Record, Remark
from medreward.data.splits import SPLITS
from medreward.errors import ConfigError, expected, quote
from medreward.geometry.regions import MAX_BOXES
from medreward.grounding.phrases import number, question, words_of
from medreward.kinds.base import TargetType, kind_of
from medreward.task.task import Task

CARDS = {
    "where": "grounding_where",
    "all": "grounding_where",
    "point": "grounding_point",
    "count": "grounding_count",
    "present": "grounding_present",
}
ANY = ""  # stands for all classes together
_UNSURE = "not asked about a class, since a box of it was left out"
_TOO_MANY = "count not asked: more than can be asked for"
_SAME = "not asked whether a class is there, since the answer is the same in every image"
_SHORT = "fewer negatives than wanted, all there are"


@dataclass(frozen=True)
class Asking:
    """What is to be asked.

    Attributes:
        kinds: names out of `CARDS`, asked in this order.
        negatives: the share of negatives among the rows of each kind in each split, from 0 up to
            but not including 1. All positives are asked; where an image without the class is too
            rare, the share is lower. Of "present", half of the answers are always no, class by
            class, for which the more frequent answer is thinned out.
        most: "count" is not asked about images with more instances; at most 100.

    Raises:
        ConfigError: if a value is not allowed.
    """

    kinds: tuple[str, ...]
    negatives: float = 0.2
    most: int = MAX_BOXES

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in CARDS:
                raise expected("ask", kind, CARDS)
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError(f"ask: {', '.join(self.kinds) or '(nothing)'}: name each kind once")
        checked_number("negatives", self.negatives, 0.0, 0.99)
        whole("most", self.most, 1, MAX_BOXES)


class Question(NamedTuple):
    """A question about an image.

    Attributes:
        ask: its kind.
        name: the class it asks for; `ANY`: all of them.
        text: its wording.
    """

    ask: str
    name: str
    text: str


class Plan(NamedTuple):
    """The questions of each image, by the record's id, the classes, and what to report."""

    questions: Mapping[str, Sequence[Question]]
    names: tuple[str, ...]
    remarks: tuple[Remark, ...]


class _Pair(NamedTuple):
    """An image and a class that can be asked about in it."""

    id: str
    key: str
    where: str
    name: str
    found: int


def canonical(records: Sequence[Record], task: Task) -> Sequence[Record]:
    """Return the records with the card's names for their boxes, where the card has labels."""
    if not task.labels:
        return records
    given = {box.name for record in records for box in record.boxes or ()}
    given |= {name for record in records for name in record.dropped}
    names = {name: _label(name, task) for name in given}
    return RecordList(
        replace(
            record,
            boxes=tuple(box._replace(name=names[box.name]) for box in record.boxes or ()),
            dropped=tuple(names[name] for name in record.dropped),
        )
        for record in records
    )


def _label(name: str, task: Task) -> str:
    index = task.lexicon.label(name)
    if index is None or index >= len(task.labels):
        index = 0 if len(task.labels) == 1 else None
    return name if index is None else task.labels[index].name


def plan(records: Sequence[Record], task: Task, asking: Asking, seed: int) -> Plan:
    """Return which questions are asked about which image; the same for the same arguments.

    Args:
        records: with splits, and boxes under the card's names.
        task: the user's localisation card, for the classes and their words; where it has no
            labels, the classes are the names in the data.
        asking: what is to be asked.
        seed: of the choice of negatives and wordings.

    Raises:
        ConfigError: if there is no class to ask about, or nothing that can be asked.
    """
    check_one_reader(records, "questions are asked about those of one")
    if kind_of(task).target_type is not TargetType.BOXES:
        raise ConfigError(
            f"ask: task {quote(task.name)} is {task.kind}; --ask needs a localisation card"
        )
    names = _names(records, task)
    words = words_of(task, names)
    questions: dict[str, list[Question]] = defaultdict(list)
    remarks = [Remark(r.where, _UNSURE, name) for r in records for name in sorted(set(r.dropped))]
    for kind in asking.kinds:
        for split in SPLITS:
            pairs = _pairs([r for r in records if r.split == split], kind, names)
            chosen, said = _CHOOSERS.get(kind, _with_negatives)(pairs, kind, asking, seed)
            remarks += [
                remark._replace(where=remark.where or f"{split}, {kind}") for remark in said
            ]
            for pair in chosen:
                forms = list(words.values()) if pair.name == ANY else [words[pair.name]]
                text = question(kind, forms, f"{seed}/wording/{kind}/{pair.name}/{pair.key}")
                questions[pair.id].append(Question(kind, pair.name, text))
    if not questions:
        raise ConfigError(f"ask: {', '.join(asking.kinds)}: no image of which this can be asked")
    return Plan(questions, names, tuple(remarks))


def _names(records: Sequence[Record], task: Task) -> tuple[str, ...]:
    names = tuple(label.name for label in task.labels)
    names = names or tuple(sorted({box.name for record in records for box in record.boxes or ()}))
    if not names:
        raise ConfigError("ask: the source has no box, and the card no label, to ask about")
    return names


def _pairs(records: Sequence[Record], kind: str, names: Sequence[str]) -> list[_Pair]:
    """Return what can be asked, image by image; a class with an unsure annotation is left out."""
    return [pair for record in records for pair in _of_record(record, kind, names)]


def _of_record(record: Record, kind: str, names: Sequence[str]) -> Iterator[_Pair]:
    counts = Counter(box.name for box in record.boxes or ())
    place = record.id, record.key or record.id, record.where
    if kind == "all":
        if not record.dropped:
            yield _Pair(*place, ANY, counts.total())
        return
    for name in names:
        if name not in record.dropped:
            yield _Pair(*place, name, counts[name])


def _with_negatives(
    pairs: Sequence[_Pair], kind: str, asking: Asking, seed: int
) -> tuple[list[_Pair], list[Remark]]:
    """Return all positives, and of the negatives as many as make up their share."""
    positives = [pair for pair in pairs if pair.found]
    negatives = [pair for pair in pairs if not pair.found]
    wanted = round(len(positives) * asking.negatives / (1 - asking.negatives))
    kept = {*positives, *_first(negatives, wanted, kind, seed)}
    remarks = []
    if wanted > len(negatives):
        remarks.append(Remark("", _SHORT, f"{len(negatives)} of {len(kept)} rows"))
    return [pair for pair in pairs if pair in kept], remarks


def _countable(
    pairs: Sequence[_Pair], kind: str, asking: Asking, seed: int
) -> tuple[list[_Pair], list[Remark]]:
    """Return the same of pairs with a count that may be asked for."""
    within = [pair for pair in pairs if pair.found <= asking.most]
    chosen, remarks = _with_negatives(within, kind, asking, seed)
    over = [pair for pair in pairs if pair.found > asking.most]
    said = [Remark(p.where, _TOO_MANY, f"{p.found} of {p.name}") for p in over]
    return chosen, [*remarks, *said]


def _balanced(
    pairs: Sequence[_Pair], kind: str, asking: Asking, seed: int
) -> tuple[list[_Pair], list[Remark]]:
    """Return as many pairs with as without each class, so that no class gives away its answer."""
    kept: set[_Pair] = set()
    remarks = []
    for name in dict.fromkeys(pair.name for pair in pairs):
        yes = [pair for pair in pairs if pair.name == name and pair.found]
        no = [pair for pair in pairs if pair.name == name and not pair.found]
        each = min(len(yes), len(no))
        kept.update(_first(yes, each, kind, seed), _first(no, each, kind, seed))
        if not each:
            remarks.append(Remark("", _SAME, name))
    return [pair for pair in pairs if pair in kept], remarks


_CHOOSERS = {"count": _countable, "present": _balanced}


def _first(pairs: Sequence[_Pair], count: int, kind: str, seed: int) -> list[_Pair]:
    """Return so many of the pairs, drawn by hash."""

    def rank(pair: _Pair) -> int:
        return number(f"{seed}/ask/{kind}/{pair.name}/{pair.key}")

    return sorted(pairs, key=rank)[:count]
