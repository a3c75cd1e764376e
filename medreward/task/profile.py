"""Model profiles: what of rows and rewards depends on the model, as data.

A profile says in which format a model's completions are and in which frame it gives coordinates.
Prompts, rows and rewards take both from there, so that none of them can differ::

    name: my_model            # of a file of a user's own; shipped ones are named by their files
    about: what it is
    models: ["*My-Model*"]    # its names, with * for anything
    model_types: [my_model]   # of its config.json
    completion_format: prefilled_think
    frame: resized
    factor: 28                # of a Qwen processor: patch size times merge size
    min_pixels: 3136          # for the frame resized, where they are not given to `prepare`
    max_pixels: 1003520
    sources: {frame: where that stands}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medreward import checks
from medreward.errors import ConfigError, expected, quote
from medreward.files.reading import parse_yaml, read_text
from medreward.geometry.frames import FRAMES
from medreward.task.completion_format import check_format

if TYPE_CHECKING:
    from medreward.task.task import Task

_FIELDS = (
    *("name", "about", "models", "model_types", "completion_format", "frame"),
    *("factor", "min_pixels", "max_pixels", "sources"),
)
_SOURCED = ("completion_format", "frame", "factor", "min_pixels", "max_pixels")


@dataclass(frozen=True)
class ModelProfile:
    """What depends on the model.

    Attributes:
        name: its name.
        about: the models it is for.
        models: patterns of their names.
        model_types: the ``model_type`` of their config.json.
        completion_format: the format of their completions; "": it says nothing of that.
        frame: the frame of their coordinates, out of `FRAMES`; "": it says nothing of that.
        factor: of a Qwen processor, patch size times merge size; None: not known.
        min_pixels: its least number of pixels.
        max_pixels: its largest.
        sources: where each of these stands.

    >>> profile = load_profile("qwen2_5_vl")
    >>> profile.completion_format, profile.frame, profile.factor
    ('think_answer', 'resized', 28)
    """

    name: str
    about: str = ""
    models: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    completion_format: str = ""
    frame: str = ""
    factor: int | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    def settings(self, task: Task) -> dict[str, str]:
        """Return the reward settings that it stands for, as far as they shape the task's rewards.

        >>> from medreward.task.task import Task
        >>> load_profile("qwen3_vl_thinking").settings(Task.load("pneumoniamnist"))
        {'completion_format': 'prefilled_think'}
        """
        given = {"completion_format": self.completion_format}
        given |= {"frame": self.frame} if task.has_places and not task.fields else {}
        return {name: value for name, value in given.items() if value}

    def apply(self, task: Task) -> Task:
        """Return a task whose reward has the profile's settings, in a field with places too.

        Settings that the card itself has changed are not overridden.

        Raises:
            ConfigError: if the card has another completion format or frame.
        """
        changes = self.settings(task)
        for name, value in changes.items():
            own = getattr(task.reward, name)
            if own not in (value, _default(name)):
                raise ConfigError(
                    f"model profile {self.name}: {name} is {quote(value)}, and that of the card "
                    f"{quote(task.name)} {quote(own)}; take {name} out of the card, or another "
                    f"profile"
                )
        place = task.place_field
        if place is not None and self.frame:
            own = task.fields[place].reward.frame
            if own not in (self.frame, _default("frame")):
                raise ConfigError(
                    f"model profile {self.name}: frame is {quote(self.frame)}, and that of the "
                    f"field {quote(place)} of the card {quote(task.name)} {quote(own)}; take frame "
                    f"out of the field, or another profile"
                )
            placed = replace(
                task.fields[place], reward=task.fields[place].reward.updated({"frame": self.frame})
            )
            task = replace(task, fields={**task.fields, place: placed})
        return replace(task, reward=task.reward.updated(changes))


def _default(name: str) -> Any:
    from medreward.task.settings import RewardSettings

    return getattr(RewardSettings(), name)


@cache
def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles."""
    found = files("medreward").joinpath("profiles").iterdir()
    return tuple(sorted(one.name[:-5] for one in found if one.name.endswith(".yaml")))


def load_profile(name: str | Path) -> ModelProfile:
    """Return the shipped profile of that name, or the one in a YAML file.

    Raises:
        ConfigError: if there is none, or a field is not allowed.
    """
    if isinstance(name, str) and name in profile_names():
        return _shipped(name)
    if isinstance(name, str | Path) and Path(name).suffix in (".yaml", ".yml"):
        return _read(read_text(name, what="model profile"), f"model profile {name}", None)
    raise expected("model_profile", name, profile_names())


@cache
def _shipped(name: str) -> ModelProfile:
    text = files("medreward").joinpath("profiles", f"{name}.yaml").read_text(encoding="utf-8")
    return _read(text, f"model profile {name}", name)


def _read(text: str, where: str, name: str | None) -> ModelProfile:
    given = checks.mapping(where, parse_yaml(text), _FIELDS)
    found: dict[str, Any] = {
        "name": name or checks.text(f"{where}: name", given.get("name")),
        "about": checks.text(f"{where}: about", given.get("about", ""), empty=True),
        "sources": checks.mapping(f"{where}: sources", given.get("sources", {}), _SOURCED),
    }
    for key in ("models", "model_types"):
        found[key] = checks.texts(f"{where}: {key}", given.get(key, []))
    for key in ("factor", "min_pixels", "max_pixels"):
        value = given.get(key)
        found[key] = None if value is None else checks.whole(f"{where}: {key}", value, 1)
    try:
        wanted = given.get("completion_format", "")
        found["completion_format"] = check_format(wanted) if wanted else ""
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    frame = given.get("frame", "")
    if frame and frame not in tuple(FRAMES):
        raise expected(f"{where}: frame", frame, FRAMES)
    return ModelProfile(**found, frame=frame)


def profiles_for(name: str, model_type: str = "") -> list[ModelProfile]:
    """Return the shipped profiles for a model: by its name, or else by its type.

    >>> [profile.name for profile in profiles_for("Qwen/Qwen3-VL-4B-Thinking")]
    ['qwen3_vl_thinking']
    """
    shipped = [_shipped(one) for one in profile_names()]
    by_name = [one for one in shipped if any(fnmatch(name, pattern) for pattern in one.models)]
    return by_name or [one for one in shipped if model_type and model_type in one.model_types]
