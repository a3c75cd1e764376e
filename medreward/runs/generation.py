"""Completions of a model for rows, streamed to a file that a later run goes on with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from medreward.checks import number
from medreward.data.check import open_parquet, rows_in
from medreward.data.image_file import image_of_row, open_image
from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_lines, read_text
from medreward.priors.template import message_parts


class Sampling(NamedTuple):
    """How completions are drawn.

    Attributes:
        draws: how many a row; 1 is the most likely one, without chance.
        temperature: of several.
        seed: of the chance, with a row's id: a run that is ended and goes on draws the same.
    """

    draws: int = 1
    temperature: float = 1.0
    seed: int = 0


GREEDY = Sampling()


def generate(
    model: str | Path,
    rows: str | Path,
    out: str | Path,
    *,
    max_new_tokens: int,
    batch: int = 1,
    sampling: Sampling = GREEDY,
) -> int:
    """Write a model's completions of rows to a file of JSON lines; return how many are new.

    Rows whose id is in the file already are left out, so that a run that was ended goes on.

    Args:
        model: a folder or a hub name of a vision-language model of transformers.
        rows: a parquet file of rows.
        out: the file.
        max_new_tokens: the most tokens of a completion.
        batch: rows at once; of several samples, one row is taken at a time.
        sampling: how completions are drawn.

    Raises:
        ConfigError: if transformers is not there, or the model cannot be loaded.
    """
    number("--temperature", sampling.temperature, 0.01, 100)
    loaded, processor = _load(model)
    done = _done(Path(out), str(model), sampling.draws)
    with open_parquet(rows) as file:
        total = file.metadata.num_rows
        left = (row for row in rows_in(file, rows) if str(row["extra_info"]["id"]) not in done)
        bar = tqdm(total=total, initial=len(done), desc="completions", unit="row", disable=None)
        count = 0
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        with Path(out).open("a", encoding="utf-8") as stream:
            while group := list(islice(left, batch if sampling.draws == 1 else 1)):
                texts = _complete(loaded, processor, group, max_new_tokens, sampling)
                lines = [
                    {"id": str(row["extra_info"]["id"]), "completion": text, "model": str(model)}
                    for row in group
                    for text in islice(texts, sampling.draws)
                ]
                stream.writelines(f"{json.dumps(x, ensure_ascii=False)}\n" for x in lines)
                stream.flush()
                os.fsync(stream.fileno())
                count += len(lines)
                bar.update(len(group))
        bar.close()
    return count


def _done(path: Path, model: str, samples: int) -> set[str]:
    """Return the ids in a file; what was not finished at its end is cut off.

    Raises:
        ConfigError: if another model wrote it, or another number of samples is there.
    """
    if not path.exists():
        return set()
    content = path.read_bytes()
    _cut(path, content.rfind(b"\n") + 1, len(content))
    counts: dict[str, int] = {}
    for at, line in read_lines(path):
        row = parse_json(line)
        if not isinstance(row, Mapping) or "id" not in row:
            raise ConfigError(f"{path} line {at}: no 'id'; name another file with --completions")
        if row.get("model", model) != model:
            raise ConfigError(
                f"{path} line {at}: a completion of {quote(row['model'])}, not of {quote(model)}; "
                f"name another file with --completions"
            )
        counts[str(row["id"])] = counts.get(str(row["id"]), 0) + 1
    if not counts:
        return set()
    last = [*counts][-1]
    wrong = {n: c for n, c in counts.items() if c > samples or (c < samples and n != last)}
    for name, count in wrong.items():
        raise ConfigError(
            f"{path}: the id {quote(name)} is there {count} times, and --samples is {samples}; "
            f"name another file with --completions"
        )
    if counts[last] < samples:
        lines = path.read_bytes().splitlines(keepends=True)
        kept = len(lines) - counts.pop(last)
        _cut(path, sum(map(len, lines[:kept])), sum(map(len, lines)))
    return {*counts}


def _cut(path: Path, end: int, length: int) -> None:
    if end < length:
        with path.open("r+b") as file:
            file.truncate(end)


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
    rows: list[dict[str, Any]],
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
        torch.manual_seed(_row_seed(sampling.seed, str(rows[0]["extra_info"]["id"])))
    with torch.inference_mode():
        made = model.generate(**inputs, **how, max_new_tokens=max_new_tokens)
    ids = made[:, inputs["input_ids"].shape[1] :]
    return iter(processor.batch_decode(ids, skip_special_tokens=True))


def _row_seed(seed: int, name: str) -> int:
    return int.from_bytes(sha256(f"{seed} {name}".encode()).digest()[:7])
