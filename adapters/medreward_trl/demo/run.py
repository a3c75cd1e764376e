"""The demo from images to report: rows, warm start, GRPO in TRL, held-out metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers.trainer_callback import PrinterCallback

from medreward import ConfigError, Score, Task, shaped_reward
from medreward.data import mni152
from medreward.data.check import scorers_of
from medreward.data.example import Example
from medreward.data.parquet import write_parquet
from medreward.data.rows import make_rows
from medreward.errors import expected
from medreward.files.atomic import replacing, write_text_atomic
from medreward.runs import evaluation
from medreward.scoring.groups import zero_variance_share
from medreward.scoring.scorer import scorer
from medreward_trl.dataset import from_parquet
from medreward_trl.demo import generation, model
from medreward_trl.demo.demonstrations import demonstration
from medreward_trl.demo.progress import Progress
from medreward_trl.demo.warm_start import imitate
from medreward_trl.rewards import RewardFuncs, reward_funcs
from medreward_trl.train import make_trainer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOTrainer

TASK = "mni152_level"
REWARDS = {"mfrs": "geometric", "binary": "exact"}
SIZE = 56  # pixels
TRAIN, TEST = 600, 250
DEMONSTRATIONS, WARM_STEPS = 60, 80
GROUP, PROMPTS = 8, 8  # completions a prompt, prompts a step
# What GRPO on the tiny model learns with, on a CPU.
GRPO: dict[str, Any] = {
    "num_generations": GROUP,
    "per_device_train_batch_size": GROUP * PROMPTS,
    "learning_rate": 3e-4,
    "lr_scheduler_type": "linear",
    "adam_beta2": 0.95,
    "weight_decay": 0.0,
    "gradient_checkpointing": False,
    "bf16": False,
    "use_cpu": True,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
}
GROUPS_JUDGED = 50  # held-out prompts whose groups are sampled for the zero-variance share


@dataclass(frozen=True)
class DemoOptions:
    """What can be chosen.

    Attributes:
        out: the folder to write to.
        seed: seeds the images, the model, the warm start and the sampling.
        steps: GRPO steps.
        reward: a name of `REWARDS`: "mfrs" (partial credit, 4^-d) or "binary".
    """

    out: Path
    seed: int = 0
    steps: int = 200
    reward: str = "mfrs"

    def __post_init__(self) -> None:
        if self.reward not in REWARDS:
            raise expected("reward", self.reward, REWARDS)
        if self.steps < 1:
            raise ConfigError(f"steps: {self.steps} is not a whole number from 1 on")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed: {self.seed} is not a whole number from 0 to {2**32 - 1}")


@dataclass(frozen=True)
class Evaluation:
    """What the policy does on the held-out slices.

    Attributes:
        metrics: those of `medreward evaluate` of the most likely completions; reward and
            zero_variance of groups sampled at temperature 1, as GRPO sees them.
        completions: the most likely completion of each slice.
        scores: their scores.
    """

    metrics: dict[str, float]
    completions: list[str]
    scores: list[Score]


@dataclass(frozen=True)
class DemoResult:
    """What a run of the demo did.

    Attributes:
        options: what was chosen.
        signature: the reward's.
        before: the held-out slices after the warm start.
        after: the same after GRPO.
        history: TRL's log, one mapping a step.
        test: the held-out slices, in the order of the completions.
        prompt: the prompt's text.
        seconds: how long it took.
    """

    options: DemoOptions
    signature: str
    before: Evaluation
    after: Evaluation
    history: list[dict[str, float]]
    test: list[Example]
    prompt: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return settings, metrics and history as a JSON-ready dictionary."""
        return {
            "options": {**asdict(self.options), "out": str(self.options.out)},
            "signature": self.signature,
            "before": self.before.metrics,
            "after": self.after.metrics,
            "seconds": round(self.seconds, 1),
            "history": self.history,
        }


def run(options: DemoOptions) -> DemoResult:
    """Train the demo's model and write what was made to ``options.out``.

    ``train.parquet``, ``test.parquet``: the rows; ``warm_start/``, ``policy/``: the model before
    and after GRPO; ``trace.jsonl``: every completion of the training; ``held_out.jsonl``:
    completions on the held-out slices; ``result.json``.

    Raises:
        ConfigError: if the folder cannot be written to.
    """
    started = time.monotonic()
    task = Task.load(TASK)
    test = mni152.examples(TASK, split="test", count=TEST, seed=options.seed, size=SIZE)
    held_out = _dataset(options.out / "test.parquet", task, test)
    tiny, data = warm_started(task, options)
    prompt = _prompt(data)
    save_model(tiny, options.out / "warm_start")
    before = evaluate(tiny, held_out, task, options)
    history = _grpo(tiny, data, task, options)
    save_model(tiny, options.out / "policy")
    after = evaluate(tiny, held_out, task, options)
    signature = scorer(task, {"decay": REWARDS[options.reward]}).signature()
    seconds = time.monotonic() - started
    result = DemoResult(options, signature, before, after, history, test, prompt, seconds)
    _write(result, held_out)
    return result


def warm_started(task: Task, options: DemoOptions) -> tuple[model.Tiny, Dataset]:
    """Return the model that imitated some demonstrations, and the rows to train it on."""
    train = mni152.examples(TASK, split="train", count=TRAIN, seed=options.seed, size=SIZE)
    data = _dataset(options.out / "train.parquet", task, train)
    completions = [demonstration(example) for example in train]
    tiny = model.build([_prompt(data), *completions], seed=options.seed, size=SIZE)
    shown = range(DEMONSTRATIONS)
    imitate(
        tiny, data.select(shown), completions[: len(shown)], steps=WARM_STEPS, seed=options.seed
    )
    return tiny, data


def grpo_trainer(
    tiny: model.Tiny,
    data: Dataset,
    reward: RewardFuncs,
    options: DemoOptions,
    callbacks: Sequence[TrainerCallback] = (),
    *,
    max_tokens: int = generation.MAX_TOKENS,
) -> GRPOTrainer:
    """Return TRL's GRPOTrainer as the demo sets it."""
    trainer = make_trainer(
        model=tiny.model,
        dataset=data,
        reward=reward,
        settings={
            **GRPO,
            "output_dir": str(options.out / "policy"),
            "seed": options.seed,
            "max_steps": options.steps,
            "max_completion_length": max_tokens,
            "warmup_steps": min(10, options.steps - 1),
            "disable_tqdm": True,
        },
        processor=tiny.processor,
        callbacks=[Progress(options.steps), *callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def evaluate(tiny: model.Tiny, data: Dataset, task: Task, options: DemoOptions) -> Evaluation:
    """Return what the policy does on held-out rows, those of ``test.parquet``."""
    decay = REWARDS[options.reward]
    texts = generation.most_likely(tiny, data)
    scored = evaluation.score_completions(
        options.out / "test.parquet",
        dict(zip(data["id"], texts, strict=True)),
        scorers_of(None, {"decay": decay}),
    )[TASK]
    judged = data.select(range(GROUPS_JUDGED))
    sampled = generation.sampled(tiny, judged, GROUP, options.seed)
    groups = [
        shaped_reward(group, target, task=task, knowledge=told, decay=decay)
        for group, target, told in zip(sampled, judged["target"], judged["knowledge"], strict=True)
    ]
    metrics = {
        **{one.name: one.value for one in evaluation.evaluate(scored)[0].metrics},
        "reward": sum(map(sum, groups)) / (GROUP * len(groups)),
        "zero_variance": zero_variance_share(groups),
    }
    return Evaluation(metrics, texts, [one.score for one in scored.predictions])


def _prompt(data: Dataset) -> str:
    text: str = data[0]["prompt"][0]["content"][-1]["text"]
    return text


def _dataset(path: Path, task: Task, examples: Sequence[Example]) -> Dataset:
    write_parquet(path, make_rows(examples, task), total=len(examples))
    return from_parquet(path)


def _grpo(
    tiny: model.Tiny, data: Dataset, task: Task, options: DemoOptions
) -> list[dict[str, float]]:
    """Run TRL's GRPOTrainer and return its log."""
    trace = options.out / "trace.jsonl"
    trace.unlink(missing_ok=True)  # a trace is continued, not replaced
    reward = reward_funcs(task, trace=trace, decay=REWARDS[options.reward])
    trainer = grpo_trainer(tiny, data, reward, options)
    trainer.train()
    return [log for log in trainer.state.log_history if "reward" in log]


def save_model(tiny: model.Tiny, folder: Path) -> None:
    """Write a model in place of what the folder holds."""
    with replacing(folder) as scratch:
        model.save(tiny, scratch)


def _write(result: DemoResult, data: Dataset) -> None:
    told = data.select_columns(["id", "target", "knowledge"])  # without decoding the images
    lines = [
        {
            "id": row["id"],
            "policy": policy,
            "completion": completion,
            "target": row["target"],
            "knowledge": row["knowledge"],
        }
        for policy, measured in (("warm_start", result.before), ("grpo", result.after))
        for row, completion in zip(told, measured.completions, strict=True)
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text_atomic(result.options.out / "held_out.jsonl", text)
    write_text_atomic(
        result.options.out / "result.json", json.dumps(result.as_dict(), indent=1) + "\n"
    )
