"""A client for chat endpoints that follow OpenAI's: one question, one answer, no key anywhere else.

The key goes into one request header. It is in no message, log, file or ``repr``; redirects are
refused, since they would carry it to another place; and it is cut out of whatever a server says.
httpx sends the requests (``pip install 'medreward[judge]'``).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json

Messages = Sequence[Mapping[str, Any]]
_PATH = "/chat/completions"
_LONGEST_PAUSE = 30.0
_MOST_BYTES = 4_000_000
_MOST_SHOWN = 200


_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
_asking: ContextVar[bool] = ContextVar("asking", default=False)


class EndpointError(ConfigError):
    """An endpoint cannot be used, or does not answer as a chat endpoint does."""


class _BusyError(Exception):
    """A request that may succeed later."""

    def __init__(self, text: str, pause: float = 0.0) -> None:
        super().__init__(text)
        self.pause = pause


def key_from(variable: str | None) -> str:
    """Return the key in an environment variable; "" where no variable is named.

    Raises:
        ConfigError: if the variable is not set, or holds what no header can. The message does not
            hold its value.
    """
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"--key-env: the environment variable {quote(variable)} is not set")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"--key-env: {quote(variable)} holds more than one line of plain characters"
        )
    return key


@dataclass(frozen=True)
class Endpoint:
    """A chat endpoint and a model on it.

    Attributes:
        url: its base, such as ``http://localhost:8000/v1``, or the whole address.
        model: the model's name there.
        key: sent as a bearer token; "" for none.
        timeout: seconds for one request; a silent server is given up after as many.
        attempts: how often a request is sent at most, where the server is busy (429), fails (5xx),
            cannot be reached or is too slow.
        pause: seconds before the second attempt; doubled each time, at most 30, or what the server
            asks for up to that.

    Raises:
        ConfigError: if a field is wrong.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    attempts: int = 4
    pause: float = 1.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise ConfigError(f"endpoint: not an address: {error}") from None
        if "@" in parts.netloc:
            raise ConfigError("endpoint: holds a user or password; use --key-env for a key")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"endpoint: {quote(self.url)} is not an http(s) address")
        if not self.model.strip():
            raise ConfigError(f"model: {quote(self.model)} is no name")
        if not 0 < self.timeout <= 3600:
            raise ConfigError(
                f"timeout: {quote(self.timeout)} is not a number of seconds up to 3600"
            )

    def ask(self, messages: Messages) -> str:
        """Return what the model answers.

        Raises:
            EndpointError: if there is no answer, with what the server said.
        """
        message = self.message(messages)
        if not isinstance(message["content"], str):
            raise self._no_answer(json.dumps(message))
        return message["content"]

    def message(self, messages: Messages, **settings: Any) -> Mapping[str, Any]:
        """Return the message that the model answers with: its content, and what else is in it.

        Args:
            messages: the conversation.
            **settings: further fields of the request, such as ``temperature``.

        Raises:
            EndpointError: if there is none, with what the server said.
        """
        request = {"model": self.model, "messages": list(messages), **settings}
        asking = _asking.set(True)
        try:
            return self._ask(json.dumps(request).encode())
        finally:
            _asking.reset(asking)

    def _ask(self, body: bytes) -> Mapping[str, Any]:
        said, pause = "", self.pause
        for attempt in range(1, self.attempts + 1):
            try:
                return self._message(self._post(body))
            except _BusyError as error:
                said = str(error)
                if attempt < self.attempts:
                    time.sleep(min(max(pause, error.pause), _LONGEST_PAUSE))
                    pause *= 2
        raise EndpointError(f"{self._shown}: {said} (tried {self.attempts} times)")

    @property
    def _address(self) -> str:
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/")
        return urlunsplit(parts._replace(path=path if path.endswith(_PATH) else path + _PATH))

    @property
    def _shown(self) -> str:
        """The address for messages, without a query, which could hold a secret."""
        return self.clean(urlunsplit(urlsplit(self._address)._replace(query="", fragment="")))

    def _post(self, body: bytes) -> str:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        httpx = _httpx()
        end = time.monotonic() + self.timeout
        request = {"content": body, "headers": headers, "timeout": self.timeout}
        try:
            with httpx.stream("POST", self._address, follow_redirects=False, **request) as got:
                if not got.is_success:
                    raise self._refused(got, end)
                return self._read(got, end)
        except (httpx.TimeoutException, TimeoutError):
            raise _BusyError(f"no answer within {self.timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            said = self.clean(str(error)) or type(error).__name__
            raise _BusyError(f"cannot be reached: {said}") from None

    def _read(self, response: Any, end: float) -> str:
        """Return a body, which may come in drops, within the time that is left."""
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > _MOST_BYTES:
                raise EndpointError(f"{self._shown}: the answer has more than {_MOST_BYTES} bytes")
            if time.monotonic() > end:
                raise TimeoutError
        return self.clean(b"".join(chunks).decode("utf-8", "replace"))

    def _refused(self, response: Any, end: float) -> Exception:
        code = response.status_code
        if 300 <= code < 400:
            where = urlsplit(self.clean(response.headers.get("Location", ""))).netloc or "elsewhere"
            return EndpointError(
                f"{self._shown}: it redirects to {where}, which is not followed, as the key would "
                f"go there too; give that address as the endpoint"
            )
        try:
            text = " ".join(self._read(response, end).split())[:_MOST_SHOWN]
        except (_httpx().HTTPError, TimeoutError):
            text = ""
        said = f"HTTP {code}" + (f": {text}" if text else "")
        if code == 429 or code >= 500:
            return _BusyError(said, _seconds(response.headers.get("Retry-After")))
        return EndpointError(f"{self._shown}: {said}")

    def _message(self, text: str) -> Mapping[str, Any]:
        try:
            message = parse_json(text)["choices"][0]["message"]
        except (ValueError, LookupError, TypeError):
            message = None
        if not isinstance(message, Mapping) or "content" not in message:
            raise self._no_answer(text)
        return message

    def _no_answer(self, text: str) -> EndpointError:
        shown = " ".join(text.split())[:_MOST_SHOWN]
        return EndpointError(
            f"{self._shown}: not the answer of a chat endpoint: {quote(self.clean(shown))}"
        )

    def clean(self, text: str) -> str:
        """Return a text without the key."""
        return text.replace(self.key, "[key]") if self.key else text


def _httpx() -> Any:
    try:
        import httpx  # when a request is sent: scoring needs none
    except ModuleNotFoundError as error:
        raise EndpointError(
            "asking a chat endpoint needs httpx: pip install 'medreward[judge]' brings it"
        ) from error
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_safe)  # once: the same filter is not added twice
    return httpx


def _is_safe(record: logging.LogRecord) -> bool:
    """Whether a line of httpx's log may be written: those of our requests show a server's headers.

    A server may repeat the key in them.
    """
    return not _asking.get()


def _seconds(value: str | None) -> float:
    """Return the seconds in a Retry-After header; 0 for a date or nothing."""
    return float(value) if value and value.strip().isdecimal() else 0.0
