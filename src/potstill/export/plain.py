"""Plain weights, and beside them a Python file that loads them with torch alone."""

import json
import os
import re
import runpy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from potstill.errors import BadInput
from potstill.export.rebuild import made_from, own_input
from potstill.export.source import making, source
from potstill.network_input import Input
from potstill.networks.backbone import STAND_IN
from potstill.runs.schema import Network
from potstill.text import in_docstring

MARK = "Written by potstill "
IMPORTS = ("import json", "from pathlib import Path", "import torch")
LOADING = """\
content = bytearray(Path(__file__).with_name({weights!r}).read_bytes())
end = 8 + int.from_bytes(content[:8], "little")  # of the header
tensors = json.loads(content[8:end])
about = tensors.pop("__metadata__")
state, dtypes = {{}}, {{{dtypes}}}
for name, tensor in tensors.items():
    first, last = (end + offset for offset in tensor["data_offsets"])
    values = torch.frombuffer(content[first:last], dtype=dtypes[tensor["dtype"]])
    state[name] = values.reshape(tensor["shape"])
network.load_state_dict(state)
network.eval()
classes = json.loads(about["classes"])
mean, std = (torch.tensor(json.loads(about[name])).view(-1, 1, 1) for name in ("mean", "std"))
"""
# The format's names: https://github.com/huggingface/safetensors#format
DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def loader_of(weights: Path) -> Path:
    """The Python file beside a file of weights; it can be imported.

    >>> loader_of(Path("runs/a/export/student-best.safetensors")).name
    'load_student_best.py'
    """
    return weights.with_name(f"load_{re.sub(r'[^0-9A-Za-z_]', '_', weights.stem)}.py")


def must_be_ours(loader: Path) -> None:
    """Raise BadInput if a file of somebody else's would be overwritten."""
    if loader.exists() and MARK not in loader.read_text(encoding="utf-8", errors="replace"):
        raise BadInput(f"{loader} is in the way, and was not written by potstill; choose another --out")


def save_plain(network: nn.Module, identity: Network, path: Path, about: Mapping[str, str]) -> None:
    """Write the weights with ``about`` in their metadata, and the file that makes the network and loads them.

    ``identity`` is the network's entry in the run's config.json.
    """
    state = {name: value.detach().clone().contiguous() for name, value in network.state_dict().items()}
    used = dict.fromkeys(value.dtype for value in state.values())
    if strange := [dtype for dtype in used if dtype not in DTYPES]:
        raise BadInput(f"weights of {strange[0]} cannot be loaded with torch alone; --to torch holds them")
    dtypes = ", ".join(f'"{DTYPES[dtype]}": {dtype}' for dtype in used)
    spec, classes = made_from(identity)
    made = making(spec, classes or STAND_IN)
    imports, definitions = source(made.ours)
    head = _sorted([*IMPORTS, *made.imports, *imports])
    neighbours = "" if made.folder is None else f"sys.path.insert(0, {str(made.folder)!r})\n"
    loading = f"{neighbours}network = {made.expression}\n{_dropping(network)}"
    loading += LOADING.format(weights=path.name, dtypes=dtypes)
    loading += _resizing(own_input(identity), json.loads(about["shape"]))
    parts = [_docstring(path, about, bool(definitions)) + "\n" + head, definitions, loading]
    path.write_bytes(save(state, metadata=dict(about)))
    loader_of(path).write_text("\n\n\n".join(part for part in parts if part), encoding="utf-8")


def load_plain(path: Path) -> nn.Module:
    """The network that the Python file beside ``path`` makes and loads."""
    with _importing_for_itself():
        network: nn.Module = runpy.run_path(str(loader_of(path)))["network"]
    return network


@contextmanager
def _importing_for_itself() -> Iterator[None]:
    """What is imported inside from folders that are added to Python's path inside is nobody else's."""
    modules, places = set(sys.modules), list(sys.path)
    try:
        yield
    finally:
        added = tuple(f"{place}{os.sep}" for place in set(sys.path) - set(places))
        sys.path[:] = places
        for name in sys.modules.keys() - modules:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(added):
                del sys.modules[name]


def _resizing(own: Input | None, shape: Sequence[int]) -> str:
    """The line that gives the network images of its own size, as `adapt_input` does."""
    if own is None:
        return ""
    if own.statistics or own.size is None:
        raise BadInput("the network normalises images in a way of its own, which plain weights do not hold: --to torch")
    smaller = any(there < here for there, here in zip(own.size, shape[1:], strict=True))
    resized = f'torch.nn.functional.interpolate(x[0], {own.size}, mode="bilinear", antialias={smaller})'
    return f"network.register_forward_pre_hook(lambda _, x: {resized})\n"


def _dropping(network: nn.Module) -> str:
    """The lines that leave out what a backbone has none of."""
    paths: Iterable[str] = getattr(network, "dropped", ())
    places = [path.rpartition(".") for path in paths]
    return "".join(
        f"setattr(network.get_submodule({parent!r}), {name!r}, torch.nn.Identity())\n" for parent, _, name in places
    )


def _sorted(imports: Iterable[str]) -> str:
    """Each import once, Python's own first."""
    groups: dict[bool, list[str]] = {True: [], False: []}
    for line in sorted(set(imports), key=lambda line: (line.startswith("from"), line)):
        groups[re.split(r"[ .]", line)[1] in sys.stdlib_module_names].append(line)
    return "\n\n".join("\n".join(group) for group in groups.values() if group)


def _docstring(path: Path, about: Mapping[str, str], with_source: bool) -> str:
    shape = ", ".join(map(str, json.loads(about["shape"])))
    whose = "\nThe network's definition is taken from potstill, Apache License 2.0.\n" if with_source else ""
    network, file = in_docstring(about["network"]), in_docstring(path.name)
    return f'''"""{network}, trained: loads {file}, which lies beside this file, with torch alone.

    from {loader_of(path).stem} import classes, mean, network, std

    logits = network((images - mean) / std)  # images (N, {shape}) of values in 0..1
{whose}
{MARK}{about["potstill"]}.
"""
'''
