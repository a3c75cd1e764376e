"""What helps a policy to look (PA_π): grounding questions, and transforms of all of a row.

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

if TYPE_CHECKING:
    from medreward.perception.rows import RowTransform
    from medreward.perception.sample import Region, Sample
    from medreward.perception.transforms import ALL
    from medreward.perception.transforms.notation import Choice, Range
    from medreward.perception.transforms.pipeline import Pipeline
    from medreward.perception.transforms.text import from_yaml, load, parse
    from medreward.perception.transforms.transform import Transform

_HOMES = {
    "ALL": "transforms",
    "Choice": "transforms.notation",
    "Pipeline": "transforms.pipeline",
    "Range": "transforms.notation",
    "Region": "sample",
    "RowTransform": "rows",
    "Sample": "sample",
    "Transform": "transforms.transform",
    "from_yaml": "transforms.text",
    "load": "transforms.text",
    "parse": "transforms.text",
}
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
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    transforms = import_module(f"{__name__}.transforms").BY_NAME
    if name in transforms:
        return transforms[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
