"""Run what all prompts of a batch begin with once: the same numbers in less time on a CPU."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from transformers import DynamicCache
from transformers.models.llava.modeling_llava import LlavaModelOutputWithPast

SHORTEST = 16  # tokens, below which nothing is gained


def share_prefix(model: Any, shortest: int = SHORTEST) -> None:
    """Make a LlavaForConditionalGeneration run the common beginning of its batches once.

    Keys and values of the tokens with which all rows begin, up to the first image and to the first
    padding, are computed for one row and given to all. Differences to the plain forward are of
    rounding (1e-5 in log-probabilities). TRL and peft see no difference.
    """
    inner = model.model
    plain = inner.forward

    def forward(
        self: Any,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        **others: Any,
    ) -> Any:
        length = 0
        if past_key_values is None or past_key_values.get_seq_length() == 0:
            length = _common(input_ids, attention_mask, self.config.image_token_id)
        if length < shortest:
            return plain(
                input_ids=input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                **others,
            )
        assert input_ids is not None  # noqa: S101 - its tokens were just compared
        rows = len(input_ids)
        shared = DynamicCache(config=self.config.text_config)
        hidden = self.language_model(
            input_ids=input_ids[:1, :length], past_key_values=shared, use_cache=True
        ).last_hidden_state
        cache = past_key_values
        if cache is None:
            cache = DynamicCache(config=self.config.text_config)
        for number, layer in enumerate(shared.layers):
            keys, values = (one.expand(rows, -1, -1, -1) for one in (layer.keys, layer.values))
            cache.update(keys, values, number)
        rest = plain(
            input_ids=input_ids[:, length:],
            attention_mask=attention_mask,
            position_ids=None if position_ids is None else position_ids[..., length:],
            past_key_values=cache,
            **{**others, "use_cache": True},
        )
        whole = torch.cat([hidden.expand(rows, -1, -1), rest.last_hidden_state], dim=1)
        return LlavaModelOutputWithPast(
            last_hidden_state=whole,
            past_key_values=rest.past_key_values,
            image_hidden_states=rest.image_hidden_states,
        )

    inner.forward = MethodType(forward, inner)


def _common(tokens: torch.Tensor | None, mask: torch.Tensor | None, image: int) -> int:
    """Return how many tokens all rows begin with, one less than all at most."""
    if tokens is None or len(tokens) < 2:
        return 0
    same = (tokens == tokens[:1]).all(0) & (tokens[0] != image)
    if mask is not None:
        same &= mask[:, : tokens.shape[1]].bool().all(0)
    length: int = same.long().cumprod(0).sum().item()
    return min(length, int(tokens.shape[1]) - 1)
