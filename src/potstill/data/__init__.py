"""Data sets: small ones that live whole on the device, and images in files, decoded by worker processes."""

from potstill.data.augment import Augment
from potstill.data.data import Data
from potstill.data.files.image_loader import ImageLoader
from potstill.data.images import ImageSet
from potstill.data.load import in_files, listing, load, outline
from potstill.data.loader import Loader

__all__ = ["Augment", "Data", "ImageLoader", "ImageSet", "Loader", "in_files", "listing", "load", "outline"]
