"""The losses, one method a file: plain modules of tensors that return an unweighted scalar, the student's first.

Adding a method is one file here and one line below. A class may say where its inputs usually come from, in an
attribute ``taps``: addresses in a network called ``student`` and one called ``teacher``, or entries of the batch;
``student.stages`` stands for one term a stage. Without it, a loss gets the logits of student and teacher. The base
`Loss` has it compute in float32 at least, and `potstill.checked` holds its arguments to their annotations.

`potstill.catalogue` reads the docstrings; docs/losses and ``potstill list losses`` are written from what it finds.
"""

from potstill.losses.ab import AB
from potstill.losses.abkd import ABKD
from potstill.losses.afd import AFD
from potstill.losses.afm import AFM
from potstill.losses.at import AT
from potstill.losses.bce import BCE
from potstill.losses.bkd import BKD
from potstill.losses.bss import BSS
from potstill.losses.byot import BYOT
from potstill.losses.catkd import CATKD
from potstill.losses.cc import CC
from potstill.losses.cd import CD
from potstill.losses.ce import CE
from potstill.losses.cka import CKA
from potstill.losses.cosine_smooth_l1 import CosineSmoothL1
from potstill.losses.crd import CRD
from potstill.losses.ctkd import CTKD
from potstill.losses.cwd import CWD
from potstill.losses.diffkd import DiffKD
from potstill.losses.dist import DIST
from potstill.losses.dist_plus import DISTPlus
from potstill.losses.dkd import DKD
from potstill.losses.dlb import DLB
from potstill.losses.ega import EGA
from potstill.losses.fcfd import FCFD
from potstill.losses.fitnet import FitNet
from potstill.losses.fsp import FSP
from potstill.losses.ft import FT
from potstill.losses.function_matching import FunctionMatching
from potstill.losses.hsakd import HSAKD
from potstill.losses.ickd import ICKD
from potstill.losses.irg import IRG
from potstill.losses.itrd import ITRD
from potstill.losses.kd import KD
from potstill.losses.kdcl import KDCL
from potstill.losses.kdsvd import KDSVD
from potstill.losses.label_smoothing import LabelSmoothing
from potstill.losses.logits import Logits
from potstill.losses.luminet import LumiNet
from potstill.losses.lwm import LwM
from potstill.losses.manifold import Manifold
from potstill.losses.maskd import MasKD
from potstill.losses.mgd import MGD
from potstill.losses.mlkd import MLKD
from potstill.losses.nd import ND
from potstill.losses.nkd import NKD
from potstill.losses.norm import NORM, NORMLogits
from potstill.losses.nst import NST
from potstill.losses.ofa import OFA
from potstill.losses.ofd import OFD
from potstill.losses.one import ONE
from potstill.losses.pad import PAD
from potstill.losses.patch_mse import PatchMSE
from potstill.losses.pkd import PKD
from potstill.losses.pkt import PKT
from potstill.losses.pskd import PSKD
from potstill.losses.queue_kl import QueueKL
from potstill.losses.queue_patch_kl import QueuePatchKL
from potstill.losses.reviewkd import ReviewKD
from potstill.losses.rkd import RKD
from potstill.losses.rld import RLD
from potstill.losses.sdd import SDD
from potstill.losses.semckd import SemCKD
from potstill.losses.sigmoid_kd import SigmoidKD
from potstill.losses.simkd import SimKD
from potstill.losses.skd import SKD
from potstill.losses.sobolev import Sobolev
from potstill.losses.sp import SP
from potstill.losses.srd import SRD
from potstill.losses.srrl import SRRL
from potstill.losses.sskd import SSKD
from potstill.losses.tat import TaT
from potstill.losses.tfkd import TfKD
from potstill.losses.ttm import TTM
from potstill.losses.uskd import USKD
from potstill.losses.vid import VID
from potstill.losses.vitkd import ViTKD
from potstill.losses.vkd import VkD
from potstill.losses.wkd_l import WKDL
from potstill.losses.wkdf import WKDF
from potstill.losses.wsld import WSLD

__all__ = [
    "AB",
    "ABKD",
    "AFD",
    "AFM",
    "AT",
    "BCE",
    "BKD",
    "BSS",
    "BYOT",
    "CATKD",
    "CC",
    "CD",
    "CE",
    "CKA",
    "CRD",
    "CTKD",
    "CWD",
    "DIST",
    "DKD",
    "DLB",
    "EGA",
    "FCFD",
    "FSP",
    "FT",
    "HSAKD",
    "ICKD",
    "IRG",
    "ITRD",
    "KD",
    "KDCL",
    "KDSVD",
    "MGD",
    "MLKD",
    "ND",
    "NKD",
    "NORM",
    "NST",
    "OFA",
    "OFD",
    "ONE",
    "PAD",
    "PKD",
    "PKT",
    "PSKD",
    "RKD",
    "RLD",
    "SDD",
    "SKD",
    "SP",
    "SRD",
    "SRRL",
    "SSKD",
    "TTM",
    "USKD",
    "VID",
    "WKDF",
    "WKDL",
    "WSLD",
    "CosineSmoothL1",
    "DISTPlus",
    "DiffKD",
    "FitNet",
    "FunctionMatching",
    "LabelSmoothing",
    "Logits",
    "LumiNet",
    "LwM",
    "Manifold",
    "MasKD",
    "NORMLogits",
    "PatchMSE",
    "QueueKL",
    "QueuePatchKL",
    "ReviewKD",
    "SemCKD",
    "SigmoidKD",
    "SimKD",
    "Sobolev",
    "TaT",
    "TfKD",
    "ViTKD",
    "VkD",
]
