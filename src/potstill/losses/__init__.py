"""The losses, one method a file: plain modules of tensors that return an unweighted scalar, the student's first.

Adding a method is one file here and one line below. A class may say where its inputs usually come from, in an
attribute ``taps``: addresses in a network called ``student`` and one called ``teacher``, or entries of the batch;
``student.stages`` stands for one term a stage. Without it, a loss gets the logits of student and teacher. The base
`Loss` has it compute in float32 at least, and `potstill.checked` holds its arguments to their annotations.

`potstill.catalogue` reads the docstrings; docs/losses and ``potstill list losses`` are written from what it finds.
"""

from potstill.losses.ab import AB
from potstill.losses.afd import AFD
from potstill.losses.at import AT
from potstill.losses.bce import BCE
from potstill.losses.bss import BSS
from potstill.losses.cc import CC
from potstill.losses.cd import CD
from potstill.losses.ce import CE
from potstill.losses.crd import CRD
from potstill.losses.dist import DIST
from potstill.losses.dkd import DKD
from potstill.losses.fitnet import FitNet
from potstill.losses.fsp import FSP
from potstill.losses.ft import FT
from potstill.losses.irg import IRG
from potstill.losses.kd import KD
from potstill.losses.kdsvd import KDSVD
from potstill.losses.logits import Logits
from potstill.losses.lwm import LwM
from potstill.losses.nst import NST
from potstill.losses.ofd import OFD
from potstill.losses.pkt import PKT
from potstill.losses.reviewkd import ReviewKD
from potstill.losses.rkd import RKD
from potstill.losses.sigmoid_kd import SigmoidKD
from potstill.losses.sobolev import Sobolev
from potstill.losses.sp import SP
from potstill.losses.vid import VID

__all__ = [
    "AB",
    "AFD",
    "AT",
    "BCE",
    "BSS",
    "CC",
    "CD",
    "CE",
    "CRD",
    "DIST",
    "DKD",
    "FSP",
    "FT",
    "IRG",
    "KD",
    "KDSVD",
    "NST",
    "OFD",
    "PKT",
    "RKD",
    "SP",
    "VID",
    "FitNet",
    "Logits",
    "LwM",
    "ReviewKD",
    "SigmoidKD",
    "Sobolev",
]
