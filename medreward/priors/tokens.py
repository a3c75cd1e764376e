"""Counting tokens with whatever tokenizer a user has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError, quote
from medreward.files.reading import parse_json, read_text


def count_tokens(tokenizer: Any, text: str) -> int:
    """Return how many tokens a text has, without special tokens.

    Args:
        tokenizer: a tokenizer or processor of transformers, one of ``tokenizers``, tiktoken or
            sentencepiece, or any function of a text that returns its tokens.
        text: the text.

    Raises:
        ConfigError: if `tokenizer` is none of these.

    >>> count_tokens(str.split, "three short words")
    3
    """
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)  # a processor has one
    tokens = _tokens(tokenizer, text)
    if isinstance(tokens, Mapping) or hasattr(tokens, "input_ids"):
        tokens = tokens["input_ids"]
    try:
        return len(tokens)
    except TypeError:
        raise ConfigError(f"tokenizer: {tokenizer!r} returns {tokens!r}, not tokens") from None


def _tokens(tokenizer: Any, text: str) -> Any:
    if not hasattr(tokenizer, "encode"):
        if not callable(tokenizer):
            raise ConfigError(f"tokenizer: {quote(tokenizer)} has no encode() and cannot be called")
        return tokenizer(text)
    try:
        return tokenizer.encode(text, add_special_tokens=False)
    except TypeError:  # tiktoken and sentencepiece have no such argument and add none
        return tokenizer.encode(text)


def load_tokenizer(name: str | Path) -> Any:
    """Return the tokenizer of a model: a Hugging Face name, a local folder or a tokenizer.json.

    Raises:
        ConfigError: if it cannot be loaded, or the library that reads it is not installed.
    """
    try:
        if str(name).endswith(".json"):
            return _from_file(Path(name))
        from transformers import AutoTokenizer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--tokenizer needs {error.name}: pip install 'medreward[trl]' brings it"
        ) from error
    try:
        return AutoTokenizer.from_pretrained(str(name))
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(f"tokenizer {quote(str(name))} cannot be loaded: {reason}") from error


def _from_file(path: Path) -> Any:
    from tokenizers import Tokenizer

    text = read_text(path, what="tokenizer")
    try:
        content = parse_json(text)
    except ConfigError as error:
        raise ConfigError(f"tokenizer {quote(str(path))}: {error}") from error
    if not isinstance(content, dict) or "model" not in content:
        raise ConfigError(f"tokenizer {quote(str(path))}: has no field 'model', as tokenizers have")
    return Tokenizer.from_str(text)
