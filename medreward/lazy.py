"""Names of a package that are imported when they are asked for, as PEP 562 has it.

A package's face names what users import from it. If it imported all of that at once, to import one
module of a package would load every other one: `import medreward` would wait for numpy and Pillow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def import_late(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__`.

    Args:
        package: the package's name.
        homes: for each module, the names that the package takes from it, with spaces between.
    """
    modules = {name: module for module, names in homes.items() for name in names.split()}

    def getattribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    return getattribute, lambda: sorted(modules)
