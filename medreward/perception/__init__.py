"""Training a policy to look (PA_π): grounding questions, and transforms of all of a row.

Transforms move image, boxes, masks and words together:

>>> from medreward.perception import parse
>>> pipeline = parse("Flip(p=0.5) | Rotate(degrees=-10..10) | Gamma(gamma=0.8..1.25)")
>>> print(pipeline.draw(seed=0, id="train-3"))
Rotate(degrees=-9.45407) | Gamma(gamma=1.21471)

Names are imported when they are asked for: nothing here loads numpy or Pillow before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medreward.lazy import import_late

if TYPE_CHECKING:
    from medreward.perception.rows import RowTransform
    from medreward.perception.sample import Region, Sample
    from medreward.perception.transforms import ALL
    from medreward.perception.transforms.notation import Choice, Range
    from medreward.perception.transforms.pipeline import Pipeline
    from medreward.perception.transforms.text import from_yaml, load, parse
    from medreward.perception.transforms.transform import Transform

_import, __dir__ = import_late(
    __name__,
    {
        "medreward.perception.rows": "RowTransform",
        "medreward.perception.sample": "Region Sample",
        "medreward.perception.transforms": "ALL",
        "medreward.perception.transforms.notation": "Choice Range",
        "medreward.perception.transforms.pipeline": "Pipeline",
        "medreward.perception.transforms.text": "from_yaml load parse",
        "medreward.perception.transforms.transform": "Transform",
    },
)
__all__ = [
    "ALL",
    "Choice",
    "Pipeline",
    "Range",
    "Region",
    "RowTransform",
    "Sample",
    "Transform",
    "from_yaml",
    "load",
    "parse",
]


def __getattr__(name: str) -> Any:
    """Return a name from its module, or a transform by its name."""
    if name in __all__ or not name[:1].isupper():
        return _import(name)
    transforms = import_module("medreward.perception.transforms").BY_NAME
    return transforms[name] if name in transforms else _import(name)
