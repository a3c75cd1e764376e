"""The transforms by name. One a module; the folders say what they do to an image."""

from medreward.perception.transforms.attention.box_overlay import BoxOverlay
from medreward.perception.transforms.attention.contrast_beside import ContrastBeside
from medreward.perception.transforms.attention.marker_overlay import MarkerOverlay
from medreward.perception.transforms.attention.zoom_to import ZoomTo
from medreward.perception.transforms.geometric.crop import Crop
from medreward.perception.transforms.geometric.crop_around import CropAround
from medreward.perception.transforms.geometric.crop_part import CropPart
from medreward.perception.transforms.geometric.flip import Flip
from medreward.perception.transforms.geometric.letterbox import Letterbox
from medreward.perception.transforms.geometric.pad import Pad
from medreward.perception.transforms.geometric.rotate import Rotate
from medreward.perception.transforms.geometric.scale import Scale
from medreward.perception.transforms.intensity.bias_field import BiasField
from medreward.perception.transforms.intensity.blur import Blur
from medreward.perception.transforms.intensity.clahe import CLAHE
from medreward.perception.transforms.intensity.gamma import Gamma
from medreward.perception.transforms.intensity.noise import Noise
from medreward.perception.transforms.intensity.stain_jitter import StainJitter
from medreward.perception.transforms.intensity.window import Window
from medreward.perception.transforms.transform import Transform

GEOMETRIC: tuple[type[Transform], ...] = (
    *(Flip, Rotate, Scale, Crop, CropPart, CropAround, Pad, Letterbox),
)
INTENSITY: tuple[type[Transform], ...] = (
    *(Gamma, Window, CLAHE, Noise, Blur, BiasField, StainJitter),
)
ATTENTION: tuple[type[Transform], ...] = (ZoomTo, BoxOverlay, MarkerOverlay, ContrastBeside)
ALL = (*GEOMETRIC, *INTENSITY, *ATTENTION)
BY_NAME = {kind.__name__: kind for kind in ALL}
