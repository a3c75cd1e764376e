"""The check of a veRL run before it takes a GPU: configuration, reward, rows.

``python -m medreward_verl.check OVERRIDE…`` takes the overrides of ``verl.trainer.main_ppo``. It
composes verl's configuration, runs verl's own ``validate_config``, loads the reward as verl does,
checks every row of the training and validation files, and scores hand-made completions for the
first rows of each. It needs no GPU, no model and no Ray. With ``--train`` first, what only matters
on the machine that trains (the rollout engine, packages that verl cannot stand) is checked as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from medreward import ConfigError, Score
from medreward.data.check import check_parquet, first_rows
from medreward.data.model_check import ModelFiles, check_rows_for_model, count_long
from medreward.data.model_name import check_model
from medreward.errors import expected
from medreward.kinds.right_answers import right_answer
from medreward.kinds.truth import target_of
from medreward.scoring.rows import score_rows
from medreward.scoring.signatures import SignatureSet
from medreward.text.shown import signed
from medreward_verl.scoring import RowScorer, row_scorer
from medreward_verl.sizes import check_ignored, check_sizes, hindering_packages

FIRST = 3  # rows of each file for which completions are scored
UNREAD = "I cannot tell"


def main(overrides: Sequence[str] | None = None) -> int:
    """Check a run and return the exit status: 0, or 2 for what has to be changed."""
    given = list(sys.argv[1:] if overrides is None else overrides)
    train = given[:1] == ["--train"]
    given = given[1:] if train else given
    places = given[:1] == ["--places"]
    try:
        for line in check(given[1:] if places else given, train=train, places=places):
            print(line, flush=True)
    except ConfigError as error:
        print(f"medreward_verl.check: {error}", file=sys.stderr)
        return 2
    return 0


def check(overrides: Sequence[str], *, train: bool = False, places: bool = False) -> Iterator[str]:
    """Check a run and yield what was found, one line each.

    Args:
        overrides: hydra overrides, as for ``python -m verl.trainer.main_ppo``.
        train: whether this machine is to train; what would keep it from that is an error then.
        places: whether the rows have to ask for places, as those of PA_π's first stage do.

    Raises:
        ConfigError: at the first thing that has to be changed.
    """
    config = compose(overrides)
    yield "configuration: composed; every key is one of verl's"
    check_sizes(config)
    for hindrance in hindrances(config):
        if train:
            raise ConfigError(hindrance)
        yield f"note: to train here, {hindrance}"
    yield from _validate(config)
    yield check_model(config.actor_rollout_ref.model.path, "actor_rollout_ref.model.path")
    rows = load_reward(config)
    for name in ("train_files", "val_files"):
        yield from _check_files(name, config.data[name], rows, places=places)
    yield from _check_size(config)
    yield from _check_model_files(config, rows)
    yield "check passed; the model was not loaded"


def compose(overrides: Sequence[str]) -> Any:
    """Return verl's configuration with overrides.

    Raises:
        ConfigError: if an override is malformed or its key is not one of verl's.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    with initialize_config_module("verl.trainer.config", version_base=None):
        known = set(_keys(hydra_compose("ppo_trainer")))
        for override in overrides:
            key = override.partition("=")[0]
            if not key.startswith(("+", "~")) and key.partition("@")[0] not in known:
                raise expected("key of verl's configuration", key, known)
        try:
            return hydra_compose("ppo_trainer", overrides=list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"verl's configuration: {error}") from error


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all keys, those of sections too."""
    for key in config:
        name = f"{prefix}{key}"
        yield name
        node = config._get_node(key)
        if hasattr(node, "keys") and not node._is_none() and not node._is_missing():
            yield from _keys(node, f"{name}.")


def hindrances(config: Any) -> Iterator[str]:
    """Yield what would keep verl from training on this machine, one sentence each."""
    engine = config.actor_rollout_ref.rollout.name
    if engine in ("vllm", "sglang") and find_spec(engine) is None:
        yield f"actor_rollout_ref.rollout.name: {engine} has to be installed"
    yield from hindering_packages(config)
    if find_spec("qwen_vl_utils") is None and config.data.custom_cls.path is None:
        yield "qwen_vl_utils has to be installed, by which verl reads images (qwen-vl-utils)"
    if find_spec("trl") and not find_spec("trl.experimental.ppo"):
        yield (
            "TRL has to go: verl 0.9.1 imports AutoModelForCausalLMWithValueHead from it where it "
            "is installed, which this TRL no longer has (pip uninstall trl)"
        )


def _validate(config: Any) -> Iterator[str]:
    """Run verl's own validation."""
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    engine = config.actor_rollout_ref.rollout.name
    checked = config
    if engine in ("vllm", "sglang") and find_spec(engine) is None:
        checked = config.copy()  # verl imports vllm to look up the largest LoRA rank
        checked.actor_rollout_ref.rollout.name = "hf"
    try:
        validate_config(checked, need_reference_policy(config), need_critic(config))
    except (AssertionError, ValueError) as error:
        raise ConfigError(f"verl's validate_config: {error}") from error
    yield "configuration: verl's validate_config passed"


def load_reward(config: Any) -> RowScorer:
    """Load the reward as verl does, function or manager, and return its scorer of rows.

    Raises:
        ConfigError: if it cannot be loaded, is not medreward's, or its settings are not allowed.
    """
    from verl.trainer.ppo.reward import get_custom_reward_fn, resolve_reward_manager_cls

    from medreward_verl.manager import MedRewardManager

    function = config.reward.custom_reward_function
    try:
        manager = resolve_reward_manager_cls(config)
        loaded = get_custom_reward_fn(config)
    except (ImportError, AttributeError, OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"reward: cannot be loaded: {error}") from error
    ours = issubclass(manager, MedRewardManager)
    if ours == (loaded is not None):
        raise ConfigError(
            "reward: give one of reward.custom_reward_function.path=pkg://medreward_verl and "
            "reward.reward_manager.name=MedRewardManager"
        )
    if ours:
        check_ignored(config)
    return row_scorer(function.get("reward_kwargs") or {})


def _check_files(name: str, files: Any, rows: RowScorer, *, places: bool) -> Iterator[str]:
    """Check every row of the files, and score completions for the first ones."""
    for file in _listed(files):
        count = check_parquet(file, rows.book, scorer_of=rows.scorer)
        yield f"data.{name}: {count} rows of {file} are right"
        signatures = SignatureSet()
        for number, row in enumerate(first_rows(file, FIRST)):
            task = rows.scorer(row["data_source"], row.get("extra_info")).task
            if places and not task.has_places:
                raise ConfigError(
                    f"{file}, row {number}: task {task.name!r} is {task.kind} and asks for no "
                    f"place; --stage localisation is for rows with boxes, points or masks"
                )
            right, unread = (_score(rows, row, text) for text in _completions(rows, row))
            yield f"  row {number}: right {_said(right)}; unread {_said(unread)}"
            if not right.correct or right.total <= unread.total:
                raise ConfigError(f"{file}, row {number}: its own ground truth is not paid best")
            signatures.add(right.signature, (row.get("extra_info") or {}).get("knowledge"))
        yield from (f"  {signature}" for signature in signatures.texts())


def _completions(rows: RowScorer, row: Mapping[str, Any]) -> list[str]:
    """Return a right completion and an unread one."""
    bound = rows.scorer(row["data_source"], row.get("extra_info"))
    target = target_of(bound.task, row["reward_model"]["ground_truth"])
    answers = [right_answer(bound.task, target, bound.settings), UNREAD]
    return [bound.format.write("Looking closely.", answer) for answer in answers]


def _score(rows: RowScorer, row: Mapping[str, Any], text: str) -> Score:
    truth = row["reward_model"]["ground_truth"]
    judged = rows.judged(row["data_source"], text, truth, row.get("extra_info"))
    return score_rows([judged.row])[0]


def _said(score: Score) -> str:
    return f"{signed(score.total, 3)} ({', '.join(score.reasons)})"


def _check_size(config: Any) -> Iterator[str]:
    """Make sure that the training rows fill a batch: verl drops the last, smaller one."""
    from medreward.data.check import open_parquet

    count = 0
    for file in _listed(config.data.train_files):
        with open_parquet(file) as parquet:
            count += parquet.metadata.num_rows
    size = config.data.train_batch_size
    if count < size:
        raise ConfigError(f"data.train_batch_size: {size} prompts a step, but {count} rows in all")
    steps = config.trainer.total_training_steps or count // size * config.trainer.total_epochs
    yield f"{count} rows: {count // size} steps of {size} prompts an epoch, {steps} steps in all"


def _check_model_files(config: Any, rows: RowScorer) -> Iterator[str]:
    """Hold the rows against the model's chat template and processor, where these can be read."""
    name, most = config.actor_rollout_ref.model.path, config.data.max_prompt_length
    try:
        model = ModelFiles(name, config.data.get("apply_chat_template_kwargs"))
        model.tokenizer  # noqa: B018 - read now
    except ConfigError as error:
        yield f"note: chat template and lengths of prompts were NOT checked: {error}"
        return
    kept = 0
    for file in _listed(config.data.train_files):
        yield from (f"  {line}" for line in check_rows_for_model(model, file, rows.scorer))
        found = count_long(model, file, most)
        if found is None:
            return
        kept += found[1] - found[0]
        if found[0]:
            yield (
                f"note: {found[0]} of {found[1]} rows of {file} have longer prompts than "
                f"data.max_prompt_length {most}, and verl leaves them out"
            )
    if kept < config.data.train_batch_size:
        raise ConfigError(
            f"data.max_prompt_length: {most} tokens leave {kept} rows, fewer than the "
            f"{config.data.train_batch_size} of a step; take a higher limit, smaller images or "
            f"less knowledge (prepare --budget)"
        )


def _listed(files: Any) -> list[str]:
    return [files] if isinstance(files, str) else [*files]


if __name__ == "__main__":
    sys.exit(main())
