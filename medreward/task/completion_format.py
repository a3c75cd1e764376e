"""The setting `completion_format`: the name of a format, or a description of a user's own.

A description is a mapping, in a card or as a Python value, or a YAML file of one::

    name: reason_final
    reasoning: {open: "<reason>", close: "</reason>", opened_by: model}   # null: no reasoning
    answer: {open: "Final answer:", close: ""}     # no close: to the end of the completion
    silent: ["Conclusion:"]                        # may stand outside of the two, and says nothing
    end_tokens: ["<|stop|>"]                       # dropped at the end, beside the usual ones
    instruction: "Reason inside <reason> </reason>, then write Final answer: and {answer}."

It is kept as JSON, so that settings can be hashed, compared and pickled, and every process that
has the settings has the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from medreward import checks
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_json, parse_yaml, read_text
from medreward.text.formats.described import OPENED_BY, DescribedFormat
from medreward.text.formats.registry import format_names, format_of

_FIELDS = ("name", "about", "reasoning", "answer", "silent", "end_tokens", "instruction")
_MARKS = ("open", "close", "opened_by")
_LONGEST = 60
_DEFAULTS = {f.name: f.default for f in fields(DescribedFormat) if f.default is not MISSING}


def check_format(value: object) -> str:
    """Return the setting as it is kept: a name, or JSON for a user's own format.

    Args:
        value: a name, a mapping, the path of a YAML file, or what this function returned.

    Raises:
        ConfigError: if there is no such format, or a description is not allowed.

    >>> check_format("boxed")
    'boxed'
    >>> kept = check_format({"name": "final", "answer": {"open": "<final>", "close": "</final>"}})
    >>> format_of(kept).write("Hm.", "2"), format_signature(kept)
    ('<think>Hm.</think><final>2</final>', 'final-a5a65308')
    """
    where = "completion_format"
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith((".yaml", ".yml"))):
        where = f"{where}: {value}"
        value = parse_yaml(read_text(value, what="completion format"))
    elif isinstance(value, str) and value.startswith("{"):
        value = parse_json(value)
        # What was kept has the attributes of the format; it is checked as a description again.
        value = _description(value) if isinstance(value, Mapping) else value
    if isinstance(value, str):
        format_of(value)  # raises if there is none
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{where}: {quote(value)} is neither a name ({', '.join(format_names())}) nor a "
            f"mapping that describes a format"
        )
    return _kept(where, value)


def format_signature(value: str) -> str:
    """Return what a signature calls a format: its name, and of a user's own a digest too."""
    if not value.startswith("{"):
        return value
    return f"{format_of(value).name}-{sha256(value.encode()).hexdigest()[:8]}"


def _kept(where: str, value: Mapping[Any, Any]) -> str:
    given = checks.mapping(where, value, _FIELDS)
    name = checks.text(f"{where}: name", given.get("name"))
    if not name.isidentifier():
        raise ConfigError(
            f"{where}: name: {quote(name)} is not made of letters, digits and underscores"
        )
    if name in format_names():
        raise ConfigError(f"{where}: name: {quote(name)} is a format that is there already")
    found: dict[str, Any] = {"name": name}
    for field in ("about", "instruction"):
        found[field] = checks.text(f"{where}: {field}", given.get(field, ""), empty=True)
    found |= _reasoning(f"{where}: reasoning", given.get("reasoning", {}))
    found["answer"] = _answer(f"{where}: answer", given.get("answer", {}), found["reasoning"])
    for field in ("silent", "end_tokens"):
        found[field] = checks.texts(f"{where}: {field}", given.get(field, []))
    _check_marks(where, found)
    if found["instruction"] and "{answer}" not in found["instruction"]:
        raise ConfigError(
            f"{where}: instruction: {quote(found['instruction'])} has no {{answer}}, in place of "
            f"which a prompt says what is to be answered"
        )
    changed = {k: v for k, v in found.items() if k == "name" or v != _DEFAULTS[k]}
    return json.dumps(changed, sort_keys=True, ensure_ascii=False)


def _reasoning(where: str, value: object) -> dict[str, Any]:
    if value is None:
        return {"reasoning": None, "opened_by": _DEFAULTS["opened_by"]}
    given = checks.mapping(where, value, _MARKS)
    marks = tuple(
        checks.text(f"{where}.{end}", given.get(end, default))
        for end, default in zip(_MARKS[:2], _DEFAULTS["reasoning"], strict=True)
    )
    opened_by = given.get("opened_by", _DEFAULTS["opened_by"])
    if opened_by not in tuple(OPENED_BY):
        raise expected(f"{where}.opened_by", opened_by, OPENED_BY)
    return {"reasoning": marks, "opened_by": opened_by}


def _answer(where: str, value: object, reasoning: object) -> tuple[str, str]:
    given = checks.mapping(where, value, _MARKS[:2])
    opening, closing = (
        checks.text(f"{where}.{end}", given.get(end, default), empty=True)
        for end, default in zip(_MARKS[:2], _DEFAULTS["answer"], strict=True)
    )
    if closing and not opening:
        raise ConfigError(f"{where}: close is {quote(closing)} and open is empty; leave out both")
    if reasoning is None and opening and not closing:
        raise ConfigError(
            f"{where}: open {quote(opening)} without close, where there is no reasoning before it; "
            f"give both, or leave out both"
        )
    return opening, closing


def _check_marks(where: str, found: Mapping[str, Any]) -> None:
    """Refuse marks that could not be told apart, or that are in the way of others."""
    marks = [mark for mark in (*(found["reasoning"] or ()), *found["answer"]) if mark]
    texts = [*marks, *found["silent"], *found["end_tokens"]]
    for text in texts:
        if text != text.strip() or len(text) > _LONGEST or "\n" in text:
            raise ConfigError(
                f"{where}: {quote(text)}: a mark is one line of at most {_LONGEST} characters "
                f"without white space around it"
            )
    for mark in marks:
        if not any(not (c.isalnum() or c.isspace()) for c in mark):
            raise ConfigError(
                f"{where}: {quote(mark)}: a mark has a sign in it, such as '<', '#' or ':', since "
                f"plain words are in any reasoning too"
            )
    folded = [text.lower() for text in texts]
    for i, one in enumerate(folded):
        for j, other in enumerate(folded):
            if i != j and one in other:
                raise ConfigError(
                    f"{where}: {quote(texts[i])} is a part of {quote(texts[j])}, so that the two "
                    f"cannot be told apart"
                )


def _description(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of what `check_format` returned."""
    found = dict(kept)
    opened_by = found.pop("opened_by", None)
    for name in ("reasoning", "answer"):
        if isinstance(found.get(name), list):
            found[name] = dict(zip(_MARKS, found[name], strict=False))
    if opened_by is not None and isinstance(found.get("reasoning", {}), dict):
        found["reasoning"] = {**found.get("reasoning", {}), "opened_by": opened_by}
    return found
