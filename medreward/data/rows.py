"""Examples -> rows, the one schema that serves veRL (as parquet) and TRL (mapped on load).

==================  ===========================================================================
``data_source``     the task's name
``prompt``          chat messages; ``<image>`` in the text marks the image
``images``          ``[{"bytes": PNG}]``
``ability``         the task's kind
``reward_model``    ``{"style": "rule", "ground_truth": str}``: name, grade, or boxes as JSON
``extra_info``      ``{"id", "split", "knowledge"}``: the text injected into this prompt
==================  ===========================================================================
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from medreward.data.example import Example
from medreward.errors import ConfigError
from medreward.priors.prompt import Prompt, build_prompt
from medreward.task import Task

Row: TypeAlias = dict[str, Any]


def rows(examples: Iterable[Example], task: Task, level: str = "full") -> Iterator[Row]:
    """Yield a row for each example, with the task's knowledge at `level` in its prompt.

    Raises:
        ConfigError: if an example's target is not one of the task's, with the example's id.
    """
    prompt = build_prompt(task, level)
    for example in examples:
        yield _row(example, task, prompt)


def ground_truth(task: Task, target: object) -> str:
    """Return a target as the text that all rows of a data set can hold.

    >>> ground_truth(Task.load("retinamnist"), 2), ground_truth(Task.load("pneumoniamnist"), 1)
    ('2', 'pneumonia')
    """
    if task.kind == "localisation":
        return json.dumps([list(box) for box in task.target_boxes(target)])
    index = task.target_index(target)
    return str(task.first_grade + index) if task.kind == "ordinal" else task.labels[index].name


def _row(example: Example, task: Task, prompt: Prompt) -> Row:
    try:
        truth = ground_truth(task, example.target)
    except ConfigError as error:
        raise ConfigError(f"example {example.id!r}: {error}") from error
    buffer = io.BytesIO()
    example.image.save(buffer, format="PNG")
    return {
        "data_source": task.name,
        "prompt": [{"role": "user", "content": "<image>" + prompt.text}],
        "images": [{"bytes": buffer.getvalue()}],
        "ability": task.kind,
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": {"id": example.id, "split": example.split, "knowledge": prompt.knowledge},
    }
