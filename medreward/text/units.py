"""Units of measurement: how answers write them, and conversion by pint.

The names are a closed list, so that a word which is no unit is not understood; pint knows how they
relate. "in" for inches is read behind a number only (`medreward.kinds.number`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache

from medreward.errors import ConfigError, expected, quote

_THOUSANDS = re.compile(r"[-+\u2212]?[1-9]\d{0,2},\d{3}")
# Unit -> what pint calls it, and how it is written; singular and plural. Written as in English, and
# in German and Chinese where that differs.
_UNITS: Mapping[str, tuple[str, str]] = {
    "nm": ("nanometer", "nm|nanometer|nanometers|nanometre|nanometres"),
    "µm": ("micrometer", "µm|μm|um|micron|microns|micrometer|micrometers|micrometre|micrometres"),
    "mm": ("millimeter", "mm|mms|millimeter|millimeters|millimetre|millimetres|毫米"),
    "cm": ("centimeter", "cm|cms|centimeter|centimeters|centimetre|centimetres|zentimeter|厘米"),
    "m": ("meter", "m|meter|meters|metre|metres"),
    "in": ("inch", "inch|inches|zoll"),
    "mm2": ("millimeter**2", "mm2|sq mm|square millimeters|square millimetres"),
    "cm2": ("centimeter**2", "cm2|sq cm|square centimeters|square centimetres"),
    "mm3": ("millimeter**3", "mm3|cubic millimeters|cubic millimetres"),
    "ml": ("milliliter", "ml|milliliter|milliliters|millilitre|millilitres|cc|ccm|cm3|毫升"),
    "l": ("liter", "l|liter|liters|litre|litres"),
    "mg": ("milligram", "mg|milligram|milligrams|milligramm"),
    "g": ("gram", "g|gram|grams|gramm"),
    "kg": ("kilogram", "kg|kilogram|kilograms|kilogramm"),
    "ms": ("millisecond", "ms|msec|msecs|millisecond|milliseconds|millisekunden|毫秒"),
    "s": ("second", "s|sec|secs|second|seconds|sekunde|sekunden"),
    "min": ("minute", "min|mins|minute|minutes|minuten"),
    "h": ("hour", "h|hr|hrs|hour|hours|stunde|stunden"),
    "days": ("day", "d|day|days|tag|tage|天"),
    "weeks": ("week", "wk|wks|week|weeks|woche|wochen|周"),
    "months": ("month", "mo|month|months|monat|monate|个月"),
    "years": ("year", "y|yr|yrs|year|years|jahr|jahre|岁"),
    "mmHg": ("mmHg", "mmhg|mm hg"),
    "kPa": ("kilopascal", "kpa"),
    "degrees": ("degree", "deg|degree|degrees|grad|度"),
    "bpm": ("count/minute", "bpm|beats per minute|beats/min|per minute|per min"),
    "D": ("1/meter", "dpt|diopter|diopters|dioptre|dioptres"),
    "HU": ("dimensionless", "hu|hounsfield|hounsfield units"),
    "%": ("percent", "percent|per cent|prozent"),
    "fraction": ("dimensionless", "fraction"),
}
# Units that share a dimension for pint and measure different things.
_ALONE = frozenset(("HU", "bpm", "D"))


def is_ambiguous(number: str) -> bool:
    """Whether the comma of a number may stand between thousands or before a fraction.

    >>> is_ambiguous("1,200"), is_ambiguous("1,2"), is_ambiguous("0,125")
    (True, False, False)
    """
    return _THOUSANDS.fullmatch(number) is not None


@cache
def unit_forms() -> tuple[tuple[str, ...], ...]:
    """Return the spellings of each unit, in the order of `unit_names`."""
    return tuple(tuple(spellings.split("|")) for _, spellings in _UNITS.values())


@cache
def unit_names() -> tuple[str, ...]:
    """Return the names of all units."""
    return tuple(_UNITS)


def unit_of(where: str, text: str) -> str:
    """Return the unit that a text is the name or a spelling of; "" stands for itself.

    Raises:
        ConfigError: if it is none; with the nearest.

    >>> unit_of("unit", "Millimetres"), unit_of("unit", "")
    ('mm', '')
    """
    wanted = " ".join(text.split())
    if not wanted or wanted in _UNITS:
        return wanted
    for name, forms in zip(_UNITS, unit_forms(), strict=True):
        if wanted.lower() in forms or wanted.lower() == name.lower():
            return name
    raise expected(where, text, _known())


def _known() -> Iterable[str]:
    return [*_UNITS, *(form for forms in unit_forms() for form in forms)]


@lru_cache(maxsize=1024)
def factor(unit: str, wanted: str) -> float | None:
    """Return what a number in one unit is multiplied by to be in another; None: it cannot be.

    >>> factor("mm", "cm"), factor("in", "cm"), factor("kg", "cm"), factor("%", "fraction")
    (0.1, 2.54, None, 0.01)
    """
    if unit == wanted:
        return 1.0
    if not unit or not wanted or unit in _ALONE or wanted in _ALONE:
        return None
    registry, mismatch = _registry()
    try:
        converted = registry.Quantity(1.0, _UNITS[unit][0]).to(_UNITS[wanted][0])
    except mismatch:
        return None
    return float(f"{converted.magnitude:.15g}")  # 2.54, not 2.5400000000000005


@cache
def _registry():  # type: ignore[no-untyped-def]
    """Return pint's registry and the error that it raises for units of different dimensions."""
    try:
        import pint  # takes 0.3 s; answers in the target's own unit need no conversion
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"converting units needs {quote(error.name)}: pip install pint"
        ) from error
    return pint.UnitRegistry(), pint.DimensionalityError
