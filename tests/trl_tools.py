"""Small real TRL trainers for tests: the demo's tiny model on a few rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from medreward import Task
from medreward.data.example import Example
from medreward.data.rows import Row, make_rows

RIGHT = "<think>x</think><answer>normal</answer>"
WRONG = "<think>x</think><answer>pneumonia</answer>"
SIZE = 28


def level_rows(count: int = 4, split: str = "train") -> list[Row]:
    """Return rows of pneumoniamnist, all of them normal."""
    task = Task.load("pneumoniamnist")
    images = [Image.new("L", (SIZE, SIZE), 10 * i) for i in range(count)]
    examples = [Example(image, 0, f"{split}{i}", split, {}) for i, image in enumerate(images)]
    return list(make_rows(examples, task, "none"))


def make_trainer(out: Path, reward_funcs: Any, data: Any = None, **settings: Any) -> Any:
    """Return a real trainer, GRPOTrainer unless `trainer` and `config` are given.

    Other settings are GRPOConfig's, and `eval_dataset`; `data` is made from rows by default. With
    `sees_images=False` the trainer has the tokenizer in place of the processor.
    """
    from trl import GRPOConfig, GRPOTrainer

    from medreward_conformance.known import ON_CPU
    from medreward_trl.dataset import from_rows
    from medreward_trl.demo.model import CHAT_TEMPLATE, build

    make: Callable[..., Any] = settings.pop("trainer", GRPOTrainer)
    config: Callable[..., Any] = settings.pop("config", GRPOConfig)
    evaluated = settings.pop("eval_dataset", None)
    data = from_rows(level_rows()) if data is None else data
    text = next(iter(data))["prompt"][0]["content"][-1]["text"]
    tiny = build([text, RIGHT, WRONG], seed=0, size=SIZE)
    processing = tiny.processor
    if not settings.pop("sees_images", True):
        processing = tiny.processor.tokenizer
        processing.chat_template = CHAT_TEMPLATE
    defaults = {
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 4,
        "max_steps": 1,
        **ON_CPU,
    }
    return make(
        model=tiny.model,
        processing_class=processing,
        reward_funcs=reward_funcs,
        args=config(output_dir=str(out), **{**defaults, **settings}),
        train_dataset=data,
        eval_dataset=evaluated,
    )


def score_batch(trainer: Any, texts: Sequence[str], row: int = 0) -> Any:
    """Let TRL score completions of one row, as it does in training; return its table."""
    inputs = [trainer.train_dataset[row]] * len(texts)
    chats = [[{"role": "assistant", "content": text}] for text in texts]
    prompts = [one["prompt"] for one in inputs]
    return trainer._calculate_rewards(inputs, prompts, chats, [[1]] * len(texts))
