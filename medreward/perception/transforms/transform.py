"""What all transforms share: parameters that are checked, drawn, printed and compared."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from random import Random
from typing import Self

from medreward.errors import ConfigError
from medreward.perception.sample import Sample
from medreward.perception.transforms.notation import shown
from medreward.perception.transforms.parameter import ParameterKind, is_fixed, kind_of
from medreward.task.laterality import Mirror


@dataclass(frozen=True)
class Transform:
    """A change of a sample, as a value: two with the same parameters are equal and print the same.

    A parameter may be a `Range` or a `Choice`; `draw` fixes it. Only a fixed transform can be
    applied.

    Attributes:
        p: the probability that `draw` gives it at all; keyword only.

    Raises:
        ConfigError: if a parameter is not allowed.

    >>> from medreward.perception import Flip, Gamma
    >>> print(Gamma(gamma=0.8))
    Gamma(gamma=0.8)
    >>> Flip() == Flip()
    True
    """

    p: float = field(
        default=1.0, kw_only=True, metadata={"kind": ParameterKind(0.0, 1.0, fixed=True)}
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            where = f"{type(self).__name__}({f.name})"
            object.__setattr__(self, f.name, kind_of(f).check(where, getattr(self, f.name)))

    @property
    def is_fixed(self) -> bool:
        """Whether nothing is left to draw."""
        return self.p == 1.0 and all(is_fixed(getattr(self, f.name)) for f in fields(self))

    @property
    def mirrors(self) -> tuple[Mirror, ...] | None:
        """The flips that it amounts to, whatever is drawn.

        None: it may turn the image on its side, which no rewriting of words follows.
        """
        return ()

    @property
    def cuts(self) -> bool:
        """Whether a part of the image may be lost."""
        return False

    @property
    def reveals(self) -> str:
        """Why it gives the answer away where regions are to be found; "": it does not."""
        return ""

    def draw(self, random: Random) -> Self | None:
        """Return the transform with its parameters fixed, or None if it is not applied."""
        if random.random() >= self.p:
            return None
        values = {f.name: kind_of(f).draw(getattr(self, f.name), random) for f in fields(self)}
        return replace(self, **{**values, "p": 1.0})

    def __call__(self, sample: Sample) -> Sample:
        """Return the changed sample.

        Raises:
            ConfigError: if there is something left to draw, or the words of the sample depend on
                side and nobody said how they change.
        """
        if not self.is_fixed:
            raise ConfigError(f"{self}: draw it before it is applied")
        return self.apply(sample)

    def apply(self, sample: Sample) -> Sample:
        """Return the changed sample; for a transform with nothing left to draw."""
        raise NotImplementedError

    def __str__(self) -> str:
        given = [
            f"{f.name}={shown(value)}"
            for f in sorted(fields(self), key=lambda f: f.name == "p")
            if (value := getattr(self, f.name)) != f.default
        ]
        return f"{type(self).__name__}({', '.join(given)})"
