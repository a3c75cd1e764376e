"""The error that a wrong configuration raises, and how it names what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rapidfuzz import process

_MOST_SHOWN = 40
_LONGEST = 200
_DEEPEST = 40


class ConfigError(ValueError):
    """A task, a setting or a target is wrong: the message names it, its value and what is allowed.

    Model output never raises it: whatever a model writes has a score and a reason.

    >>> from medreward import Task
    >>> Task("eye", labels=["a", "b"], reward={"decay": "linar"})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    medreward.errors.ConfigError: decay: 'linar' is not one of ...; did you mean 'linear'?
    """


def expected(what: str, value: object, allowed: Iterable[str]) -> ConfigError:
    """Return the error for a `value` that is not among the `allowed` ones, naming the nearest.

    >>> print(expected("decay", "linar", ["geometric", "linear"]))
    decay: 'linar' is not one of geometric, linear; did you mean 'linear'?
    """
    names = list(allowed)
    nearest = process.extractOne(
        value[:_LONGEST] if isinstance(value, str) else quote(value), names, score_cutoff=60
    )
    shown = ", ".join(names) or "(none)"
    if len(names) > _MOST_SHOWN and nearest:
        shown = f"the {len(names)} known names"
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return ConfigError(f"{what}: {quote(value)} is not one of {shown}{hint}")


def quote(value: object, most: int = _LONGEST) -> str:
    """Return `repr(value)` for a message, cut after `most` characters.

    The text is built piece by piece and only as far as it is shown: a value that holds itself, or
    lists of the same list that stand for a billion items, cost no more than others.

    >>> quote(["pneumonia", 1])
    "['pneumonia', 1]"
    >>> quote("x" * 500, most=5)
    "'xxx…"
    """
    pieces, size = [], 0
    for piece in _pieces(value, most, 0):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            return "".join(pieces)[: most - 1] + "…"
    return "".join(pieces)


def _pieces(value: object, most: int, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        yield "…"
    elif type(value) is dict:
        items = ((key, ": ", item) for key, item in value.items())
        yield from _items("{", items, "}", most, depth)
    elif type(value) is list:
        yield from _items("[", ((item,) for item in value), "]", most, depth)
    elif type(value) is tuple:
        end = ",)" if len(value) == 1 else ")"
        yield from _items("(", ((item,) for item in value), end, most, depth)
    else:
        yield _short(value, most)


def _items(
    start: str, items: Iterable[tuple[object, ...]], end: str, most: int, depth: int
) -> Iterator[str]:
    yield start
    for number, parts in enumerate(items):
        if number:
            yield ", "
        yield from _pieces(parts[0], most, depth + 1)
        if len(parts) == 3:
            yield ": "
            yield from _pieces(parts[2], most, depth + 1)
    yield end


def _short(value: object, most: int) -> str:
    if isinstance(value, int) and value.bit_length() > 4 * most:
        return f"<a number of {value.bit_length()} bits>"
    if type(value) in (str, bytes):
        return repr(value[: most + 1])  # type: ignore[index]
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a message about a value must not fail with it
        return f"<{type(value).__name__}>"
