"""Several transforms one after the other, and the draw that fixes them for a row."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from medreward.errors import ConfigError
from medreward.perception.sample import Sample
from medreward.perception.transforms.transform import Transform


@dataclass(frozen=True)
class Pipeline:
    """Transforms in the order in which they are applied; written ``Flip() | Gamma(gamma=0.8)``.

    >>> from medreward.perception import parse
    >>> random = parse("Flip(p=0.5) | Rotate(degrees=-10..10)")
    >>> str(random.draw(0, "slice-17")), str(random.draw(0, "slice-17", epoch=1))
    ('Rotate(degrees=3.05781)', 'Rotate(degrees=-0.420414)')
    """

    transforms: tuple[Transform, ...] = ()

    @property
    def is_fixed(self) -> bool:
        """Whether nothing is left to draw."""
        return all(transform.is_fixed for transform in self.transforms)

    def draw(self, seed: int, id: str, epoch: int = 0) -> Pipeline:  # noqa: A002
        """Return the pipeline for one row with all parameters fixed.

        The same seed, id and epoch give the same in any process on any machine.
        """
        random = Random(f"{seed}/{epoch}/{id}")
        drawn = (transform.draw(random) for transform in self.transforms)
        return Pipeline(tuple(one for one in drawn if one is not None))

    def __call__(self, sample: Sample) -> Sample:
        """Return the changed sample; raises `ConfigError` as the transforms do."""
        for transform in self.transforms:
            try:
                sample = transform(sample)
            except ConfigError as error:
                raise ConfigError(f"{transform}: {error}") from error
        return sample

    def __str__(self) -> str:
        return " | ".join(map(str, self.transforms))
