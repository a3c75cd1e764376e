"""Perception transforms on the fly for TRL's trainers: another draw of each row in each epoch.

TRL reads a row once for each of its completions, and again for each pass over them. A draw
depends on the seed, the row's id and the epoch alone, so all of these are the same image with the
same target: a group never mixes two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback

from medreward import ConfigError, Task
from medreward.errors import expected
from medreward.perception import Pipeline, load
from medreward.perception.rows import Content, change_row
from medreward.perception.sample import MODES
from medreward.perception.sides import check_task
from medreward.perception.transforms.attention.contrast_beside import ContrastBeside

_NEEDED = ("prompt", "target", "id")


def with_transforms(
    data: Dataset, transforms: str | Pipeline, task: Any, *, seed: int = 0
) -> tuple[Dataset, TrainerCallback]:
    """Return a data set that transforms its rows as they are read, and what tells it the epoch.

    Args:
        data: columns prompt, target, id, and image or images; task and knowledge where rows have
            them.
        transforms: a pipeline, its text, or a YAML file.
        task: the rows' task, as a name, a card or a `Task`, or a list of them.
        seed: of the draws.

    The callback goes to the trainer with the data set::

        data, callback = with_transforms(data, "Rotate(degrees=-10..10)", "mni152_level")
        GRPOTrainer(train_dataset=data, callbacks=[callback], ...)

    Raises:
        ConfigError: if a transform or a column is missing or not allowed, or a transform does not
            fit a task; when rows are read, if one does not.
    """
    if not isinstance(data, Dataset):
        raise ConfigError(
            f"data: it is a {type(data).__name__}; a transform on the fly needs a data set whose "
            f"rows can be read again (datasets.Dataset), not a stream"
        )
    missing = [name for name in _NEEDED if name not in data.column_names]
    if missing or not {"image", "images"} & set(data.column_names):
        name = missing[0] if missing else "image"
        raise ConfigError(f"column {name!r} is missing; the data set has {data.column_names}")
    pipeline = transforms if isinstance(transforms, Pipeline) else load(transforms)
    batch = BatchTransform(_tasks(task), pipeline, seed)
    return data.with_transform(batch), EpochCallback(batch)


class BatchTransform:
    """Transforms batches of TRL's rows; goes to data loader workers as it is.

    Attributes:
        tasks: the tasks by name.
        pipeline: what is drawn.
        seed: of the draws.
        epoch: in memory that is shared with data loader workers and copies of the data set.
    """

    def __init__(self, tasks: Mapping[str, Task], pipeline: Pipeline, seed: int) -> None:
        for task in tasks.values():
            check_task(pipeline, task)
        self.tasks, self.pipeline, self.seed = tasks, pipeline, seed
        self.epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._several = any(isinstance(t, ContrastBeside) for t in pipeline.transforms)

    def __deepcopy__(self, memo: Any) -> BatchTransform:
        return self  # a copied data set has to hear of the same epochs

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Return the batch, column by column, with a column ``transforms`` of what was applied."""
        made: dict[Any, dict[str, Any]] = {}
        rows = []
        for values in zip(*batch.values(), strict=True):
            row = dict(zip(batch, values, strict=True))
            key = _key(row)
            if key not in made:  # the completions of a prompt come together
                made[key] = self._row(row)
            rows.append(made[key])
        return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            task = self._task(row)
            drawn = self.pipeline.draw(self.seed, str(row["id"]), int(self.epoch))
            content = change_row(drawn, task, _content(row))
        except ConfigError as error:
            raise ConfigError(f"row {row['id']!r}: {error}") from error
        images = list(content.images)
        row = {name: value for name, value in row.items() if name not in ("image", "images")}
        row |= {"images": images} if self._several or len(images) > 1 else {"image": images[0]}
        if row.get("regions"):
            row["regions"] = content.regions
        prompt = _prompt(row["prompt"], content)
        return {**row, "prompt": prompt, "target": content.truth, "transforms": str(drawn)}

    def _task(self, row: Mapping[str, Any]) -> Task:
        name = row.get("task")
        if name is None and len(self.tasks) == 1:
            return next(iter(self.tasks.values()))
        if not isinstance(name, str) or name not in self.tasks:
            raise expected("task", name, self.tasks)
        return self.tasks[name]


class EpochCallback(TrainerCallback):  # type: ignore[misc]
    """Tells a `BatchTransform` which epoch it is, also after a checkpoint was resumed."""

    def __init__(self, batch: BatchTransform) -> None:
        self.batch = batch

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note the epoch; called before the epoch's first row is read."""
        self.batch.epoch[0] = int((state.epoch or 0) + 1e-6)


def _tasks(task: Any) -> dict[str, Task]:
    several = task if isinstance(task, list | tuple) else [task]
    found = [one if isinstance(one, Task) else Task.load(one) for one in several]
    if not found:
        raise ConfigError("task: the list of tasks is empty")
    return {one.name: one for one in found}


def _images(row: Mapping[str, Any]) -> list[Any]:
    images = row["images"] if "images" in row else [row["image"]]
    return [image if image.mode in MODES else image.convert("RGB") for image in images]


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two reads of the same row have in common, pixels included."""
    pixels = tuple((image.mode, image.size, image.tobytes()) for image in _images(row))
    rest = {name: value for name, value in row.items() if name not in ("image", "images")}
    return pixels, repr(rest)


def _content(row: Mapping[str, Any]) -> Content:
    texts = {f"prompt[{i}][{j}]": part for i, j, part in _parts(row["prompt"])}
    return Content(
        images=_images(row),
        texts=texts,
        truth=row["target"],
        knowledge=row.get("knowledge") or "",
        regions=row.get("regions") or "",
    )


def _parts(prompt: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, str]]:
    """Yield the texts of a prompt with the places of their message and part."""
    for i, message in enumerate(prompt):
        content = message["content"]
        if isinstance(content, str):
            yield i, 0, content
            continue
        for j, part in enumerate(content):
            if part["type"] == "text":
                yield i, j, part["text"]


def _prompt(prompt: Sequence[Mapping[str, Any]], content: Content) -> list[dict[str, Any]]:
    """Return a prompt with changed texts, and parts for images that were added."""
    changed_prompt: list[dict[str, Any]] = []
    for i, message in enumerate(prompt):
        parts = message["content"]
        if isinstance(parts, str):
            new: Any = content.texts[f"prompt[{i}][0]"]
        else:
            new = [
                {**part, "text": content.texts.get(f"prompt[{i}][{j}]", part.get("text"))}
                for j, part in enumerate(parts)
            ]
        changed_prompt.append({**message, "content": new})
    _add_images(changed_prompt, content)
    return changed_prompt


def _add_images(prompt: list[dict[str, Any]], content: Content) -> None:
    """Add parts after the last image of a prompt, for images that no part stands for yet."""
    places = [
        (message["content"], j)
        for message in prompt
        if not isinstance(message["content"], str)
        for j, part in enumerate(message["content"])
        if part["type"] == "image"
    ]
    more = len(content.images) - len(places)
    if places and more > 0:
        parts, last = places[-1]
        added = [{"type": "image", "text": ""}] * more
        notes = [{"type": "text", "text": f"{note} "} for note in content.notes]
        parts[last + 1 : last + 1] = [*added, *notes]
