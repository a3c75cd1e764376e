"""Files and texts from outside -> values, within limits: the only reader of JSON, YAML and text.

A file of 500 bytes may stand for a billion values (YAML aliases), hold itself, or be nested so
deeply that Python's stack ends. Each of these is a :class:`medreward.errors.ConfigError` here, so
that no other module has to think of them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from medreward.errors import ConfigError, quote

_LINE = 80  # characters of a faulty line that are shown
MAX_DEPTH = 100
# A card of 300 labels has some 10,000 values, a case file of 5,000 cases some 100,000.
MAX_ALIASED = 1_000_000
_MOST_DIGITS = 309  # no float has more before its point


def read_text(path: str | Path, encoding: str = "utf-8", *, what: str = "") -> str:
    """Return the text of a file; "utf-8-sig" leaves a byte order mark out.

    `what` says in errors what the file is, such as "task card".

    Raises:
        ConfigError: if it cannot be read or is not UTF-8.
    """
    where = f"{what} {str(path)!r}" if what else f"{path}:"
    return decode_text(read_bytes(path, where), where, encoding)


def read_bytes(path: str | Path, where: str = "") -> bytes:
    """Return what is in a file; raises `ConfigError` if it cannot be read."""
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{where or f'{path}:'} cannot be read: {reason}") from error


def file_digest(path: str | Path) -> bytes:
    """Return the SHA-256 of what is in a file, some of it at a time.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not empty, with their numbers from 1.

    Raises:
        ConfigError: if it cannot be read or is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, decode_text(line, f"{path}, line {number}:")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error


def decode_text(content: bytes, where: str, encoding: str = "utf-8") -> str:
    r"""Return the text of bytes, with \n at the ends of lines, as Python's text files have it.

    Raises:
        ConfigError: if they are not UTF-8.
    """
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{where} cannot be read: byte 0x{content[error.start]:02x} is not "
            f"UTF-8; save the file as UTF-8"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str, *, finite: bool = True) -> Any:
    """Return what a JSON text holds.

    Args:
        text: the JSON.
        finite: whether NaN, Infinity and numbers too large for a float are errors; traces, which
            trainers write, may hold them.

    Raises:
        ConfigError: if it is not JSON, nested more than 100 deep, has a key twice in an object or,
            where they are errors, numbers that are not finite.

    >>> parse_json('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    """
    numbers: dict[str, Any] = (
        {"parse_constant": _refuse_constant, "parse_float": _float} if finite else {}
    )
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_int=_int, **numbers)
    except RecursionError as error:
        raise ConfigError(f"not JSON: nested more than {MAX_DEPTH} deep") from error
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"not JSON: {error}") from error
    _check_depth(value)
    return value


def parse_yaml(text: str) -> Any:
    """Return what a YAML text holds: mappings, lists, texts, numbers, dates.

    Raises:
        ConfigError: if it is not YAML, nested more than 100 deep, holds itself, has a key twice in
            a mapping, a number too large for a float, or aliases that stand for too many values.

    >>> parse_yaml("a: [1, 2.5]")
    {'a': [1, 2.5]}
    """
    return parse_yaml_nodes(text)[0]


def parse_yaml_nodes(text: str) -> tuple[Any, Any]:
    """Return what a YAML text holds, and PyYAML's node of it (None if empty), which has lines."""
    import yaml

    try:
        loader = _loader()(text)
        node = loader.get_single_node()
        if node is None:
            return None, None
        _check_nodes(node, loader)
        return loader.construct_document(node), node
    except RecursionError as error:
        raise ConfigError("the YAML is nested too deeply") from error
    except ConfigError:
        raise
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_yaml_fault(text, error)) from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        # ValueError: such as a date without a day
        raise ConfigError(" ".join(str(error).split())) from error


def _yaml_fault(text: str, error: Any) -> str:
    """Return where a text is no YAML, its line, and what to write instead."""
    problem = " ".join(str(error.problem or error).split())
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return problem
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    shown = f": {quote(line.strip()[:_LINE])}" if line.strip() else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{shown}; {_yaml_mend(line)}"


def _yaml_mend(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return "it begins with a tab: indent with spaces"
    if ": " in line.partition(": ")[2]:
        return 'a text with a colon in it goes in quotes, as in question: "Which: a or b?"'
    return (
        "a text with one of : # [ ] { } , & * ! | > % @ or a quote in it goes in quotes, and lines "
        "of one list or mapping are indented alike, with spaces"
    )


@cache
def _loader() -> Any:
    """Return the class that reads YAML; made when first used, as PyYAML is imported late."""
    import yaml

    class StrictLoader(yaml.SafeLoader):
        """A safe loader that refuses numbers that no float holds."""

        def construct_yaml_int(self, node: Any) -> int:
            return _int(str(node.value), super().construct_yaml_int(node))

    StrictLoader.add_constructor("tag:yaml.org,2002:int", StrictLoader.construct_yaml_int)
    return StrictLoader


def _check_nodes(node: Any, loader: Any) -> None:
    """Raise `ConfigError` if a node holds itself, is too deep, too large or has a key twice.

    Before anything is constructed, as merging mappings (<<) may double them at each level.
    """
    sizes: dict[int, int | None] = {}  # None: its children are being counted

    def count(node: Any, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise ConfigError(f"the YAML is nested too deeply: more than {MAX_DEPTH} levels")
        if isinstance(node.value, str):
            return 1
        line = node.start_mark.line + 1
        if id(node) in sizes:
            size = sizes[id(node)]
            if size is None:
                raise ConfigError(f"line {line}: the value holds itself (by an alias, *name)")
            return size
        sizes[id(node)] = None
        children = node.value
        if node.id == "mapping":
            _check_keys(node, loader)
            children = [child for pair in node.value for child in pair]
        size = 1 + sum(count(child, depth + 1) for child in children)
        if size > max(MAX_ALIASED, len(node.value)):
            raise ConfigError(
                f"line {line}: the aliases (*name) stand for more than {MAX_ALIASED:,} values; "
                f"write out what is meant"
            )
        sizes[id(node)] = size
        return size

    count(node, 1)


def _check_keys(node: Any, loader: Any) -> None:
    """Raise `ConfigError` if a mapping has a key twice, of which PyYAML would keep the last."""
    seen = set()
    for key_node, _ in node.value:
        if key_node.id != "scalar" or key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node)
        if key in seen:
            line = node.start_mark.line + 1
            raise ConfigError(f"the key {quote(key)} is given twice in the mapping at line {line}")
        seen.add(key)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ConfigError(f"the key {quote(twice)} is given twice in an object")
    return found


def _int(text: str, value: int | None = None) -> int:
    if len(text) > _MOST_DIGITS:
        raise ConfigError(f"the number {quote(text)} has {len(text)} digits; none so large is read")
    return int(text) if value is None else value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ConfigError(f"the number {quote(text)} is too large")
    return value


def _refuse_constant(text: str) -> float:
    raise ConfigError(f"{text} is not a finite number")


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for holder in level
            for child in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(child, list | dict)
        ]
        if not level:
            return
    raise ConfigError(f"not JSON: nested more than {MAX_DEPTH} deep")
