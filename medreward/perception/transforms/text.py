"""Text and YAML -> a pipeline. Read by a small grammar; nothing is evaluated.

::

    pipeline:  transform | transform | …          ("" for none)
    transform: Name(value, name=value, …)         (Name alone for the defaults)
    value:     see `medreward.perception.transforms.notation`
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_yaml, read_text
from medreward.perception.transforms import BY_NAME
from medreward.perception.transforms.notation import read
from medreward.perception.transforms.pipeline import Pipeline
from medreward.perception.transforms.transform import Transform

_CALL = re.compile(r"\s*([A-Za-z]+)\s*(?:\((.*)\))?\s*", re.DOTALL)
_NAMED = re.compile(r"\s*([a-z_]+)\s*=(.*)", re.DOTALL)
_LONGEST = 10_000


def parse(text: str) -> Pipeline:
    """Return the pipeline that a text stands for; `str` is the inverse.

    >>> print(parse("Rotate(degrees=-10..10) | Gamma(0.8)"))
    Rotate(degrees=-10..10) | Gamma(gamma=0.8)

    Raises:
        ConfigError: if a transform or parameter is unknown, or a value is not allowed.
    """
    if len(text) > _LONGEST:
        raise ConfigError(f"transforms: {len(text):,} characters; at most {_LONGEST:,}")
    if not text.strip():
        return Pipeline()
    return Pipeline(tuple(_transform(part) for part in _split(text, "|")))


def from_yaml(content: Any) -> Pipeline:
    """Return the pipeline of a YAML document: a text, or a list of transforms.

    An item is a text, or a mapping of one name to its parameters::

        - Flip(p=0.5)
        - Rotate: {degrees: -10..10}

    Raises:
        ConfigError: if it is another thing, and as `parse` does.

    >>> print(from_yaml(["Flip(p=0.5)", {"Rotate": {"degrees": "-10..10"}}]))
    Flip(p=0.5) | Rotate(degrees=-10..10)
    """
    if isinstance(content, str):
        return parse(content)
    if not isinstance(content, list):
        raise ConfigError(
            f"transforms: {quote(content)} is neither a text nor a list of transforms"
        )
    return Pipeline(tuple(_item(f"transforms[{i}]", item) for i, item in enumerate(content)))


def load(text_or_file: str | Path) -> Pipeline:
    """Return the pipeline of a text, or in a YAML file (.yaml or .yml).

    Raises:
        ConfigError: if the file cannot be read, and as `parse` does.

    >>> print(load("Gamma(gamma=0.8..1.25)"))
    Gamma(gamma=0.8..1.25)
    """
    path = Path(text_or_file)
    if path.suffix not in (".yaml", ".yml"):
        return parse(str(text_or_file))
    try:
        return from_yaml(parse_yaml(read_text(path)))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _item(where: str, item: Any) -> Transform:
    if isinstance(item, str):
        return _transform(item)
    if not isinstance(item, Mapping) or len(item) != 1:
        raise ConfigError(f"{where}: {quote(item)} is not Name(…) or a mapping of one name")
    ((name, given),) = item.items()
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"{where}: {quote(given)} is not a mapping of {name}'s parameters")
    values = {key: _yaml_value(value) for key, value in (given or {}).items()}
    return _built(str(name), values)


def _yaml_value(value: Any) -> Any:
    """Return a YAML value; of texts, only ranges and choices are read further."""
    if isinstance(value, str) and (".." in value or "/" in value):
        return read(value)
    return tuple(value) if isinstance(value, list) else value


def _transform(text: str) -> Transform:
    call = _CALL.fullmatch(text)
    if call is None:
        raise ConfigError(f"transforms: {quote(text.strip())} is not Name(parameter=value, …)")
    name, inside = call[1], call[2] or ""
    values: dict[str, Any] = {}
    for number, part in enumerate(_split(inside, ",") if inside.strip() else []):
        named = _NAMED.fullmatch(part)
        key = named[1] if named else _first(name, number)
        if key in values:
            raise ConfigError(f"{name}({key}): given twice")
        try:
            values[key] = read(named[2] if named else part)
        except ConfigError as error:
            raise ConfigError(f"{name}({key}): {error}") from error
    return _built(name, values)


def _built(name: str, values: Mapping[str, Any]) -> Transform:
    kind = _kind(name)
    allowed = [f.name for f in fields(kind)]
    for key in values:
        if key not in allowed:
            raise expected(f"{name}: parameter", key, _parameters(kind))
    for f in fields(kind):
        if f.default is MISSING and f.name not in values:
            raise ConfigError(f"{name}({f.name}): missing")
    return kind(**values)


def _first(name: str, number: int) -> str:
    """Return the parameter of a value without a name, which only the first one can be."""
    if number:
        raise ConfigError(f"{name}: only the first value may come without its parameter's name")
    return _parameters(_kind(name))[0]


def _kind(name: str) -> type[Transform]:
    if name not in BY_NAME:
        raise expected("transform", name, BY_NAME)
    return BY_NAME[name]


def _parameters(kind: type[Transform]) -> list[str]:
    """Return the names of the parameters, p last."""
    return sorted((f.name for f in fields(kind)), key=lambda name: name == "p")


def _split(text: str, mark: str) -> list[str]:
    """Split a text at a mark that is not within quotes or brackets."""
    parts, depth, quoted, start = [], 0, False, 0
    escaped = False
    for i, letter in enumerate(text):
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == mark and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]
