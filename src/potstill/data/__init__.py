"""Data sets: small ones that live whole on the device, and images in files, decoded by worker processes."""

from potstill.data.augment import Augment
from potstill.data.data import Batches, Data
from potstill.data.files.image_loader import ImageLoader
from potstill.data.images import ImageSet
from potstill.data.load import describe_data_sets, in_files, load, outline
from potstill.data.loader import Loader
from potstill.data.own_loaders import from_loaders

__all__ = [
    "Augment",
    "Batches",
    "Data",
    "ImageLoader",
    "ImageSet",
    "Loader",
    "describe_data_sets",
    "from_loaders",
    "in_files",
    "load",
    "outline",
]
