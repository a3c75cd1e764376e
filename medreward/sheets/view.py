"""Rows, and what was answered to them, as one self-contained HTML sheet.

The sheet needs no network, script or mouse, reads in light and dark and on paper, and shows every
text of rows and completions escaped. Pictures are scaled down, so that its size stays bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError, quote
from medreward.files.atomic import write_text_atomic
from medreward.priors.template import IMAGE_MARK
from medreward.scoring.task_book import TaskBook
from medreward.scoring.trace import TraceRow
from medreward.sheets.pictures import EmbeddedPicture, Shape, picture, styles
from medreward.sheets.report import page
from medreward.sheets.shapes import named_boxes, predicted_shapes
from medreward.sheets.view_rows import (
    ORDERS,
    Entry,
    RowChoice,
    RowSelection,
    choose_rows,
    facts_of,
    shown_fields,
)
from medreward.task.task import Task
from medreward.text.reasons import REASONS

_MOST_TEXT = 20_000  # characters of one text
_PLURALS = {"box": "boxes", "mask": "masks"}
_FEW_BOXES = 8  # up to so many, each has its class written beside it


@dataclass(frozen=True)
class Look:
    """How a sheet looks.

    Attributes:
        pixels: the longest side of its pictures.
        completions: at most so many of a row.
        image_root: the folder under which rows may name pictures; None: they hold bytes.
    """

    pixels: int = 512
    completions: int = 8
    image_root: Path | None = None

    def __post_init__(self) -> None:
        for name, most in (("pixels", 4096), ("completions", 1000)):
            if not 1 <= getattr(self, name) <= most:
                raise ConfigError(f"{name}: {quote(getattr(self, name))} is not from 1 to {most}")


@dataclass(frozen=True)
class Drawing:
    """A picture with boxes, and the classes that they are of."""

    picture: EmbeddedPicture
    shapes: Sequence[Shape]
    alt: str

    @property
    def keys(self) -> list[tuple[str, int, int]]:
        """The classes: name, style, how many boxes."""
        counts = Counter((shape.note, shape.name, shape.style) for shape in self.shapes)
        return [
            (" ".join(part for part in (note, name) if part) or "box", style, count)
            for (note, name, style), count in counts.items()
        ]

    @property
    def written(self) -> bool:
        """Whether each box has its class beside it."""
        return len(self.shapes) <= _FEW_BOXES


@dataclass(frozen=True)
class Answered:
    """A completion and its boxes over the row's picture; None where it has none."""

    answer: TraceRow
    completion: str
    drawing: Drawing | None


@dataclass(frozen=True)
class Card:
    """What the sheet shows of a row; `found` is None where its target has no boxes or masks.

    `fields` are the right answers in the fields of a target that has several.
    """

    number: int
    facts: Mapping[str, str]
    found: str | None
    fields: Mapping[str, str]
    drawings: Sequence[Drawing]
    prompt: Sequence[tuple[str, str]]
    knowledge: str
    answers: Sequence[Answered]
    hidden: int


def write_sheet(
    path: str | Path,
    out: str | Path,
    choice: RowChoice | None = None,
    *,
    trace: str | Path | None = None,
    look: Look | None = None,
    book: TaskBook | None = None,
) -> RowSelection:
    """Write the sheet of a parquet file of rows and return what it shows.

    Args:
        path: the rows.
        out: the HTML file to write, whole or not at all.
        choice: which rows, in which order.
        trace: completions (`medreward.scoring.trace`) to show with the rows.
        look: how it looks.
        book: the tasks that rows may be of, beside the shipped ones; rows of others are shown too.

    Raises:
        ConfigError: if a file cannot be read or written, or nothing is to be shown.

    >>> import tempfile
    >>> from PIL import Image
    >>> from medreward.data import Example, make_rows, write_parquet
    >>> folder, image = Path(tempfile.mkdtemp()), Image.new("L", (64, 48))
    >>> rows = make_rows([Example(image, 2, "eye-1", "train")], Task.load("retinamnist"))
    >>> write_parquet(folder / "rows.parquet", rows)
    1
    >>> len(write_sheet(folder / "rows.parquet", folder / "view.html").entries)
    1
    """
    choice, look = choice or RowChoice(), look or Look()
    selection = choose_rows(path, choice, trace)
    cards = [_card(entry, look, choice.order, book or TaskBook()) for entry in selection.entries]
    heading = {
        "title": f"Rows of {Path(path).name}",
        "trace": Path(trace).name if trace else "",
        "order": ORDERS[choice.order],
        "filters": ", ".join(f"{name} = {pattern}" for name, pattern in choice.filters),
    }
    write_text_atomic(out, render(cards, selection, heading))
    return selection


def render(cards: Sequence[Card], selection: RowSelection, heading: Mapping[str, str]) -> str:
    """Return the sheet as HTML."""
    return page(
        "view.html.jinja", cards=cards, selection=selection, heading=heading, reasons=REASONS
    )


def _card(entry: Entry, look: Look, order: str, book: TaskBook) -> Card:
    row, info = entry.row, entry.row.get("extra_info") or {}
    task = _task(row, book)
    facts = facts_of(row)
    pictures = [picture(content, look.pixels, look.image_root) for content in row["images"] or []]
    shapes = named_boxes(facts["target"], facts["kind"], task)
    style = {shape.name: shape.style for shape in shapes or () if shape.name}
    style |= styles([label.name for label in task.labels]) if task else {}
    knowledge = str(info.get("knowledge") or "")
    answers = sorted(entry.answers, key=lambda a: a.total or 0.0, reverse=order == "best")
    shown = answers[: look.completions]
    return Card(
        number=entry.number,
        facts=facts,
        found=_found(shapes, task),
        fields=shown_fields(facts["target"], task),
        drawings=_drawings(pictures, shapes or (), facts),
        prompt=[_message(message, knowledge) for message in row["prompt"] or []],
        knowledge=knowledge,
        answers=[
            Answered(
                answer,
                answer.completion[:_MOST_TEXT],
                _answer_drawing(answer, pictures, shapes or (), task, style),
            )
            for answer in shown
        ],
        hidden=len(answers) - len(shown),
    )


def _found(shapes: Sequence[Shape] | None, task: Task | None) -> str | None:
    """Return how many boxes or masks a target has, with the field that it is of, if any."""
    if shapes is None:
        return None
    count = Counter("mask" if shape.path else "box" for shape in shapes)
    parts = [f"1 {what}" if n == 1 else f"{n} {_PLURALS[what]}" for what, n in count.items()]
    place = task.place_field if task else None
    return (f"{place}: " if place else "") + (" and ".join(parts) or "nothing to find")


def _task(row: Mapping[str, Any], book: TaskBook) -> Task | None:
    try:
        return book.task_of(row["data_source"], row.get("extra_info"))
    except ConfigError:
        return None


def _drawings(
    pictures: Sequence[EmbeddedPicture], shapes: Sequence[Shape], facts: Mapping[str, str]
) -> list[Drawing]:
    """Return the pictures, with the target's boxes over the first."""
    drawings = []
    for i, one in enumerate(pictures):
        alt = f"image {i + 1} of {len(pictures)} of row {facts['id']}"
        over = shapes if i == 0 else ()
        what = "masks" if any(shape.path for shape in over) else "boxes"
        drawings.append(Drawing(one, over, f"{alt}, with {len(over)} true {what}" if over else alt))
    return drawings


def _answer_drawing(
    answer: TraceRow,
    pictures: Sequence[EmbeddedPicture],
    truth: Sequence[Shape],
    task: Task | None,
    style: Mapping[str, int],
) -> Drawing | None:
    boxes = predicted_shapes(answer, task, style)
    if not boxes or not pictures:
        return None
    what = "masks" if boxes[0].path else "points" if boxes[0].is_point else "boxes"
    true = "masks" if any(shape.path for shape in truth) else "boxes"
    note = f"{len(boxes)} predicted {what} and {len(truth)} true {true}"
    return Drawing(pictures[0], [*truth, *boxes], note)


def _message(message: Mapping[str, Any], knowledge: str) -> tuple[str, str]:
    """Return a message's role and text, in which the knowledge, shown apart, is one short mark."""
    text = str(message.get("content"))[:_MOST_TEXT].replace(IMAGE_MARK, "[image] ")
    if knowledge:
        text = text.replace(knowledge, "[knowledge, see below]")
    return str(message.get("role")), text
