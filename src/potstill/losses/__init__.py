"""The losses, one method a file: plain modules of tensors that return an unweighted scalar, the student's first.

Adding a method is one file here and one line below. A class may say where its inputs usually come from, in an
attribute ``taps``: addresses in a network called ``student`` and one called ``teacher``, or entries of the batch;
``student.stages`` stands for one term a stage. Without it, a loss gets the logits of student and teacher.
"""

from potstill.losses.at import AT
from potstill.losses.ce import CE
from potstill.losses.fitnet import FitNet
from potstill.losses.kd import KD
from potstill.losses.logits import Logits

__all__ = ["AT", "CE", "KD", "FitNet", "Logits"]
