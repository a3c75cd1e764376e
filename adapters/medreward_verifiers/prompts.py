"""A row's prompt and pictures as chat messages whose images are data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

from medreward.data.image_file import image_of_row, open_image
from medreward.data.rows import Row
from medreward.data.sources.record import UnusableError
from medreward.errors import ConfigError

MARK = "<image>"
# What endpoints take as it is; others are written as PNG.
_SENT = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


def chat_messages(row: Row) -> list[dict[str, Any]]:
    """Return a row's prompt with its pictures in the places of their marks.

    Raises:
        ConfigError: if the prompt has not as many marks as there are pictures, or one of these is
            a path or cannot be read.
    """
    pictures = iter([*_addresses(row)])
    marks = sum(message["content"].count(MARK) for message in row["prompt"])
    if marks != len(row["images"]):
        raise ConfigError(
            f"prompt: has {marks} marks {MARK} for {len(row['images'])} images; write the rows "
            f"with `medreward prepare`"
        )
    return [
        {"role": message["role"], "content": _parts(message["content"], pictures)}
        for message in row["prompt"]
    ]


def _parts(text: str, pictures: Iterator[str]) -> str | list[dict[str, Any]]:
    if MARK not in text:
        return text
    parts: list[dict[str, Any]] = []
    for number, piece in enumerate(text.split(MARK)):
        if number:
            parts.append({"type": "image_url", "image_url": {"url": next(pictures)}})
        if piece:
            parts.append({"type": "text", "text": piece})
    return parts


def _addresses(row: Row) -> Iterator[str]:
    for number, entry in enumerate(row["images"]):
        content = image_of_row(entry)
        if not isinstance(content, bytes):
            raise ConfigError(f"images[{number}]: is a path, not the content of a file")
        try:
            with open_image(content) as image:
                kind = _SENT.get(image.format or "")
                if kind is None:
                    out = io.BytesIO()
                    image.save(out, "PNG")
                    kind, content = "image/png", out.getvalue()
        except UnusableError as error:
            raise ConfigError(f"images[{number}]: {error}") from error
        yield f"data:{kind};base64,{base64.b64encode(content).decode()}"
