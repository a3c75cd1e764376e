"""Examples -> rows, the one schema that serves veRL (as parquet) and TRL (mapped on load).

==================  ===========================================================================
``data_source``     the task's name
``prompt``          chat messages; ``<image>`` in the text marks the image
``images``          ``[{"bytes": PNG}]``
``ability``         the task's kind
``reward_model``    ``{"style": "rule", "ground_truth": str}``: name, grade; labels or boxes as JSON
``extra_info``      ``{"id", "split", "knowledge", "transforms"}``: exactly what was injected into
                    this prompt; the transforms applied to this row, or nothing
==================  ===========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from medreward.data.example import Example
from medreward.errors import ConfigError
from medreward.geometry.masks import mask_json
from medreward.geometry.regions import Size, box_json, check_size
from medreward.priors.prompt import Prompt, PromptBuilder
from medreward.task.task import Task

if TYPE_CHECKING:
    from PIL.Image import Image

Row: TypeAlias = dict[str, Any]
_JSON = {
    "localisation": "boxes [[x1, y1, x2, y2]]",
    "segmentation": 'a mask {"size": [height, width], "counts": …}',
    "multilabel": 'labels ["name", …]',
}


def rows(
    examples: Iterable[Example], task: Task, level: str | PromptBuilder = "full"
) -> Iterator[Row]:
    """Yield a row for each example, with the task's knowledge in its prompt.

    Args:
        examples: images with targets.
        task: the task.
        level: how much knowledge: "none", "context" or "full"; or a `PromptBuilder`, which says
            more. Labels stand in an order of each example's own, unless they are grades.

    Raises:
        ConfigError: if an example's target is not one of the task's or is for an image of another
            size, or its image cannot be decoded, with the row's number, counted from 0, and the
            example's id.
    """
    prompts = PromptBuilder(task, level) if isinstance(level, str) else level
    for number, example in enumerate(examples):
        try:
            yield _row(example, task, prompts(example.id))
        except ConfigError as error:
            raise ConfigError(f"row {number}, example {example.id!r}: {error}") from error


def ground_truth(task: Task, target: object) -> str:
    """Return a target as the text that all rows of a data set can hold.

    >>> ground_truth(Task.load("retinamnist"), 2), ground_truth(Task.load("pneumoniamnist"), 1)
    ('2', 'pneumonia')
    """
    if task.kind == "localisation":
        return box_json(task.target_boxes(target), [label.name for label in task.labels])
    if task.kind == "segmentation":
        return json.dumps(mask_json(task.target_mask(target)))
    if task.kind == "multilabel":
        return json.dumps([task.labels[i].name for i in sorted(task.target_set(target))])
    index = task.target_index(target)
    return task.answer_name(index)


def target_of(task: Task, truth: Any) -> Any:
    """Return the target that a row's ground truth stands for: the inverse of `ground_truth`.

    >>> target_of(Task.load("mni152_brain_box"), "[[0, 0, 10, 5]]")
    [[0, 0, 10, 5]]

    Raises:
        ConfigError: if boxes, or a list of labels, are not JSON.
    """
    if not isinstance(truth, str) or not _is_json(task, truth):
        return truth
    try:
        return json.loads(truth)
    except ValueError as error:
        raise ConfigError(
            f"task {task.name!r}: target {truth!r} is not JSON {_JSON[task.kind]}"
        ) from error


def _is_json(task: Task, truth: str) -> bool:
    """Whether a ground truth is JSON: of boxes and masks always, of labels if it is a list."""
    boxes_or_mask = task.kind in ("localisation", "segmentation")
    return boxes_or_mask or (task.kind == "multilabel" and truth.startswith("["))


def target_size(task: Task, truth: Any) -> Size | None:
    """Return width and height of the image that a ground truth is for, where it says so.

    >>> target_size(Task.load("mni152_brain_box"), '{"boxes": [], "size": [60, 40]}')
    (60.0, 40.0)
    """
    if task.kind not in ("localisation", "segmentation"):
        return None
    size: Size | None = task.parse_target(target_of(task, truth)).size
    return size


def row(task: Task, prompt: Prompt, truth: str, png: bytes, *, id: str, split: str) -> Row:  # noqa: A002
    """Return one row of a task from what it holds.

    Args:
        task: the task.
        prompt: its prompt, and the knowledge in it.
        truth: the target as `ground_truth` gives it.
        png: the image as the content of a PNG file.
        id: the row's name, unique in the data set.
        split: the split it belongs to.
    """
    return {
        "data_source": task.name,
        "prompt": prompt.messages,
        "images": [{"bytes": png}],
        "ability": task.kind,
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"id": id, "split": split, "knowledge": prompt.knowledge, "transforms": None},
    }


def _row(example: Example, task: Task, prompt: Prompt) -> Row:
    truth = ground_truth(task, example.target)
    check_size(target_size(task, truth), example.image.size)
    return row(task, prompt, truth, _png(example.image), id=example.id, split=example.split)


def _png(image: Image) -> bytes:
    """Return an image as PNG; a file that is opened lazily is decoded here."""
    from medreward.data.picture import png_bytes

    try:
        return png_bytes(image)
    except (OSError, SyntaxError) as error:
        raise ConfigError(f"the image cannot be decoded: {error}") from error
