"""Weights and checkpoints: damaged files, hostile pickles, wrong contents with sound digests."""

import functools
import hashlib
import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from hypothesis import strategies as st

import potstill as ps
from fuzzing.domain import Domain
from fuzzing.odd import damage, damaged, edited, edits
from fuzzing.small import home
from potstill.engine.checkpoint import load_checkpoint

KINDS = ("torch", "old", "safetensors", "last.ckpt", "wrapped", "pickle")
ENDINGS = (".pth", ".pt", ".safetensors", ".ckpt", "")
CODE = (
    "os system",
    "builtins eval",
    "builtins exec",
    "posix system",
    "subprocess Popen",
    "torch load",
    "shutil rmtree",
)
HOSTILE = st.tuples(st.sampled_from(CODE), st.sampled_from(("touch fuzzed", "1", "nowhere")))
CONTENTS = (
    *("[]", "{}", "None", "3", "'x'", "{'model': 3}", "{'state_dict': {}}", "{'fc.weight': 1}", "{1: 2}", "[[[]]]"),
    *("{'model': {'model': {'model': []}}}", "{'epoch': 1, 'networks': None}", "{'': ''}", "{'fc.weight': [1.0]}"),
)


@functools.cache
def network() -> torch.nn.Module:
    """What the weights are loaded into."""
    return ps.networks.create("wrn-10-1", seed=0)


@functools.cache
def sound(kind: str) -> bytes:
    """A sound file of weights."""
    state = network().state_dict()
    buffer = io.BytesIO()
    if kind == "safetensors":
        return safetensors.torch.save(state)
    if kind == "last.ckpt":
        return (home() / "run/last.ckpt").read_bytes()
    if kind == "pickle":
        return pickle.dumps({name: value.tolist() for name, value in state.items()})
    if kind == "wrapped":
        torch.save(
            {"epoch": 3, "best": 91.2, "state_dict": state, "optimizer": {"state": {}, "param_groups": []}}, buffer
        )
    else:
        torch.save(state, buffer, _use_new_zipfile_serialization=kind == "torch")
    return buffer.getvalue()


def _header(changes: list[Any]) -> bytes:
    """A safetensors file with another header."""
    import json

    content = sound("safetensors")
    size = int.from_bytes(content[:8], "little")
    header = edited(json.loads(content[8 : 8 + size]), changes).encode(errors="replace")
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _content(how: str, what: Any) -> bytes:
    if how == "damage":
        kind, changes = what
        return damaged(sound(kind), changes)
    if how == "header":
        return _header(what)
    if how == "hostile":
        module, name = what[0].split()
        return b"c" + f"{module}\n{name}\n(S'{what[1]}'\ntR.".encode()
    if how == "opcodes":
        return b"\x80\x02" + b"".join(bytes([code]) + argument for code, argument in what) + b"."
    buffer = io.BytesIO()
    torch.save(eval(what, {"__builtins__": {}}), buffer)  # one of CONTENTS
    content = buffer.getvalue()
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content if how == "digest" else content


def run(value: tuple[str, Any, str], folder: Path) -> None:
    """Load the file as weights, or as the checkpoint of a run, which a sound digest lets through."""
    how, what, ending = value
    file = folder / f"weights{ending}"
    file.write_bytes(_content(how, what))
    before = {name: tensor.clone() for name, tensor in network().state_dict().items()}
    try:
        if how == "digest" or (how == "damage" and what[0] == "last.ckpt"):
            load_checkpoint(file, torch.device("cpu"))
        else:
            ps.networks.load_weights(network(), file)
    finally:
        assert not (folder / "fuzzed").exists()
        assert not Path("fuzzed").exists()
        network().load_state_dict(before)


OPCODES = st.lists(
    st.tuples(st.sampled_from([ord(code.code) for code in pickletools.opcodes]), st.binary(max_size=6)), max_size=12
)
FILES = st.one_of(
    st.tuples(st.just("damage"), st.tuples(st.sampled_from(KINDS), damage()), st.sampled_from(ENDINGS)),
    st.tuples(st.just("damage"), st.tuples(st.sampled_from(KINDS), damage()), st.sampled_from(ENDINGS)),
    st.tuples(st.just("header"), edits(), st.just(".safetensors")),
    st.tuples(st.just("hostile"), HOSTILE, st.sampled_from(ENDINGS)),
    st.tuples(st.just("opcodes"), OPCODES, st.sampled_from(ENDINGS)),
    st.tuples(st.sampled_from(("content", "digest")), st.sampled_from(CONTENTS), st.sampled_from(ENDINGS)),
)
WEIGHTS = Domain(FILES, run)
