"""Functions of a user's own, by the name under which Python finds them or by their file."""

from __future__ import annotations

import importlib.util
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from zlib import crc32

from medreward.errors import ConfigError, expected, quote


def load_function(path: str, what: str, others: str = "") -> Callable[..., Any]:
    """Return the function at "package.module:function", its dotted form or "file.py:function".

    Args:
        path: where it is; the working directory is searched too.
        what: what it is to be, for messages, such as "reward".
        others: what else could be given, for messages.

    Raises:
        ConfigError: if there is no such file, module or function, or it cannot be called. What
            the module itself raises while it is imported comes through.

    >>> load_function("math:sqrt", "judge")(4)
    2.0
    """
    source, _, name = path.rpartition(":")
    try:
        if source.endswith(".py"):
            found: Any = _attribute(_module_at(Path(source)), name, source)
        else:
            if os.getcwd() not in sys.path:
                sys.path.insert(0, os.getcwd())
            found = pkgutil.resolve_name(_dotted(path))
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{what} {quote(path)} cannot be loaded: {error}; give {others}"
            f"'package.module:function' or 'file.py:function'"
        ) from error
    if inspect.isclass(found) or not callable(found):
        raise ConfigError(
            f"{what} {quote(path)}: {quote(found)} is not a function or a callable object"
        )
    return found  # type: ignore[no-any-return]


def _attribute(module: ModuleType, name: str, source: str) -> Any:
    """Return what has a name in a file; the error names the functions that it defines."""
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            own = [
                key
                for key, value in vars(module).items()
                if callable(value) and getattr(value, "__module__", "") == module.__name__
            ]
            raise ImportError(str(expected(source, name, own)))
        found = getattr(found, part)
    return found


def _dotted(path: str) -> str:
    if not all(map(str.isidentifier, path.replace(":", ".", 1).split("."))):
        raise ImportError("this is neither a dotted path nor a file and a function")
    return path


def _module_at(file: Path) -> ModuleType:
    """Return the module in a file, imported once under a name of its own."""
    file = file.resolve()
    name = f"_medreward_reward_{crc32(str(file).encode()):x}"
    if name in sys.modules:
        return sys.modules[name]
    if not file.is_file():
        raise ImportError(f"there is no file {quote(str(file))}")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - for the type checker
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
