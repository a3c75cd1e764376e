"""Reviews as files: what is to be read, and verdicts that come back, as YAML or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from rapidfuzz import fuzz, process

from medreward.errors import ConfigError, expected, quote
from medreward.files.atomic import write_text_atomic
from medreward.files.reading import read_text
from medreward.task.card import REVIEWS, shipped
from medreward.task.links import link_of
from medreward.task.review import Opinion, SignedText, merge_reviews, parse_opinion, parse_reviews
from medreward.task.task import Task

HEADER = (
    "# What readers say of the statements of a card, each bound to the SHA-256 of the text, the\n"
    "# label and the source that were read. Written by `medreward review apply`.\n"
)
_FILLED = ("verdict", "edit", "comment", "by", "role", "on")
COLUMNS = ("label", "text", "modality", "cards", "source", "link", *_FILLED, "of")
_NEAR = 60  # of 100: the text that was changed is worth naming


@dataclass(frozen=True)
class Subject:
    """A statement to read, once for all cards that have it with the same label and source.

    Attributes:
        signed: the statement, and what readers said of it so far.
        link: where its source can be opened; "" where the card does not say.
        tasks: the tasks that use it.
    """

    signed: SignedText
    link: str
    tasks: tuple[Task, ...]

    @property
    def cards(self) -> str:
        """The names of the cards."""
        return ", ".join(task.name for task in self.tasks)

    @property
    def modality(self) -> str:
        """The modalities of the cards, each once."""
        return "; ".join(dict.fromkeys(task.modality for task in self.tasks if task.modality))


class Applied(NamedTuple):
    """A file of reviews that was written: how many verdicts are in it, and how many are new."""

    path: Path
    verdicts: int
    new: int


def load_cards(
    cards: Sequence[str], specialties: Sequence[str] = (), reviews: str | Path | None = None
) -> dict[str, Task]:
    """Return the tasks of cards by the name or path that was given; none: all shipped ones.

    Raises:
        ConfigError: if a card cannot be read, or none is of one of the specialties.
    """
    tasks = {card: Task.load(card, reviews) for card in cards or shipped()}
    known = sorted({task.specialty for task in tasks.values() if task.specialty})
    for specialty in specialties:
        if specialty not in known:
            raise expected("--specialty", specialty, known)
    return {
        card: task
        for card, task in tasks.items()
        if not specialties or task.specialty in specialties
    }


def list_subjects(tasks: Iterable[Task]) -> list[Subject]:
    """Return the statements of tasks, in their order; what several have in common, once.

    >>> [len(list_subjects([Task.load("pneumoniamnist")] * n)) for n in (1, 2)]
    [4, 4]
    """
    found: dict[str, Subject] = {}
    for task in tasks:
        for statement, signed in zip(task.statements, task.reviewed_statements, strict=True):
            link = link_of(signed.source, task.urls.get(statement.source, ""))
            known = found.get(signed.digest, Subject(signed, link, ()))
            found[signed.digest] = Subject(
                known.signed.joined(signed.opinions),
                known.link or link,
                known.tasks if task in known.tasks else (*known.tasks, task),
            )
    return list(found.values())


def list_words(tasks: Iterable[Task]) -> list[Subject]:
    """Return the questions, names and costs of tasks; what several have in common, once.

    >>> len(list_words([Task.load("pneumoniamnist")]))
    4
    """
    found: dict[str, Subject] = {}
    for task in tasks:
        for signed in task.reviewed_words.values():
            known = found.get(signed.digest, Subject(signed, "", ()))
            others = known.tasks if task in known.tasks else (*known.tasks, task)
            found[signed.digest] = Subject(known.signed.joined(signed.opinions), "", others)
    return list(found.values())


def csv_text(subjects: Iterable[Subject]) -> str:
    """Return a table to fill in: a row a statement, with empty cells for the verdict."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for one in subjects:
        signed = one.signed
        row = {"label": signed.label, "text": signed.text, "source": signed.source}
        row |= {"modality": one.modality, "cards": one.cards, "link": one.link}
        writer.writerow({**row, "of": signed.digest})
    return file.getvalue()


def read_verdicts(path: str | Path, filling: Mapping[str, str] | None = None) -> list[SignedText]:
    """Return the verdicts in a file: YAML, as the sheet exports it, or CSV.

    Args:
        path: the file.
        filling: for CSV, what stands for empty cells of the columns `by`, `role` and `on`.

    Raises:
        ConfigError: if the file cannot be read or a verdict is not whole.
    """
    text = read_text(path, "utf-8-sig")
    if Path(path).suffix.lower() == ".csv":
        return list(_csv_verdicts(text, str(path), filling or {}))
    return list(parse_reviews(text, str(path)))


def _csv_verdicts(text: str, where: str, filling: Mapping[str, str]) -> Iterator[SignedText]:
    """Yield the verdicts of a table; lines and cells may be in any order."""
    first = text.partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=""),
        delimiter=max(",;\t", key=first.count),
    )
    needed = ("of", "label", "text", "source", "verdict")
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise ConfigError(
            f"{where}: columns {', '.join(missing)} are missing; there are "
            f"{', '.join(reader.fieldnames or ()) or 'none'}; keep those that "
            f"`medreward review sheet --out FILE.csv` wrote"
        )
    for row in reader:
        place = f"{where}, line {reader.line_num}"
        cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
        if not cells["verdict"]:
            continue
        said = {name: cells[name] or filling.get(name, "") for name in _FILLED}
        said["verdict"] = said["verdict"].lower().replace(" ", "_").replace("-", "_")
        opinion = parse_opinion(place, said)
        signed = SignedText(cells["text"], cells["label"], cells["source"], (opinion,))
        if cells["of"] != signed.digest:
            raise ConfigError(
                f"{place}: of: {quote(cells['of'])} is not the SHA-256 of text, label and source "
                f"in this line; change verdict, edit, comment, by, role and on only"
            )
        yield signed


def apply_reviews(
    verdicts: Sequence[SignedText],
    cards: Sequence[str] = (),
    folder: str | Path | None = None,
    *,
    skip_unknown: bool = False,
) -> list[Applied]:
    """Write verdicts beside the cards that say what was read, or into a folder; all or nothing.

    Args:
        verdicts: what readers say (see `read_verdicts`).
        cards: names of shipped cards, or files; none: all shipped ones.
        folder: where to write, made where it is missing; None: beside each card, which has to be a
            file of yours.
        skip_unknown: whether to leave out verdicts on what no card says.

    Returns:
        The files that were written; none, if nothing in them would change.

    Raises:
        ConfigError: if a verdict is about what no card says, or a shipped card has no folder.

    >>> import tempfile
    >>> said = Opinion("agree", "A. Reader", "radiologist", "2026-01-31")
    >>> task, folder = Task.load("pneumoniamnist"), tempfile.mkdtemp()
    >>> verdicts = [task.reviewed_statements[0].joined([said])]
    >>> [(file.path.name, file.new) for file in apply_reviews(verdicts, [task.name], folder)]
    [('pneumoniamnist.reviews.yaml', 1)]
    >>> print(Task.load("pneumoniamnist", folder).count_reviews())
    4 statements, 1 reviewed
    """
    tasks = load_cards(cards)
    known = {one.digest for task in tasks.values() for one in _signed(task)}
    unknown = [one for one in verdicts if one.digest not in known]
    if unknown and not skip_unknown:
        raise ConfigError("\n".join(_unknown(unknown, tasks)))
    written = []
    for card, task in tasks.items():
        digests = {one.digest for one in _signed(task)}
        own = [one for one in verdicts if one.digest in digests]
        if own:
            path = _place(card, folder)
            old = parse_reviews(read_text(path), str(path)) if path.exists() else ()
            written.append((path, old, merge_reviews(old, own)))
    for path, old, new in written:
        if new != old:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomic(path, reviews_text(new))
    return [
        Applied(path, _count(new), len(_said(new) - _said(old)))
        for path, old, new in written
        if new != old
    ]


def reviews_text(reviews: Iterable[SignedText]) -> str:
    """Return reviews as the YAML of a file beside a card."""
    items = [
        {
            "of": one.digest,
            **({"label": one.label} if one.label else {}),
            "text": one.text,
            "source": one.source,
            "verdicts": [opinion.as_dict() for opinion in one.opinions],
        }
        for one in reviews
    ]
    content: dict[str, Any] = {"reviews": items}
    return HEADER + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _signed(task: Task) -> tuple[SignedText, ...]:
    """Return all of a task that is signed."""
    return (*task.reviewed_statements, *task.reviewed_words.values())


def _place(card: str, folder: str | Path | None) -> Path:
    if folder is not None:
        return Path(folder) / f"{Path(card).stem if card not in shipped() else card}{REVIEWS}"
    if card in shipped():
        raise ConfigError(
            f"{card}: is a shipped card, beside which nothing is written; say where you keep "
            f"reviews with --reviews DIR, and give the same to tasks, priors lint and prepare"
        )
    return Path(card).with_name(f"{Path(card).stem}{REVIEWS}")


def _unknown(verdicts: Sequence[SignedText], tasks: Mapping[str, Task]) -> Iterator[str]:
    """Yield lines about verdicts on what no card says."""
    names = ", ".join(tasks) if len(tasks) < 5 else f"{len(tasks)} cards"
    yield f"{len(verdicts)} of the texts that were read are in none of {names}:"
    texts = [one.text for task in tasks.values() for one in _signed(task)]
    for one in verdicts[:5]:
        near = process.extractOne(one.text, texts, scorer=fuzz.ratio, score_cutoff=_NEAR)
        what = f"; the nearest is {quote(near[0])}" if near else ""
        if near and near[0] == one.text:
            what = "; a card has the text, with another label or source"
        yield f"  {one.digest[:12]}… {quote(one.text)}{what}"
    yield (
        "Name the cards that they are from (apply FILE CARD…), have the changed texts read again "
        "(medreward review sheet), or leave these verdicts out (--skip-unknown)"
    )


def _said(reviews: Iterable[SignedText]) -> set[tuple[str, Opinion]]:
    return {(one.digest, opinion) for one in reviews for opinion in one.opinions}


def _count(reviews: Iterable[SignedText]) -> int:
    return sum(len(one.opinions) for one in reviews)
