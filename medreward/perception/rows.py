"""Transforms on the rows that both trainers read: image, target and question together.

What was applied is in ``extra_info.transforms`` as text that `medreward.perception.parse` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from medreward.data.picture import load_bytes, png_bytes
from medreward.data.rows import Row
from medreward.data.sources.record import ReadingOptions, UnusableError
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_bytes
from medreward.geometry.regions import BoxTarget, check_size, parse_boxes
from medreward.kinds.truth import target_of, target_size
from medreward.perception.moving import moving_type
from medreward.perception.sample import Sample
from medreward.perception.sides import check_knowledge, check_task
from medreward.perception.target import OTHERS, move_boxes, regions_of
from medreward.perception.transforms.pipeline import Pipeline
from medreward.priors.template import IMAGE_MARK
from medreward.scoring.task_book import TaskBook
from medreward.task.task import Task

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Content:
    """What of a row a transform changes.

    Attributes:
        images: its images.
        texts: the texts of its prompt, by any names.
        truth: the ground truth, as a rule as text.
        knowledge: the knowledge in its prompt.
        regions: JSON list of boxes that are not the target ("" for none), for attention aids.
    """

    images: Sequence[Image]
    texts: Mapping[str, str]
    truth: Any
    knowledge: str = ""
    regions: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RowTransform:
    """Draws and applies a pipeline for rows in veRL's schema; can be pickled.

    The draw depends on the seed, the row's id and the epoch alone: not on the process, nor on how
    often a row was read. So all completions of a prompt see the same image.

    Attributes:
        pipeline: what is drawn.
        book: the tasks that rows may be of.
        seed: of the draws.
        encode: whether changed images come as PNG, as rows hold them, or as PIL images, which is
            faster where they are used at once.

    >>> from PIL import Image
    >>> from medreward.data import Example, make_rows
    >>> from medreward.perception import parse
    >>> example = Example(Image.new("L", (20, 10)), "pneumonia", "train-1", "train")
    >>> [row] = make_rows([example], Task.load("pneumoniamnist"))
    >>> RowTransform(parse("Gamma(gamma=0.8)"))(row)["extra_info"]["transforms"]
    'Gamma(gamma=0.8)'
    """

    pipeline: Pipeline
    book: TaskBook = field(default_factory=TaskBook)
    seed: int = 0
    encode: bool = True
    _checked: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __call__(self, row: Row, epoch: int = 0) -> Row:
        """Return the row as its draw for an epoch makes it.

        Raises:
            ConfigError: if the pipeline does not fit the row's task, an image cannot be decoded,
                the target is for an image of another size, or words depend on side and the card
                does not say how they change.
        """
        info = row["extra_info"]
        name = f"row {info['id']!r}"
        try:
            task = self.book.task_of(row["data_source"], info)
            drawn = self.drawn(task, info["id"], epoch)
            if not drawn.transforms:
                _check_size(row, task)
                return {**row, "extra_info": {**info, "transforms": ""}}
            content = change_row(drawn, task, _content(row))
            images: list[Any] = list(content.images)
            if self.encode:
                images = [{"bytes": png_bytes(image)} for image in images]
            return {**_with_content(row, content, str(drawn)), "images": images}
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error

    def drawn(self, task: Task, id: str, epoch: int) -> Pipeline:  # noqa: A002
        """Return the pipeline for one row; raises `ConfigError` if it does not fit the task."""
        if task.name not in self._checked:
            check_task(self.pipeline, task)
            self._checked.add(task.name)
        return self.pipeline.draw(self.seed, id, epoch)


def change_row(drawn: Pipeline, task: Task, content: Content) -> Content:
    """Return what a fixed pipeline makes of the content of a row.

    Raises:
        ConfigError: if the target or a region is not right for the image, or words depend on side
            and the card does not say how they change.
    """
    size = content.images[0].size
    target = moving_type(task)(task, content.truth, size)
    others, other_names = _others(content.regions)
    beside = (
        replace(region, key=region.key + OTHERS, annotator=OTHERS)
        for region in regions_of(others, size, other_names)
    )
    before = Sample(
        images=tuple(content.images),
        regions=(*target.regions, *beside),
        texts={**content.texts, **target.texts},
        laterality=task.laterality,
    )
    check_knowledge(drawn, task, content.knowledge)
    after = drawn(before)
    truth = target.follow(before, after)
    task.parse_target(target_of(task, truth))
    return replace(
        content,
        images=after.images,
        texts={name: after.texts[name] for name in content.texts},
        truth=truth,
        regions=move_boxes(content.regions, others, (before, after), other_names, OTHERS),
        notes=after.notes,
    )


def _others(text: str) -> tuple[BoxTarget, list[str]]:
    """Return boxes that are not the target, and the names of their labels."""
    names: list[str] = []

    def label_of(label: object) -> int | None:
        if label is None:
            return None
        if str(label) not in names:
            names.append(str(label))
        return names.index(str(label))

    try:
        return parse_boxes(parse_json(text) if text else [], label_of), names
    except ConfigError as error:
        raise ConfigError(f"regions: {quote(text)}: {error}") from error


def with_marks(text: str, count: int, notes: Sequence[str]) -> str:
    """Return a message with marks for more images, and notes, after its last mark.

    >>> with_marks("<image>Which organ?", 1, ["Shown twice."])
    '<image><image>Shown twice. Which organ?'
    """
    start, mark, end = text.rpartition(IMAGE_MARK)
    said = "".join(f"{note} " for note in notes)
    return f"{start}{mark}{IMAGE_MARK * count}{said}{end}" if mark else text


def _check_size(row: Row, task: Task) -> None:
    """Make sure of what a transform would, so that no row fails in one epoch and not in another."""
    size = target_size(task, row["reward_model"]["ground_truth"])
    if size is not None:
        check_size(size, _image(row["images"][0]).size)


def _content(row: Row) -> Content:
    info = row["extra_info"]
    return Content(
        images=[_image(picture) for picture in row["images"]],
        texts={f"prompt[{i}]": message["content"] for i, message in enumerate(row["prompt"])},
        truth=row["reward_model"]["ground_truth"],
        knowledge=info.get("knowledge") or "",
        regions=info.get("regions") or "",
    )


def _with_content(row: Row, content: Content, applied: str) -> Row:
    more = len(content.images) - len(row["images"])
    texts = [content.texts[f"prompt[{i}]"] for i in range(len(row["prompt"]))]
    marked = [i for i, text in enumerate(texts) if IMAGE_MARK in text]
    if marked and more:
        texts[marked[-1]] = with_marks(texts[marked[-1]], more, content.notes)
    info = {**row["extra_info"], "transforms": applied}
    if info.get("regions"):
        info["regions"] = content.regions
    return {
        **row,
        "prompt": [
            {**message, "content": text} for message, text in zip(row["prompt"], texts, strict=True)
        ],
        "reward_model": {**row["reward_model"], "ground_truth": content.truth},
        "extra_info": info,
    }


def _image(picture: Any) -> Image:
    """Return a row's image, given as bytes or by its path, as 8-bit grey or RGB."""
    given: Any = picture
    if isinstance(picture, Mapping):
        given = picture.get("bytes") or picture.get("path")
    try:
        content = read_bytes(given) if isinstance(given, str) else given
        return load_bytes(content or b"", ReadingOptions()).image
    except (UnusableError, OSError) as error:
        raise ConfigError(f"image: {error}") from error
