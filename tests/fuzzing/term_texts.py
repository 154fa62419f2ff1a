"""Terms as strings, against two real networks: read, built, and one step where they are sound."""

from pathlib import Path

from hypothesis import strategies as st

import potstill as ps
from fuzzing.domain import Domain
from fuzzing.odd import misspelt, numbers
from fuzzing.small import batch, networks

SOUND = (
    *("CE", "0.1 * CE(label_smoothing=0.1)", "0.9 * KD(temperature=4)", "KD(2, guided=True)"),
    *("KD(reduction='elementmean')",),
    *("1000 * AT(p=2) on stages", "AT on stage2", "FitNet on stage1=stage2", "2 * KD on pooled"),
    *("FSP on stage1 stage2",),
    *("RKD", "RKD(25, 50)", "SP on stage3", "PKT on pooled", "CC", "DIST(beta=2, gamma=2)", "DKD(alpha=1, beta=8)"),
    *("Logits",),
    *("NKD(gamma=1.5)", "CTKD(decoupled=True)", "SDD('DKD', scales=(1, 2))", "OFA on stage1 stage3", "USKD", "WKDL"),
    *("NST on stage2", "VID on stage2", "CRD", "CRD(features=16, negatives=8)", "OFD", "AB", "AFD on stages"),
    *("ReviewKD", "PSKD", "PSKD(0.5, samples=100)", "BYOT", "BYOT on stage1, stage2", "SSKD", "HSAKD(temperature=2)"),
    *("KD on student=student@pair", "DLB(2.0)"),
    *("AFM(width=8)", "CKA(kernel='rbf')", "EGA", "ITRD", "Manifold on stage2", "ND"),
    *("IRG on stage1, stage2", "LwM on stage2", "FT", "Sobolev", "KDSVD on stage1 stage2"),
    *("linear(1000.0, 10) * AT on stage3",),
    *("cosine(1, 10) * KD", "warmup(linear(1, 5), 2) * CE", "milestones(1, [2, 4], 0.1) * KD", "from_epoch(1, 3) * KD"),
    *("KD on student@images=teacher@images", "AT on block2:in=layer2:in", "Logits on fc:in=fc:in", "KD on #0"),
    *("L1 on stage1:map",),
    *("torch.nn.functional:mse_loss", "torch.nn:MSELoss on pooled", "torch.nn:L1Loss()", "math:sqrt"),
    *("builtins:print", "nowhere:x"),
)
TOKENS = (
    *("(", ")", ",", "=", "*", " on ", " * ", ":", "#", "@", ".", "-", "+", " stages", "stage1", "stage9", "layer3"),
    *("student.",),
    *("teacher.", "labels", "KD", "AT", "KDD", "CE()", "temperature", "p=0", "guided=1", "linear(", "cosine(1,0)"),
    *("None",),
    *("[1,2]", "{}", "()", "'a'", "True", "1e300", "nan", "inf", "1e400", "-1", "lambda:0", "**x", "*x"),
    *("x for x in y", ":in", ":map"),
)


def _argument(loss: str) -> st.SearchStrategy[str]:
    names = st.sampled_from(
        ("temperature", "p", "beta", "negatives", "features", "reduction", "channels", "guided", "alpha")
    )
    values = numbers() | st.sampled_from(("'sum'", "None", "True", "[]", "{}", "'x'", "[1, 2]", "()"))
    return st.lists(st.tuples(names, values), max_size=2).map(
        lambda pairs: f"{loss}({', '.join(f'{name}={value}' for name, value in pairs)})"
    )


def run(value: tuple[list[str], bool], folder: Path) -> None:
    """Read the terms; build and step."""
    strings, with_images = value
    example = batch()
    terms = ps.terms(strings, networks(), example if with_images else None)
    with ps.Distiller(networks(), terms, example=example, seed=0) as distiller:
        total, _ = distiller(example)
        total.backward()
        distiller.zero_grad()


STRINGS = misspelt(SOUND, TOKENS) | st.sampled_from(ps.losses.__all__).flatmap(_argument)
TERMS = Domain(st.tuples(st.lists(STRINGS, min_size=1, max_size=2), st.booleans()), run)
