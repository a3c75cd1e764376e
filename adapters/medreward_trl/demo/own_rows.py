"""The demo's tiny model on rows of one's own: warm start, GRPO, completions before and after."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageStat

from medreward import ConfigError
from medreward.data.check import scorers_of
from medreward.files.atomic import write_text_atomic
from medreward.kinds.right_answers import completion_with, right_answer
from medreward.kinds.truth import target_of
from medreward.runs.evaluation import (
    Scored,
    evaluate,
    read_completions,
    score_completions,
    signature_of,
)
from medreward.scoring.task_book import TaskBook
from medreward.sheets.report import Report, ReportSample, Row
from medreward_trl.dataset import from_parquet
from medreward_trl.demo import generation, model
from medreward_trl.demo.report import COLUMNS, charts_of
from medreward_trl.demo.run import (
    DEMONSTRATIONS,
    PROMPTS,
    SIZE,
    WARM_STEPS,
    DemoOptions,
    grpo_trainer,
    save_model,
)
from medreward_trl.demo.warm_start import imitate
from medreward_trl.rewards import reward_funcs

if TYPE_CHECKING:
    from datasets import Dataset

    from medreward import Task

HELD_OUT = ("test", "val")
REASONING = "looking closely ."
BEFORE, AFTER = "warm_start", "policy"
_BASELINES = ("one answer", "shuffled")  # in the order in which they are evaluated
_MOST_TOKENS = 128
_MEASURED = 100  # pictures whose mean and deviation normalise all of them
_SAMPLES = 8


@dataclass(frozen=True)
class OwnResult:
    """What a run on one's own rows did.

    Attributes:
        task: the rows' task.
        before: the held-out rows after the warm start, scored.
        after: the same after GRPO.
        history: TRL's log, one mapping a step.
        held_out: the held-out rows.
        counts: rows of each file.
        seconds: how long it took.
        most_tokens: the longest completion that the model could write.
    """

    task: Task
    before: Scored
    after: Scored
    history: list[dict[str, float]]
    held_out: Dataset
    counts: Mapping[str, int]
    seconds: float
    most_tokens: int


class OwnTable(NamedTuple):
    """The metrics of held-out rows.

    Attributes:
        columns: of the policy before and after GRPO, then of answers that look at no image.
        rows: a metric each.
        baselines: what the columns of the latter mean.
    """

    columns: Sequence[str]
    rows: Sequence[Row]
    baselines: Mapping[str, str]


def run_own(rows: Path, book: TaskBook, options: DemoOptions) -> OwnResult:
    """Train the tiny model on ``rows/train.parquet`` and write what was made to ``options.out``.

    ``warm_start/``, ``policy/``: the model before and after GRPO; ``trace.jsonl``: every completion
    of the training; ``warm_start.jsonl``, ``policy.jsonl``: the greedy completions of the held-out
    rows, for ``medreward evaluate``.

    Args:
        rows: the folder that ``medreward prepare`` wrote.
        book: the tasks that rows may be of.
        options: where to write to, seed and steps.

    Raises:
        ConfigError: if a file of rows is not there, or the rows do not fit the tiny model.
    """
    started = time.monotonic()
    train, held_out = rows / "train.parquet", _held_out(rows)
    data, test = from_parquet(train), from_parquet(held_out)
    task = _only_task(rows, data, book)
    completions = [_demonstration(task, target) for target in data["target"]]
    tiny = _build(data, test, completions, options.seed)
    longest = max(len(tiny.processor.tokenizer(text)["input_ids"]) for text in completions)
    tokens = min(longest + 4, _MOST_TOKENS)
    shown = random.Random(options.seed).sample(range(len(data)), min(DEMONSTRATIONS, len(data)))
    told = [completions[i] for i in shown]
    imitate(tiny, data.select(shown), told, steps=WARM_STEPS, seed=options.seed)
    save_model(tiny, options.out / BEFORE)
    _complete(tiny, test, options.out / f"{BEFORE}.jsonl", tokens)
    trace = options.out / "trace.jsonl"
    trace.unlink(missing_ok=True)  # a trace is continued, not replaced
    trainer = grpo_trainer(tiny, data, reward_funcs(task, trace=trace), options, max_tokens=tokens)
    trainer.train()
    save_model(tiny, options.out / AFTER)
    _complete(tiny, test, options.out / f"{AFTER}.jsonl", tokens)
    before, after = (_scored(held_out, options.out / f"{n}.jsonl", book) for n in (BEFORE, AFTER))
    history = [log for log in trainer.state.log_history if "reward" in log]
    counts = {train.name: len(data), held_out.name: len(test)}
    seconds = time.monotonic() - started
    return OwnResult(task, before, after, history, test, counts, seconds, tokens)


def own_report(result: OwnResult, table: OwnTable) -> Report:
    """Return what the HTML report shows."""
    names = [one.id for one in result.before.predictions]
    policies = (result.before, result.after)
    right = [[one.score.correct for one in scored.predictions] for scored in policies]
    changed = sorted(range(len(names)), key=lambda i: right[0][i] == right[1][i])
    return Report(
        title=f"A tiny policy on {result.task.name}",
        summary="A tiny vision-language model, built and trained from nothing on these rows. It "
        "shows whether rows, reward and trainer work together; it says nothing about what a "
        "pretrained model would reach. Two columns are of answers that look at no image: "
        f"{'; '.join(f'{name}: {meaning}' for name, meaning in table.baselines.items())}.",
        facts={name: f"{count} rows" for name, count in result.counts.items()}
        | {"steps": str(len(result.history)), "time": f"{result.seconds:.0f} s"},
        columns=table.columns,
        rows=table.rows,
        charts=charts_of(result.history, "R_accuracy", result.most_tokens),
        samples=[
            ReportSample(
                id=names[i],
                image=result.held_out[i]["image"],
                target=str(result.held_out[i]["target"]),
                answers={
                    column: (scored.predictions[i].completion, scored.predictions[i].score)
                    for column, scored in zip(COLUMNS, policies, strict=True)
                },
            )
            for i in changed[:_SAMPLES]
        ],
        texts={
            "Prompt": str(result.held_out[0]["prompt"][0]["content"][-1]["text"]),
            "Signature of the reward": signature_of(result.after.predictions),
        },
    )


def own_table(result: OwnResult) -> OwnTable:
    """Return the held-out metrics before and after, and those of answers that see no image."""
    before, after = (evaluate(scored)[0] for scored in (result.before, result.after))
    named = dict(zip(_BASELINES, after.baselines, strict=True))
    rows = [
        Row(
            one.name,
            (
                *(one.value, other.value),
                *(after.baselines[name].get(one.name, math.nan) for name in named.values()),
            ),
            f"95 % after GRPO: {other.low:.3f} to {other.high:.3f}",
        )
        for one, other in zip(before.metrics, after.metrics, strict=True)
    ]
    return OwnTable((*COLUMNS, *named), rows, named)


def _held_out(rows: Path) -> Path:
    found = [rows / f"{name}.parquet" for name in HELD_OUT if (rows / f"{name}.parquet").is_file()]
    if not found:
        raise ConfigError(
            f"--rows: {rows} has neither test.parquet nor val.parquet; `medreward prepare` writes "
            f"them: --split train=0.8,test=0.2"
        )
    return found[0]


def _only_task(rows: Path, data: Dataset, book: TaskBook) -> Task:
    """Return the task of all rows, of which the tiny model has to be able to learn one."""
    names = sorted(set(data["task"]))
    if len(names) > 1:
        raise ConfigError(
            f"--rows: {rows}/train.parquet has {len(names)} tasks ({', '.join(names)}); the tiny "
            f"model learns one: prepare a folder of rows for each"
        )
    task = book.task_of(names[0])
    if len(data) < PROMPTS:
        raise ConfigError(
            f"--rows: {rows}/train.parquet has {len(data)} rows; a step takes {PROMPTS} of them"
        )
    if "image" not in data.column_names:
        raise ConfigError(f"--rows: {rows}/train.parquet: the tiny model sees one image a row")
    return task


def _demonstration(task: Task, target: str) -> str:
    answer = right_answer(task, target_of(task, target))
    return completion_with(answer, REASONING, task.reward.completion_format)


def _build(data: Dataset, test: Dataset, completions: list[str], seed: int) -> model.Tiny:
    """Return an untrained model that knows the words of the rows and their brightness."""
    texts = {
        part["text"]
        for rows in (data, test)
        for prompt in rows["prompt"]
        for message in prompt
        for part in message["content"]
    }
    mean, std = _brightness(data)
    texts |= {*completions}
    return model.build(sorted(texts), seed=seed, size=SIZE, mean=mean, std=std)


def _brightness(data: Dataset) -> tuple[float, float]:
    """Return mean and standard deviation of the first pictures' pixels, in [0, 1]."""
    squares = [
        data[i]["image"].convert("L").resize((SIZE, SIZE)) for i in range(min(_MEASURED, len(data)))
    ]
    strip = Image.new("L", (SIZE * len(squares), SIZE))
    for i, square in enumerate(squares):
        strip.paste(square, (i * SIZE, 0))
    found = ImageStat.Stat(strip)
    return found.mean[0] / 255, max(found.stddev[0] / 255, 0.01)


def _complete(tiny: model.Tiny, rows: Dataset, path: Path, tokens: int) -> None:
    texts = generation.most_likely(tiny, rows, tokens)
    lines = [
        json.dumps({"id": name, "completion": text}, ensure_ascii=False) + "\n"
        for name, text in zip(rows["id"], texts, strict=True)
    ]
    write_text_atomic(path, "".join(lines))


def _scored(rows: Path, completions: Path, book: TaskBook) -> Scored:
    (only,) = score_completions(rows, read_completions(completions), scorers_of(book)).values()
    return only
