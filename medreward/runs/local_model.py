"""A model of transformers that answers rows on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from medreward.data.image_file import image_of_row, open_image
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_text
from medreward.priors.template import message_parts
from medreward.runs.generation import Sampling, row_seed


class LocalModel:
    """A vision-language model of transformers.

    Args:
        model: its folder or hub name.
        max_new_tokens: the most tokens of a completion.

    Raises:
        ConfigError: if transformers is not there, or the model cannot be loaded.
    """

    def __init__(self, model: str | Path, max_new_tokens: int) -> None:
        self.name = str(model)
        self.max_new_tokens = max_new_tokens
        self._model, self._processor = _load(model)

    def complete(self, rows: Sequence[Mapping[str, Any]], sampling: Sampling) -> Iterator[str]:
        """Yield the completions of rows, those of one row together.

        Of several samples, one row is taken at a time, so that its chance is its own.
        """
        for group in [rows] if sampling.draws == 1 else [[row] for row in rows]:
            yield from _complete(self._model, self._processor, group, self.max_new_tokens, sampling)


def _load(model: str | Path) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor
    except ModuleNotFoundError as error:
        raise ConfigError(f"--model needs {error.name}: pip install torch transformers") from error
    _register_architectures(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        processor = AutoProcessor.from_pretrained(model)
        loaded = AutoModelForImageTextToText.from_pretrained(model, dtype=dtype).to(device).eval()
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"--model: {model}: {str(error).partition(chr(10))[0]}") from error
    return loaded, processor


def _register_architectures(model: str | Path) -> None:
    """Import what registers the architectures that a folder's config names and we know.

    Packages name them as entry points of the group ``medreward.architectures``: the value of
    ``model_type`` and the module whose import registers it with transformers' Auto classes.

    Raises:
        ConfigError: if the module needs a package that is not there.
    """
    path = Path(model) / "config.json"
    if not path.is_file():
        return
    named = {*_model_types(parse_json(read_text(path, what="model's configuration")))}
    for entry in entry_points(group="medreward.architectures"):
        if entry.name in named:
            try:
                entry.load()
            except ModuleNotFoundError as error:
                raise ConfigError(
                    f"--model: {model}: {path.name} names {quote(entry.name)}, which needs "
                    f"{error.name}: pip install 'medreward[trl]' brings it"
                ) from error


def _model_types(config: Any) -> Iterator[str]:
    """Yield the types of the model and of its parts."""
    if isinstance(config, Mapping):
        if isinstance(name := config.get("model_type"), str):
            yield name
        for value in config.values():
            yield from _model_types(value)


def _complete(
    model: Any,
    processor: Any,
    rows: Sequence[Mapping[str, Any]],
    max_new_tokens: int,
    sampling: Sampling,
) -> Iterator[str]:
    import torch

    texts, pictures = [], []
    for row in rows:
        messages = [
            {"role": one["role"], "content": message_parts(str(one["content"]))}
            for one in row["prompt"]
        ]
        texts.append(processor.apply_chat_template(messages, add_generation_prompt=True))
        own = []
        for entry in row["images"] or []:
            with open_image(image_of_row(entry)) as image:
                own.append(image.convert("RGB"))
        pictures.append(own)
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    given: dict[str, Any] = {"images": pictures} if any(pictures) else {}
    inputs = processor(text=texts, padding=True, return_tensors="pt", **given).to(model.device)
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
    how: dict[str, Any] = {"do_sample": False}
    if sampling.draws > 1:
        # top_k and top_p at their neutral values: the model's own distribution.
        how = {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
        how["num_return_sequences"] = sampling.draws
        torch.manual_seed(row_seed(sampling.seed, str(rows[0]["extra_info"]["id"])))
    with torch.inference_mode():
        made = model.generate(**inputs, **how, max_new_tokens=max_new_tokens)
    ids = made[:, inputs["input_ids"].shape[1] :]
    return iter(processor.batch_decode(ids, skip_special_tokens=True))
