"""verl's data set with perception transforms, and without Qwen's image resize.

verl passes every image through ``qwen_vl_utils``, which resizes it to multiples of Qwen's patches
and needs torchvision. That is right for Qwen-VL and wrong for a model with an image size of its
own, such as LLaVA's. Select this one with ``data.custom_cls.path=pkg://medreward_verl.dataset`` and
``data.custom_cls.name=PlainImageDataset``.

`TransformedDataset` (as verl reads images) and `TransformedPlainImageDataset` draw and apply a
pipeline when a row is read::

    data.custom_cls.path=pkg://medreward_verl.dataset
    data.custom_cls.name=TransformedDataset
    "+data.transforms='Rotate(degrees=-10..10) | Gamma(gamma=0.8..1.25)'"
    +data.transforms_seed=0
    +data.transforms_tasks.cells=cells.yaml  # tasks that are not shipped

Only rows whose ``extra_info.split`` is "train" are transformed: verl makes its validation set from
the same class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from verl.utils.dataset.rl_dataset import RLHFDataset

from medreward import ConfigError, Task
from medreward.perception import RowTransform, load
from medreward.scoring.task_book import TaskBook

if TYPE_CHECKING:
    from PIL.Image import Image


class PlainImageDataset(RLHFDataset):  # type: ignore[misc]
    """verl's `RLHFDataset` that hands images to the processor as they are, as RGB."""

    @classmethod
    def _process_multi_modal_info(
        cls, messages: list[dict[str, Any]], image_patch_size: Any, config: Any
    ) -> tuple[list[Image] | None, None, None]:
        """Return the images of the messages; verl asks for videos and audio too."""
        images = [
            part["image"].convert("RGB")
            for message in messages
            if not isinstance(message["content"], str)
            for part in message["content"]
            if part["type"] == "image"
        ]
        return images or None, None, None


class TransformedDataset(RLHFDataset):  # type: ignore[misc]
    """verl's `RLHFDataset` that draws and applies perception transforms when a row is read.

    verl reads a row once and then asks for all its completions, so a group shares an image. Each
    later read of the row, an epoch later, is another draw.
    """

    def _read_files_and_tokenize(self) -> None:
        super()._read_files_and_tokenize()
        text = self.config.get("transforms")
        if not text:
            raise ConfigError("data.transforms: missing; such as +data.transforms='Flip(p=0.5)'")
        named = self.config.get("transforms_tasks") or {}
        book = TaskBook({str(source): Task.load(card) for source, card in named.items()})
        seed = self.config.get("transforms_seed", 0)
        change = RowTransform(load(text), book, seed, encode=False)
        reads = torch.zeros(max(1, len(self.dataframe)), dtype=torch.int64).share_memory_()
        numbered = self.dataframe.add_column("_number", list(range(len(self.dataframe))))
        self.dataframe: Any = numbered.with_transform(ReadTransform(change, reads))


class TransformedPlainImageDataset(TransformedDataset, PlainImageDataset):
    """The same without Qwen's image resize, as `PlainImageDataset`."""


class ReadTransform:
    """Transforms batches of rows in veRL's schema; the n-th read of a row is draw n.

    Attributes:
        change: draws and applies.
        reads: how often each row was read, in memory that data loader workers share.
    """

    def __init__(self, change: RowTransform, reads: torch.Tensor) -> None:
        self.change, self.reads = change, reads

    def __deepcopy__(self, memo: Any) -> ReadTransform:
        return self  # copies of the data set count together

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Return the batch, column by column."""
        rows = [
            dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)
        ]
        made = [self._row(row, row.pop("_number")) for row in rows]
        return {name: [row[name] for row in made] for name in made[0]} if made else {}

    def _row(self, row: dict[str, Any], number: int) -> dict[str, Any]:
        epoch = int(self.reads[number])
        self.reads[number] += 1
        if row["extra_info"].get("split") != "train":
            return row
        return self.change(row, epoch)
