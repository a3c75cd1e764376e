"""Data: sources -> examples -> rows -> parquet.

>>> from PIL import Image
>>> from medreward import Task
>>> from medreward.data import Example, make_rows
>>> example = Example(Image.new("L", (64, 48)), "pneumonia", id="train-1", split="train")
>>> [row] = make_rows([example], Task.load("pneumoniamnist"))
>>> sorted(row)
['ability', 'data_source', 'extra_info', 'images', 'prompt', 'reward_model']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.data.example import Example
    from medreward.data.image_file import open_image
    from medreward.data.medmnist import read_medmnist
    from medreward.data.parquet import write_parquet
    from medreward.data.rows import make_rows
else:
    __getattr__, __dir__ = import_late(
        __name__,
        {
            "medreward.data.example": "Example",
            "medreward.data.image_file": "open_image",
            "medreward.data.medmnist": "read_medmnist",
            "medreward.data.parquet": "write_parquet",
            "medreward.data.rows": "make_rows",
        },
    )

__all__ = [
    "Example",
    "make_rows",
    "open_image",
    "read_medmnist",
    "write_parquet",
]
