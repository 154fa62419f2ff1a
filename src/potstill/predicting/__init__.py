"""Trained networks and pictures of anybody's: which classes they are of."""

from potstill.predicting.network import Classifier, of_onnx, of_run
from potstill.predicting.pictures import Pictures, find_pictures
from potstill.predicting.predictions import Predictions, predict
from potstill.predicting.writing import must_be_writable, write

__all__ = [
    "Classifier",
    "Pictures",
    "Predictions",
    "find_pictures",
    "must_be_writable",
    "of_onnx",
    "of_run",
    "predict",
    "write",
]
