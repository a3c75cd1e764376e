"""What was prepared from what, and what was left out: for people, as Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from medreward.data.sources.record import Remark, report_lines, thin_remarks
from medreward.data.splits import DEFAULT_FRACTIONS, SPLITS
from medreward.files.markdown import cell, code_line, pairs, pathless, plain
from medreward.prepare.options import Options
from medreward.prepare.outcome import RecordOutcome
from medreward.prepare.prompt_section import prompt_facts, prompt_section
from medreward.priors.prompt import PromptBuilder
from medreward.task.profile import ModelProfile
from medreward.task.task import Task
from medreward.version import __version__

# Not in the card: without effect, or shown field by field.
_NO_TRACE = ("workers", "reading", "asking", "shard_rows", "part", "cache")
_LEFT_OUT = "left out"  # how remarks on what is not in the rows begin
_MOST_SHOWN = 40  # files a kind of remark, in the card
_MOST_HELD = 10_000  # remarks of a run


@dataclass
class Summary:
    """What a run of `prepare` did.

    Attributes:
        source: the source's name.
        noun: what is counted: images, or questions of which several may be about one image.
        images: split -> number of them; each is a row, unless questions are asked of it.
        labels: split -> label -> number of images that have it; of boxes or masks, how many.
        facts: name of a header field -> value -> number of images; only allow-listed ones.
        skipped: the images that cannot be used, and why.
        remarks: what was done to others; of very many of a kind, the first.
        more: kind of remark -> how many others of it there were.
        left_out: statement that a budget had no room for -> number of prompts.
        example: the first prompt, as text.
        files: what was written.
        copies: split -> transformed copies of each row in it, beside the row.
        questions: split -> grounding question, such as "where, no WBC" -> number of rows.
    """

    source: str
    noun: str = "images"
    images: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    facts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    skipped: list[Remark] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    example: str = ""
    files: tuple[Path, ...] = ()
    copies: Counter[str] = field(default_factory=Counter)
    questions: dict[str, Counter[str]] = field(default_factory=dict)
    _most_held: int = _MOST_HELD

    def rows(self, split: str) -> int:
        """Return the number of rows of a split: its images or questions, and copies of each."""
        asked = self.questions[split].total() if split in self.questions else 0
        return (asked if self.questions else self.images[split]) * (1 + self.copies[split])

    def count(self, outcome: RecordOutcome) -> None:
        """Add the image of a record that gives rows, and these rows."""
        split = outcome.identity.split
        self.images[split] += 1
        self.labels[split].update(outcome.names)
        self._remark(outcome.remarks)
        for name, value in outcome.facts.items():
            self.facts[name][value or "(none)"] += 1
        self.left_out.update(outcome.left_out)
        self.example = self.example or outcome.example
        if outcome.asked:
            self.questions.setdefault(split, Counter()).update(outcome.asked)

    def _remark(self, remarks: Iterable[Remark]) -> None:
        """Add remarks; of a kind that each image has, no more are held than are shown."""
        self.remarks += remarks
        if len(self.remarks) > self._most_held:
            self.remarks, others = thin_remarks(self.remarks, _MOST_SHOWN)
            self.more += others
            self._most_held = max(_MOST_HELD, 2 * len(self.remarks))

    def text(self) -> str:
        """Return a few lines for a terminal: counts, and each thing that was done or left out."""
        lines = [
            f"{split:6}{self.images[split]:>8} {self.noun}"
            + (f", {self.rows(split)} rows" if self.copies[split] else "")
            for split in SPLITS
            if self.images[split]
        ]
        for split, counts in self.questions.items():
            asked = "; ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
            lines.append(f"{split:6}{counts.total():>8} questions ({asked})")
        if self.skipped:
            lines += ["skipped:", *report_lines(self.skipped, most=10)]
        if self.remarks:
            lines += ["remarks:", *report_lines(self.remarks, 10, self.more)]
        return "\n".join(lines)


@dataclass(frozen=True)
class CardFacts:
    """What the card says of a run before its first image is read; parts of a run have the same.

    Attributes:
        task: the task's name.
        kind: its kind.
        is_asked: whether the rows are grounding questions.
        provenance: source and licence.
        prompts: what is said of the prompts, by name.
        settings: the options, by name.
        command: the command line, or nothing.
        version: medreward's.
    """

    task: str
    kind: str
    is_asked: bool
    provenance: Mapping[str, str]
    prompts: Mapping[str, str]
    settings: Mapping[str, str]
    command: str = ""
    version: str = __version__


def card_facts(prompts: PromptBuilder, options: Options, command: str) -> CardFacts:
    """Return what the card says of a run by its options."""
    task = prompts.task
    return CardFacts(
        task=task.name,
        kind=task.kind,
        is_asked=options.asking is not None,
        provenance=_provenance(task),
        prompts=prompt_facts(prompts, options),
        settings=_settings(options),
        command=command,
    )


def card(summary: Summary, facts: CardFacts) -> str:
    """Return the Markdown of a data set's card; it has no date, so the same run gives the same."""
    parts = [
        f"# {facts.task}",
        _opening(summary, facts),
        "## Source and licence",
        pairs(facts.provenance),
        "## Rows",
        _counts(summary),
        *_questions(summary),
        *_facts(summary),
        "## Prompts",
        *prompt_section(facts.prompts, summary.example, summary.left_out),
        "## Settings",
        pairs(facts.settings),
        *([code_line(facts.command)] if facts.command else []),
        "## Left out",
        _left_out(summary),
        "## Remarks",
        _bullets(summary.remarks, _MOST_SHOWN, summary.more) or "None.",
    ]
    return "\n\n".join(parts) + "\n"


def _left_out(summary: Summary) -> str:
    """Return what cannot be used, and how many others are left out, which the remarks name."""
    counts = Counter(one.what for one in summary.remarks if one.what.startswith(_LEFT_OUT))
    for what, count in summary.more.items():
        counts[what] += count if what.startswith(_LEFT_OUT) else 0
    lines = [f"- {count}: {plain(what)} (see Remarks)" for what, count in (+counts).items()]
    skipped = _bullets(summary.skipped, len(summary.skipped))
    return "\n".join([*([skipped] if skipped else []), *lines]) or "Nothing."


def _opening(summary: Summary, facts: CardFacts) -> str:
    rows = sum(map(summary.rows, SPLITS))
    asked = ""
    if facts.is_asked:
        asked = ", as grounding questions, which are tasks of their own"
    return (
        f"{rows} rows for the task `{facts.task}` ({facts.kind}){asked}, from "
        f"{plain(summary.source)}, by medreward {facts.version}."
    )


def _provenance(task: Task) -> dict[str, str]:
    known = {"modality": task.modality, **task.data, "task card": task.digest}
    known.setdefault("licence", "not stated; a card states it with data: {licence: …}")
    return {name: text for name, text in known.items() if text}


def _counts(summary: Summary) -> str:
    splits = [split for split in SPLITS if summary.images[split]]
    last = [f"**{summary.noun}**", *(str(summary.images[split]) for split in splits)]
    return _table(splits, summary.labels, last)


def _questions(summary: Summary) -> list[str]:
    if not summary.questions:
        return []
    splits = [split for split in SPLITS if split in summary.questions]
    last = ["**rows**", *(str(summary.questions[split].total()) for split in splits)]
    return ["## Questions", _table(splits, summary.questions, last)]


def _table(splits: Sequence[str], counts: Mapping[str, Counter[str]], last: list[str]) -> str:
    """Return a table of names by split."""
    names = sorted({name for split in splits for name in counts[split]})
    rows = [["", *splits], ["---", *["---:"] * len(splits)]]
    rows += [[name, *(str(counts[split][name]) for split in splits)] for name in names]
    return "\n".join(f"| {' | '.join(cell(c) for c in line)} |" for line in [*rows, last])


def _facts(summary: Summary) -> list[str]:
    if not summary.facts:
        return []
    lines = [
        f"- {name}: " + ", ".join(f"{cell(value)} {n}" for value, n in sorted(values.items()))
        for name, values in sorted(summary.facts.items())
    ]
    return ["## From the headers", "\n".join(lines)]


def _settings(options: Options) -> dict[str, str]:
    shown = _fields(options) | _fields(options.reading)
    if options.asking:
        shown |= _fields(options.asking)
    if options.fractions is None:
        shown["fractions"] = f"the source's splits, or else {_value(DEFAULT_FRACTIONS)}"
    return shown


def _fields(settings: Any) -> dict[str, str]:
    assert is_dataclass(settings)  # noqa: S101 - for the type checker
    names = [f.name for f in fields(settings) if f.name not in _NO_TRACE]
    return {name: _value(getattr(settings, name)) for name in names}


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{old} = {new or '(left out)'}" for old, new in value.items()) or "none"
    if isinstance(value, ModelProfile):
        return value.name
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "all"
    return "not set" if value is None else pathless(str(value))


def _bullets(remarks: Sequence[Remark], most: int, more: Mapping[str, int] | None = None) -> str:
    lines = report_lines(remarks, max(1, most), more)
    return "\n".join(f"- {plain(line.strip())}" for line in lines)
