"""A model behind a chat endpoint that answers rows: vLLM, SGLang, `transformers serve`, others."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from medreward.data.image_file import image_of_row, open_image
from medreward.errors import quote
from medreward.files.chat import Endpoint, EndpointError
from medreward.priors.template import message_parts
from medreward.runs.generation import Sampling, row_seed

# Where servers put the reasoning that they take out of a completion.
_TAKEN_OUT = ("reasoning_content", "reasoning")


class EndpointModel:
    """A vision-language model behind a chat endpoint.

    Each completion is a request of its own, since not all servers can be asked for several; all
    those of `complete` are sent at once. The images of a row go along as PNG.

    Args:
        endpoint: the endpoint, and the model's name there.
        max_new_tokens: the most tokens of a completion.
    """

    def __init__(self, endpoint: Endpoint, max_new_tokens: int) -> None:
        self.endpoint = endpoint
        self.max_new_tokens = max_new_tokens

    @property
    def name(self) -> str:
        """The model's name."""
        return self.endpoint.model

    def complete(self, rows: Sequence[Mapping[str, Any]], sampling: Sampling) -> Iterator[str]:
        """Yield the completions of rows, those of one row together.

        Raises:
            EndpointError: if the endpoint does not answer, or takes the reasoning out.
        """
        asked = [
            (messages, _chance(row, draw, sampling))
            for row in rows
            for messages in [_messages(row)]
            for draw in range(sampling.draws)
        ]
        with ThreadPoolExecutor(len(asked)) as pool:
            yield from pool.map(lambda one: self._ask(*one), asked)

    def _ask(self, messages: list[dict[str, Any]], chance: Mapping[str, Any]) -> str:
        message = self.endpoint.message(messages, max_tokens=self.max_new_tokens, **chance)
        for name in _TAKEN_OUT:
            if message.get(name):
                raise EndpointError(
                    f"{self.endpoint.model}: the server takes the reasoning out of the completion "
                    f"({name}: {quote(str(message[name])[:40])}), so that the format cannot be "
                    f"scored; start it without a reasoning parser (vLLM: --reasoning-parser)"
                )
        content = message["content"]
        if not isinstance(content, str):
            raise EndpointError(f"{self.endpoint.model}: content: {quote(content)} is not a text")
        return content


def _chance(row: Mapping[str, Any], draw: int, sampling: Sampling) -> dict[str, Any]:
    if sampling.draws == 1:
        return {"temperature": 0.0}
    seed = row_seed(sampling.seed, f"{row['extra_info']['id']} {draw}")
    # Servers take 32 bits, or 64 with a sign.
    return {"temperature": sampling.temperature, "top_p": 1.0, "seed": seed % 2**31}


def _messages(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row's prompt with its images in their places."""
    images = iter(row["images"] or [])
    return [
        {
            "role": one["role"],
            "content": [
                _image_part(next(images)) if part["type"] == "image" else part
                for part in message_parts(str(one["content"]))
            ],
        }
        for one in row["prompt"]
    ]


def _image_part(entry: Any) -> dict[str, Any]:
    png = BytesIO()
    with open_image(image_of_row(entry)) as image:
        image.convert("RGB").save(png, "PNG")
    url = f"data:image/png;base64,{b64encode(png.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}
