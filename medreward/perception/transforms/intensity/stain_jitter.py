"""StainJitter: more or less of each stain in a histology image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medreward.errors import ConfigError
from medreward.perception.sample import Sample
from medreward.perception.transforms.intensity.values import computed
from medreward.perception.transforms.parameter import Number, bounds, number
from medreward.perception.transforms.transform import Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class StainJitter(Transform):
    """Scale and shift the amounts of haematoxylin and eosin in an image of stained tissue.

    Colours are separated into stains by the optical densities of Ruifrok and Johnston (Analytical
    and Quantitative Cytology and Histology 23:291-299, 2001; scikit-image's ``hed_from_rgb``); an
    amount s becomes s * factor + shift, as in Tellez et al. (IEEE Transactions on Medical Imaging
    37:2126-2136, 2018). The third stain of that model, DAB, is left as it is.

    Attributes:
        haematoxylin: factor of the haematoxylin, from 0 to 5; 1 for no change.
        eosin: factor of the eosin.
        haematoxylin_shift: what is added to it everywhere, in optical density (natural logarithm),
            from -1 to 1.
        eosin_shift: the same for the eosin.
    """

    haematoxylin: Number = number(1.0, 0, 5)
    eosin: Number = number(1.0, 0, 5)
    haematoxylin_shift: Number = number(0.0, -1, 1)
    eosin_shift: Number = number(0.0, -1, 1)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with other amounts of stain; raises `ConfigError` for a grey image."""
        if sample.image.mode != "RGB":
            raise ConfigError("the image is grey; only a colour image shows stains")
        return sample.with_images(computed(self._stained))

    def _stained(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        from skimage.color import hed_from_rgb, rgb_from_hed

        density = -np.log(np.maximum(values, 1.0) / 255)
        stains = density @ hed_from_rgb
        stains *= [bounds(self.haematoxylin)[0], bounds(self.eosin)[0], 1.0]
        stains += [bounds(self.haematoxylin_shift)[0], bounds(self.eosin_shift)[0], 0.0]
        return 255 * np.exp(-(stains @ rgb_from_hed))
