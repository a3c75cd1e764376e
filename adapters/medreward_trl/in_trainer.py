"""What a reward function can know of the trainer that calls it.

TRL passes no trainer, but `log_metric` is a method of one (GRPOTrainer, RLOOTrainer and what is
made of them), so that weights, names and ranks can be seen. Trainers without `log_metric`
(OnlineDPO, AsyncGRPO) and hand-made loops are not known: nothing is checked or gathered there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from medreward import ConfigError

if TYPE_CHECKING:
    from medreward_trl.rewards import _Reward

_Row = TypeVar("_Row")
# TRL has weights in float32, whose relative rounding is 6e-8.
_CLOSE = 1e-5


def trainer_of(log_metric: Callable[..., Any] | None) -> Any:
    """Return the trainer whose method `log_metric` is, None where it is no trainer's."""
    owner = getattr(log_metric, "__self__", None)
    return owner if hasattr(owner, "reward_funcs") else None


def is_evaluating(trainer: Any) -> bool | None:
    """Tell whether a batch is evaluated, as TRL itself does; None where that is not known."""
    model = getattr(trainer, "model", None)
    return None if model is None else not model.training


def has_ranks() -> bool:
    """Tell whether this process is one of several that train together."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def gather_rows(trainer: Any, rows: Sequence[_Row]) -> list[_Row]:
    """Return the rows of all ranks, in the order of the ranks, on each of them."""
    if trainer is None or trainer.accelerator.num_processes < 2:
        return list(rows)
    from accelerate.utils import gather_object  # type: ignore[import-untyped]

    return list(gather_object(list(rows)))


def check_names(trainer: Any, reward: _Reward) -> None:
    """Make sure that no two functions of a trainer share a name, under which TRL mixes them up.

    Raises:
        ConfigError: if one of our set's names is another function's too.
    """
    names = list(trainer.reward_func_names)
    for one in _set_of(trainer, reward):
        if names.count(one.__name__) > 1:
            raise ConfigError(
                f"reward_funcs: the trainer has {names.count(one.__name__)} functions named "
                f"{one.__name__!r}, whose values would stand in one column; give each set of "
                f"functions a name: reward_funcs(..., name='second')"
            )


def check_weights(trainer: Any, reward: _Reward) -> None:
    """Make sure that the trainer multiplies our functions by their weights, or by a multiple.

    Raises:
        ConfigError: if it has other weights, under which a wrong answer might outscore a right
            one, and totals in the trace and in the metrics would not be what is trained on.
    """
    weights = getattr(trainer, "reward_weights", None)
    ours = _set_of(trainer, reward)
    if weights is None or len(ours) < 2:
        return
    has = [float(weights[trainer.reward_funcs.index(one)]) for one in ours]
    wants = [one.weight for one in ours]
    scale = sum(has) / sum(wants) if sum(wants) else 0.0
    if scale > 0 and all(
        abs(h - scale * w) <= _CLOSE * scale * max(wants) for h, w in zip(has, wants, strict=True)
    ):
        return
    names = [one.__name__ for one in ours]
    raise ConfigError(
        f"reward_weights: the trainer has {has} for {', '.join(names)}, the reward {wants}; pass "
        f"what reward_funcs returned: GRPOConfig(reward_weights=weights). Other weights are set "
        f"in the reward, which checks them: reward_funcs(..., weights={{...}})"
    )


def check_sees_images(trainer: Any, columns: Mapping[str, Any]) -> None:
    """Make sure that pictures of the rows reach the model, where the rows have any.

    A trainer with a tokenizer in the processor's place, as Axolotl's GRPO has it, drops them and
    says nothing: rewards get the columns, the model the text alone.

    Raises:
        ConfigError: if rows have pictures and the trainer has no processor for them.
    """
    pictures = [one for name in ("image", "images") for one in columns.get(name) or ()]
    if all(one is None or (isinstance(one, Sequence) and not one) for one in pictures):
        return
    from transformers import PreTrainedTokenizerBase

    has = getattr(trainer, "processing_class", None)
    if isinstance(has, PreTrainedTokenizerBase):
        raise ConfigError(
            f"processing_class: rows have pictures, but the trainer has a tokenizer "
            f"({type(has).__name__}) where the model's processor belongs, so the model sees none "
            f"of them; pass GRPOTrainer(processing_class=AutoProcessor.from_pretrained(...)), or "
            f"leave the columns image and images out of the rows. Axolotl 0.19 hands over its "
            f"tokenizer whatever the configuration says: its GRPO trains on text alone"
        )


def _set_of(trainer: Any, reward: _Reward) -> list[_Reward]:
    """Return the trainer's functions that share a scorer with `reward`."""
    return [one for one in trainer.reward_funcs if getattr(one, "batch", None) is reward.batch]
