"""BiasField: the slow change of brightness across a magnetic resonance image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medreward.perception.sample import Sample
from medreward.perception.transforms.intensity.values import computed, shaped
from medreward.perception.transforms.parameter import Number, bounds, number, seed
from medreward.perception.transforms.transform import Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDER = 3


@dataclass(frozen=True)
class BiasField(Transform):
    """Multiply by exp of a random polynomial of the position, of order 3 at most.

    The model of the bias in Van Leemput et al. (IEEE Transactions on Medical Imaging 18:885-896,
    1999), with coefficients drawn evenly. Positions go from -1 to 1; the constant term is 0, so
    that the centre keeps its values.

    Attributes:
        strength: coefficients are from -strength to strength, from 0 to 2.
        seed: of the coefficients; drawn if it is not given.
    """

    strength: Number = number(0.3, 0, 2)
    seed: int | None = seed()

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with a bias field."""
        width, height = sample.size
        field = self._field(width, height)
        return sample.with_images(computed(lambda values: values * shaped(field, values)))

    def _field(self, width: int, height: int) -> NDArray[np.float64]:
        (strength,) = bounds(self.strength)
        random = np.random.default_rng(self.seed)
        coefficients = random.uniform(-strength, strength, (ORDER + 1, ORDER + 1))
        rows, columns = np.indices(coefficients.shape)
        coefficients[(rows + columns > ORDER) | (rows + columns == 0)] = 0.0
        y, x = (np.linspace(-1, 1, side) if side > 1 else np.zeros(1) for side in (height, width))
        powers: Any = np.polynomial.polynomial.polygrid2d(y, x, coefficients)
        return np.exp(powers)
