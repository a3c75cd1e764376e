"""Completions of a model for rows, greedily, streamed to a file that a later run goes on with."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medreward.data.check import open_parquet, rows_in
from medreward.data.image_file import image_of_row, open_image
from medreward.errors import ConfigError
from medreward.files.reading import parse_json, read_lines
from medreward.priors.template import message_parts


def generate(
    model: str | Path, rows: str | Path, out: str | Path, *, max_new_tokens: int, batch: int = 1
) -> int:
    """Write a model's greedy completions of rows to a file of JSON lines; return how many are new.

    Rows whose id is in the file already are left out, so that a run that was ended goes on.

    Args:
        model: a folder or a hub name of a vision-language model of transformers.
        rows: a parquet file of rows.
        out: the file.
        max_new_tokens: the most tokens of a completion.
        batch: rows at once.

    Raises:
        ConfigError: if transformers is not there, or the model cannot be loaded.
    """
    loaded, processor = _load(model)
    done = _done(Path(out))
    with open_parquet(rows) as file:
        total = file.metadata.num_rows
        left = (row for row in rows_in(file, rows) if str(row["extra_info"]["id"]) not in done)
        bar = tqdm(total=total, initial=len(done), desc="completions", unit="row", disable=None)
        count = 0
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        with Path(out).open("a", encoding="utf-8") as stream:
            while group := list(islice(left, batch)):
                texts = _complete(loaded, processor, group, max_new_tokens)
                for row, text in zip(group, texts, strict=True):
                    line = {"id": str(row["extra_info"]["id"]), "completion": text}
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
                count += len(group)
                bar.update(len(group))
        bar.close()
    return count


def _done(path: Path) -> set[str]:
    """Return the ids in a file; a last line that was not finished is cut off."""
    if not path.exists():
        return set()
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    if end < len(content):
        with path.open("r+b") as file:
            file.truncate(end)
    found = set()
    for number, line in read_lines(path):
        row = parse_json(line)
        if not isinstance(row, Mapping) or "id" not in row:
            raise ConfigError(f"{path} line {number}: no 'id'; name another file with --out")
        found.add(str(row["id"]))
    return found


def _load(model: str | Path) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor
    except ModuleNotFoundError as error:
        raise ConfigError(f"--model needs {error.name}: pip install torch transformers") from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        processor = AutoProcessor.from_pretrained(model)
        loaded = AutoModelForImageTextToText.from_pretrained(model, dtype=dtype).to(device).eval()
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"--model: {model}: {str(error).partition(chr(10))[0]}") from error
    return loaded, processor


def _complete(
    model: Any, processor: Any, rows: list[dict[str, Any]], max_new_tokens: int
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
    with torch.inference_mode():
        made = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
    ids = made[:, inputs["input_ids"].shape[1] :]
    return iter(processor.batch_decode(ids, skip_special_tokens=True))
