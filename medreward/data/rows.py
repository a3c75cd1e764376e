"""Examples -> rows, the one schema that serves veRL (as parquet) and TRL (mapped on load).

==================  ===========================================================================
``data_source``     the task's name
``prompt``          chat messages; ``<image>`` in the text marks the image
``images``          ``[{"bytes": PNG}]``
``ability``         the task's kind
``reward_model``    ``{"style": "rule", "ground_truth": str}``: name, grade; labels or boxes as JSON
``extra_info``      ``{"id", "split", "knowledge", "transforms", "patient"}``: exactly what was
                    injected into this prompt; the transforms applied to this row, or nothing; a
                    running number for each patient, or nothing where none is known
==================  ===========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from medreward.data.example import Example
from medreward.errors import ConfigError, quote
from medreward.geometry.regions import check_size
from medreward.kinds.truth import ground_truth, target_size
from medreward.priors.prompt import Prompt, PromptBuilder
from medreward.task.task import Task

if TYPE_CHECKING:
    from PIL.Image import Image

Row: TypeAlias = dict[str, Any]


def make_rows(
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

    >>> from PIL import Image
    >>> example = Example(Image.new("L", (64, 48)), "pneumonia", "train-1", "train")
    >>> [row] = make_rows([example], Task.load("pneumoniamnist"), "none")
    >>> row["reward_model"]["ground_truth"], row["extra_info"]["id"]
    ('pneumonia', 'train-1')
    """
    prompts = PromptBuilder(task, level) if isinstance(level, str) else level
    for number, example in enumerate(examples):
        try:
            yield _row(example, task, prompts)
        except ConfigError as error:
            raise ConfigError(f"row {number}, example {quote(example.id)}: {error}") from error


def make_row(
    task: Task,
    prompt: Prompt,
    truth: str,
    png: bytes | Sequence[bytes],
    *,
    id: str,  # noqa: A002
    split: str,
) -> Row:
    """Return one row of a task from what it holds.

    Args:
        task: the task.
        prompt: its prompt, and the knowledge in it.
        truth: the target as `ground_truth` gives it.
        png: the image as the content of a PNG file, or several of them in order.
        id: the row's name, unique in the data set.
        split: the split it belongs to.
    """
    pngs = [png] if isinstance(png, bytes) else [*png]
    return {
        "data_source": task.name,
        "prompt": prompt.with_images(len(pngs)).messages,
        "images": [{"bytes": one} for one in pngs],
        "ability": task.kind,
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {
            "id": id,
            "split": split,
            "knowledge": prompt.knowledge,
            "transforms": None,
            "patient": None,
        },
    }


def _row(example: Example, task: Task, prompts: PromptBuilder) -> Row:
    target = task.parse_target(example.target)
    truth = ground_truth(task, example.target)
    check_size(target_size(task, truth), example.image.size)
    prompt = prompts.for_row(target, example.question)(example.id)
    return make_row(task, prompt, truth, _png(example.image), id=example.id, split=example.split)


def _png(image: Image) -> bytes:
    """Return an image as PNG; a file that is opened lazily is decoded here."""
    from medreward.data.picture import png_bytes

    try:
        return png_bytes(image)
    except (OSError, SyntaxError) as error:
        raise ConfigError(f"the image cannot be decoded: {error}") from error
