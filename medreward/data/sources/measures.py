"""A number with its unit and tolerance in columns of their own: ``answer,unit,tolerance``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from medreward.data.sources.record import Remark
from medreward.errors import ConfigError, quote
from medreward.text.units import is_ambiguous

MEASURES = ("unit", "tolerance", "relative")
_NUMBER = re.compile(r"(?P<value>[-+]?\d+(?:[.,]\d+)?)\s*(?P<unit>\D*)")


def say_measures(where: str, names: Iterable[str]) -> list[Remark]:
    """Return the remark on columns that belong to a number, where there are some."""
    shown = ", ".join(names)
    return [Remark(where, "its columns belong to the number that is right", shown)] * bool(shown)


def measured(answer: Any, measures: Mapping[str, Any]) -> Any:
    """Return a number with its unit and tolerance; what is no number as it is, to be refused later.

    Raises:
        ConfigError: if the answer has another unit than its column, or a tolerance is no number.

    >>> measured("3,2", {"unit": "cm", "tolerance": "0.1"})
    {'value': 3.2, 'unit': 'cm', 'tolerance': 0.1}
    """
    found = _NUMBER.fullmatch(str(answer).strip())
    texts = {name: "" if v is None else str(v).strip() for name, v in measures.items()}
    given = {name: text for name, text in texts.items() if text}
    if found is None or not given or is_ambiguous(found["value"]):
        return answer
    unit = given.pop("unit", found["unit"])
    if found["unit"] not in ("", unit):
        raise ConfigError(f"the answer {quote(answer)} and the column unit ({quote(unit)}) differ")
    try:
        others = {name: float(text.replace(",", ".")) for name, text in given.items()}
    except ValueError:
        raise ConfigError(f"{', '.join(given)}: {quote(given)} are not numbers") from None
    value = float(found["value"].replace(",", "."))
    return {"value": value, **({"unit": unit} if unit else {}), **others}
