"""Completions that a tiny untrained model samples, for trainers whose loop has to run whole."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from medreward_conformance.known import PROMPT, TASK, columns_with_values
from medreward_conformance.protocol import Arrival, Call, Observation, Sent, probe_value
from medreward_trl.demo.model import ASSISTANT, CHAT_TEMPLATE, IMAGE, PAD, UNKNOWN, USER, build

ROWS, COPIES, LENGTH, SIZE = 4, 4, 24, 28
OPENS = "<think>"
SPECIAL = (USER, ASSISTANT)
# The words of ms-swift's template for LLaVA.
TEMPLATE = "<s> </s> USER: ASSISTANT:"
# What the model never writes: an image token in a completion has no image; the others may be taken
# for the end.
NEVER = [IMAGE, PAD, UNKNOWN, "<s>", "</s>"]


def tiny_model() -> Any:
    """Return a model that samples nearly all words alike, whose prompts end in ``<think>``."""
    tiny = build([PROMPT, TEMPLATE], seed=0, size=SIZE)
    end = "{{ '<assistant>' }}"
    tiny.processor.chat_template = CHAT_TEMPLATE.replace(end, f"{{{{ '<assistant> {OPENS}' }}}}")
    tiny.processor.tokenizer.chat_template = tiny.processor.chat_template
    # transformers 4 adds token types otherwise, which Llama refuses.
    tiny.processor.tokenizer.model_input_names = ["input_ids", "attention_mask"]
    numbers = tiny.processor.tokenizer.convert_tokens_to_ids(NEVER)
    # One dimension is the same for all words and counts against these.
    tiny.model.get_input_embeddings().weight.data[:, 0] = 1.0
    tiny.model.lm_head.weight.data[numbers, 0] = -10.0
    return tiny


def columns_of(number: int) -> dict[str, str]:
    """Return the columns of a row beside its prompt and image."""
    return {
        "task": TASK,
        "target": str(number),
        "knowledge": "",
        "id": f"row{number}",
        "split": "train",
    }


@contextmanager
def recorded(model_class: Any) -> Iterator[list[list[int]]]:
    """Record the token ids that models of a class generate, where they generate them."""
    found: list[list[int]] = []
    generate = model_class.generate

    def recording(self: Any, *args: Any, **given: Any) -> Any:
        result = generate(self, *args, **given)
        inputs: Any = given.get("input_ids", args[0] if args else given.get("inputs"))
        ids = getattr(result, "sequences", result)
        found.extend(ids[:, inputs.shape[1] :].tolist())
        return result

    model_class.generate = recording
    try:
        yield found
    finally:
        model_class.generate = generate


def as_sent(tokenizer: Any, generated: Sequence[Sequence[int]]) -> list[Sent]:
    """Return what was generated as completions; those of one prompt follow one another."""
    found = []
    for place, ids in enumerate(generated):
        end = ids.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in ids else len(ids)
        text = tokenizer.decode(ids[:end], skip_special_tokens=False)
        found.append(
            Sent(_key(ids[:end]), f"{place // COPIES}", text, "which grade is this", end < len(ids))
        )
    return found


def _key(ids: Sequence[int]) -> Hashable:
    return " ".join(map(str, ids))


class SamplingProbe:
    """A reward that writes down what arrives; completions are known by their token ids.

    Args:
        end: the end token's number.
        ids: the column with the token ids.
        fails: whether it raises.
    """

    def __init__(self, end: int, ids: str, *, fails: bool = False) -> None:
        self.__name__ = "probe"
        self.end, self.ids, self.fails = end, ids, fails
        self.calls: list[Call] = []

    def __call__(self, *args: Any, **columns: Any) -> list[float]:
        """Record a call and return the probe's values."""
        if self.fails:
            raise RuntimeError("the probe fails")
        completions = args[0] if args else columns.pop("completions")
        keys = [_key(_until(ids, self.end)) for ids in columns[self.ids]]
        rows = [
            {name: values[i] for name, values in columns.items() if _has_rows(values, len(keys))}
            for i in range(len(keys))
        ]
        texts = [text if isinstance(text, str) else text[-1]["content"] for text in completions]
        self.calls.append(
            Call(
                len(args),
                tuple(
                    Arrival(key, row.get("id"), text, columns_with_values(row))
                    for key, text, row in zip(keys, texts, rows, strict=True)
                ),
            )
        )
        log_extra = columns.get("log_extra")
        if log_extra is not None:
            log_extra("key", keys)
        return [probe_value(text) for text in texts]


def _has_rows(values: Any, count: int) -> bool:
    return isinstance(values, Sequence) and not isinstance(values, str) and len(values) == count


def _until(ids: Sequence[int], end: int) -> list[int]:
    """Return the ids before the end token; ms-swift has them in lists, one a turn."""
    flat = [one for part in ids for one in (part if isinstance(part, list) else [part])]
    return flat[: flat.index(end)] if end in flat else flat


def own_rows(seen: Observation) -> None:
    """Name the groups of what was sent by the ids of the rows beside which they arrived.

    The model does not know its rows' names: a group is one row's if all of it has one name, and no
    other group has the same.
    """
    names: dict[str, set[str]] = {}
    group_of = {one.key: one.group for one in seen.sent}
    for call in seen.calls:
        for one in call.arrivals:
            names.setdefault(group_of.get(one.key, ""), set()).add(str(one.group))
    found = {group: next(iter(ids)) for group, ids in names.items() if len(ids) == 1}
    if len(set(found.values())) == len(found):
        seen.sent = [one._replace(group=found.get(one.group, one.group)) for one in seen.sent]


def score_map(keys: Sequence[Hashable], scores: Sequence[float]) -> Mapping[Hashable, float]:
    """Return the trainer's rewards by the completions' keys."""
    return dict(zip(keys, map(float, scores), strict=True))
