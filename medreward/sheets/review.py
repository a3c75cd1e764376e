"""The sheet on which a reader judges the statements of cards: one HTML file with its own script.

It asks nothing of a network, works with the keyboard alone, keeps what is entered in the browser,
and exports what `medreward review apply` takes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from medreward.files.atomic import write_text_atomic
from medreward.priors.review_files import COLUMNS, Subject
from medreward.task.review import DRAFT
from medreward.task.task import Task
from medreward.version import __version__

# Verdict -> what its button says. The keys are their places, from 1.
BUTTONS = {
    "agree": "Agree",
    "agree_with_edit": "Agree with edit",
    "not_visible": "Not visible here",
    "wrong": "Wrong",
    "not_my_field": "Not my field",
}


@dataclass(frozen=True)
class SheetRow:
    """A text to judge, with all that it is said of.

    Attributes:
        text: the statement.
        subjects: it with each label and source.
    """

    text: str
    subjects: Sequence[Subject]

    @property
    def labels(self) -> list[str]:
        """The labels that it describes, each once; none for a text about the task."""
        return list(dict.fromkeys(_shown(one) for one in self.subjects if one.signed.label))

    @property
    def task(self) -> Task:
        """The first task that uses it, under which it stands."""
        return self.subjects[0].tasks[0]

    @property
    def cards(self) -> list[str]:
        """The names of all cards that use it."""
        names = [task.name for one in self.subjects for task in one.tasks]
        return list(dict.fromkeys(names))

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Citations and their addresses, each once."""
        return list(dict.fromkeys((one.signed.source, one.link) for one in self.subjects))

    @property
    def is_draft(self) -> bool:
        """Whether a model wrote it and nobody has given a source."""
        return any(one.signed.source.startswith(DRAFT) for one in self.subjects)

    @property
    def readers(self) -> int:
        """How many have read it so far; what they say is not shown, so that each judges alone."""
        return len({o.reader for one in self.subjects for o in one.signed.opinions})

    @property
    def data(self) -> list[dict[str, str]]:
        """What the script exports beside a verdict."""
        return [
            {
                "of": one.signed.digest,
                "label": one.signed.label,
                "text": one.signed.text,
                "source": one.signed.source,
                "modality": one.modality,
                "cards": one.cards,
                "link": one.link,
            }
            for one in self.subjects
        ]


def _shown(subject: Subject) -> str:
    """Return the label of a statement as people read it, where a card shows it by another name."""
    name = subject.signed.label
    shown = (label.shown for task in subject.tasks for label in task.labels if label.name == name)
    return next(shown, name)


def group_rows(subjects: Iterable[Subject]) -> list[tuple[Task, list[SheetRow]]]:
    """Return the rows of each task, one a different text, each under the first task with it."""
    found: dict[str, list[Subject]] = {}
    for subject in subjects:
        found.setdefault(subject.signed.text, []).append(subject)
    return _by_task(SheetRow(text, same) for text, same in found.items())


def _by_task(rows: Iterable[SheetRow]) -> list[tuple[Task, list[SheetRow]]]:
    groups: dict[str, list[SheetRow]] = {}
    tasks: dict[str, Task] = {}
    for row in rows:
        tasks.setdefault(row.task.name, row.task)
        groups.setdefault(row.task.name, []).append(row)
    return [(tasks[name], rows) for name, rows in groups.items()]


def write_review_sheet(
    out: str | Path, subjects: Sequence[Subject], words: Sequence[Subject] = ()
) -> None:
    """Write the sheet to a file, whole or not at all."""
    write_text_atomic(out, render_review_sheet(subjects, words))


def render_review_sheet(subjects: Sequence[Subject], words: Sequence[Subject] = ()) -> str:
    """Return the sheet as HTML: statements, then the questions, names and costs of the cards."""
    folder = files("medreward").joinpath("sheets")
    groups = group_rows(subjects)
    parts = _by_task(SheetRow(one.signed.text, [one]) for one in words)
    digests = "".join(one.signed.digest for one in (*subjects, *words))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        folder.joinpath("review.html.jinja").read_text(encoding="utf-8")
    )
    html: str = template.render(
        groups=groups,
        parts=parts,
        count=sum(len(rows) for _, rows in (*groups, *parts)),
        statements=sum(len(rows) for _, rows in groups),
        sheet=sha256(digests.encode()).hexdigest()[:16],
        buttons=BUTTONS,
        keys={verdict: key for key, verdict in enumerate(BUTTONS, start=1)},
        columns=list(COLUMNS),
        script=folder.joinpath("review.js").read_text(encoding="utf-8"),
        version=__version__,
    )
    return html
