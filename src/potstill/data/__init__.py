"""Small image sets that live whole on the device, augmented a batch at a time."""

from potstill.data.augment import Augment
from potstill.data.images import ImageSet
from potstill.data.load import Data, listing, load
from potstill.data.loader import Loader

__all__ = ["Augment", "Data", "ImageSet", "Loader", "listing", "load"]
