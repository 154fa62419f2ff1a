"""C2, A5: a file of weights runs no code, and asks for no more memory or time than a network is worth."""

import copyreg
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, load_weights
from potstill.networks.pickled import Global, Thing, read_pickle


class Calls:
    """Pickled as a call."""

    def __init__(self, function, *args, state=None, items=None):
        self.made = (function, args, state, None, items)

    def __reduce__(self):
        return self.made


class Listens:
    """Does harm when it is made, given a state, or gets entries."""

    def __new__(cls, *args, **kwargs):
        if args:
            Path("owned").mkdir()
        return super().__new__(cls)

    def __getnewargs__(self):
        return ("x",)

    def __setstate__(self, state):
        Path("owned").mkdir()


class Holds(dict):
    def __setitem__(self, key, value):
        if key == "harm":
            Path("owned").mkdir()
        super().__setitem__(key, value)


class Hashes:
    def __hash__(self):
        if Path("loading").exists():
            Path("owned").mkdir()
        return 1


HARM = "import os; os.mkdir('owned')"
CALLS = {
    "mkdir": lambda: Calls(os.mkdir, "owned"),
    "system": lambda: Calls(os.system, "mkdir owned"),
    "exec": lambda: Calls(exec, HARM),
    "eval": lambda: Calls(eval, "__import__('os').mkdir('owned')"),
    "popen": lambda: Calls(subprocess.Popen, ["mkdir", "owned"]),
    "path": lambda: Calls(Path.mkdir, Path("owned")),
    "getattr": lambda: Calls(getattr, Calls(__import__, "os"), "mkdir"),
    "torch.load": lambda: Calls(torch.load, "other.pt"),
    "hub": lambda: Calls(torch.hub.load, "a/b", "c"),
    "pickle.loads": lambda: Calls(pickle.loads, pickle.dumps(Calls(os.mkdir, "owned"))),
    "made": Listens,
    "entries": lambda: Calls(Holds, items=iter([("harm", 1)])),
    "hashed": lambda: {Hashes(): 1},
    "by type": lambda: Calls(torch._tensor._rebuild_from_type_v2, os.mkdir, str, ("owned",), None),
    "parameter": lambda: Calls(torch._utils._rebuild_parameter, Calls(os.mkdir, "owned"), True, OrderedDict()),
    "storage": lambda: Calls(torch.storage._load_from_bytes, pickle.dumps(Calls(os.mkdir, "owned"))),
    "array": lambda: np.array([Calls(os.mkdir, "owned")], dtype=object),
    "dtype": lambda: Calls(np.dtype, Calls(os.mkdir, "owned")),
    "state of a tensor": lambda: Calls(torch._utils._rebuild_parameter, 1, 2, 3, state=Calls(os.mkdir, "owned")),
    "module": lambda: nn.Sequential(nn.Linear(2, 2), nn.ModuleDict({"a": nn.ReLU()})),
}
PLACES = {
    "beside": lambda state, evil: {"state_dict": state, "args": evil},
    "before": lambda state, evil: {"args": evil, "state_dict": state},
    "in the optimiser": lambda state, evil: {"model": state, "optimizer": {"state": {0: {"step": evil}}}},
    "as a key": lambda state, evil: {"model": state, "x": [(evil, 1)]},
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("kind", CALLS)
def test_a_pickle_that_would_run_code_does_not_and_its_tensors_load(tmp_path, monkeypatch, kind, protocol):
    monkeypatch.chdir(tmp_path)
    there = create("resnet8", seed=0)
    for place, put in PLACES.items():
        torch.save(put(there.state_dict(), CALLS[kind]()), "a.pt", pickle_protocol=max(protocol, 2))
        arrays = {name: value.numpy() for name, value in there.state_dict().items()}
        Path("a.pkl").write_bytes(pickle.dumps(put(arrays, CALLS[kind]()), protocol))
        Path("loading").mkdir()
        for file in ("a.pt", "a.pkl"):
            here = create("resnet8", seed=1)
            load_weights(here, file)
            assert torch.equal(here.fc.weight, there.fc.weight), place
        assert not Path("owned").exists(), place
        Path("loading").rmdir()


def test_the_calls_above_would_do_harm(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in ("mkdir", "system", "exec", "eval", "path", "made", "entries", "array", "pickle.loads"):
        content = pickle.dumps(CALLS[kind]())
        pickle.loads(content)
        Path("owned").rmdir()


def opcodes(*parts) -> bytes:
    return b"".join(part if isinstance(part, bytes) else part.encode() for part in parts)


HANDMADE = {
    "an instance": opcodes("(S'owned'\nios\nmkdir\n."),
    "an object": opcodes("(cos\nmkdir\nS'owned'\no."),
    "a new object": opcodes("cos\nmkdir\n(S'owned'\nt\x81."),
    "a call": opcodes("cos\nmkdir\n(S'owned'\ntR."),
    "from the stack": opcodes(b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93\x8c\x05owned\x85R."),
    "with keywords": opcodes(b"\x80\x04cos\nmkdir\n(S'owned'\nt}\x92."),
    "an extension": opcodes(b"\x80\x02\x82\x07(S'owned'\ntR."),
    "a call of a call": opcodes("cbuiltins\ngetattr\n(cos\nmkdir\nS'__call__'\ntR(S'owned'\ntR."),
    "a state": opcodes("cos\nmkdir\n(S'owned'\ntR}S'x'\nK\x01sb."),
    "a persistent one": opcodes("Pos.mkdir\n."),
}


@pytest.mark.parametrize("kind", HANDMADE)
def test_no_way_of_a_pickle_runs_code(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    copyreg.add_extension("os", "mkdir", 7)
    try:
        Path("a.pkl").write_bytes(HANDMADE[kind])
        with pytest.raises(BadInput):
            load_weights(create("resnet8"), "a.pkl")
    finally:
        copyreg.remove_extension("os", "mkdir", 7)
    assert not Path("owned").exists()


def test_what_is_read_is_a_description():
    thing = read_pickle(io.BytesIO(b"cos\nsystem\n(S'true'\ntR."))
    assert isinstance(thing, Thing)
    assert (thing.made_by, thing.args) == (Global("os.system"), ("true",))


def archive(pickled: bytes, **records: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        for name, content in {"data.pkl": pickled, "version": b"3", **records}.items():
            writer.writestr(f"a/{name}", content)
    return file.getvalue()


def tensor(numel="K\x04", offset="K\x00", size="K\x04\x85", stride="K\x01\x85", key="0"):
    """A state of one tensor, with the parts that a file may lie about."""
    storage = opcodes("(X\x07\0\0\0storagectorch\nFloatStorage\n", f"X\x01\0\0\0{key}X\x03\0\0\0cpu", numel, "tQ")
    rebuilt = opcodes("ctorch._utils\n_rebuild_tensor_v2\n(", storage, offset, size, stride, b"\x89}tR")
    return archive(opcodes(b"\x80\x02}X\x04\0\0\0bias", rebuilt, "s."), **{"data/0": bytes(16)})


def long(number: int) -> bytes:
    content = number.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def deep(open_: bytes, close: bytes, times: int) -> bytes:
    return b"\x80\x02" + open_ * times + b"K\x01" + close * times + b"."


def doubled(times: int) -> bytes:
    """A list of two lists of two lists of ..., all of them the same."""
    return b"\x80\x02]q\0" + b"".join(b"]q\1(h\0h\0eh\1q\0" for _ in range(times)) + b"."


def bomb(level=9) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as writer:
        writer.writestr("a/data.pkl", b"N" * 100_000_000)
    return file.getvalue()


def packed_zeros() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, bias=np.zeros(30_000_000, "f4"))
    return file.getvalue()


def claimed_array(shape) -> bytes:
    header = str({"descr": "<f4", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        writer.writestr("bias.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(64))
    return file.getvalue()


def object_array() -> bytes:
    file = io.BytesIO()
    np.savez(file, bias=np.array([Calls(os.mkdir, "owned")], dtype=object))
    return file.getvalue()


def cyclic_modules() -> bytes:
    """Each module holds the next one twice, forty deep."""
    network = nn.Sequential(nn.ReLU())
    for _ in range(40):
        network = nn.Sequential(network, network)
    file = io.BytesIO()
    torch.save({"model": network}, file)
    return file.getvalue()


BOMBS = {
    "lists": lambda: deep(b"(", b"l", 200_000),
    "tuples": lambda: deep(b"", b"\x85", 200_000),
    "dictionaries": lambda: b"\x80\x02" + b"}X\1\0\0\0a" * 100_000 + b"K\1" + b"s" * 100_000 + b".",
    "calls": lambda: b"\x80\x02" + b"cos\nx\n" * 100_000 + b"K\1" + b"R" * 100_000 + b".",
    "doubled": lambda: doubled(50_000),
    "itself": lambda: b"\x80\x02]q\0h\0a.",
    "itself in a dictionary": lambda: b"\x80\x02}q\0X\1\0\0\0ah\0s.",
    "memo": lambda: b"\x80\x02K\1r\xff\xff\xff\xff.",
    "text": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"a.",
    "text of some size": lambda: b"\x80\x04\x8d" + struct.pack("<Q", 2**38) + b"a.",
    "bytes": lambda: b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b"a.",
    "array of bytes": lambda: b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"a.",
    "frame": lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "number": lambda: b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"\xff.",
    "negative length": lambda: b"\x80\x02\x8b" + struct.pack("<i", -5) + b"\xff.",
    "digits": lambda: b"L" + b"9" * 5_000_000 + b"L\n.",
    "steps": lambda: b"\x80\x02" + b"N0" * 2_000_000 + b"N.",
    "marks": lambda: b"\x80\x02" + b"(" * 990_000 + b".",
    "sets": lambda: b"\x80\x04(" + b"\x8f" * 300_000 + b"l.",
    "nothing on the stack": lambda: b"\x80\x02R.",
    "end": lambda: b"\x80\x02.",
    "unknown": lambda: b"\x80\x02\xff.",
    "buffer": lambda: b"\x80\x05\x97.",
    "names": lambda: pickle.dumps({f"a{i}.b": np.zeros(1) for i in range(20_000)}),
    "same names": lambda: b"\x80\x02}(" + b"X\1\0\0\0aK\1" * 200_000 + b"u.",
    "storage's length": lambda: tensor(numel=long(2**62)),
    "size": lambda: tensor(size=long(2**61) + b"\x85"),
    "negative size": lambda: tensor(size=long(-4) + b"\x85"),
    "repeated": lambda: tensor(size=long(2**40) + b"\x85", stride="K\0\x85"),
    "stride": lambda: tensor(stride=long(2**61) + b"\x85"),
    "negative stride": lambda: tensor(stride=long(-1) + b"\x85"),
    "offset": lambda: tensor(offset=long(2**61)),
    "negative offset": lambda: tensor(offset=long(-1)),
    "behind the end": lambda: tensor(offset="K\1"),
    "other dimensions": lambda: tensor(stride="K\1K\1\x86"),
    "a truth as size": lambda: tensor(size=b"\x88\x85"),
    "a text as size": lambda: tensor(size="X\1\0\0\0a\x85"),
    "no storage": lambda: tensor(key="7"),
    "unpacked": bomb,
    "zeros": packed_zeros,
    "claimed array": lambda: claimed_array((2**40,)),
    "claimed dimensions": lambda: claimed_array((2**20, 2**20, 2**20)),
    "negative array": lambda: claimed_array((-4,)),
    "objects": object_array,
    "modules": cyclic_modules,
    "header": lambda: struct.pack("<Q", 2**40) + b"{}",
    "large header": lambda: struct.pack("<Q", 50) + b'{"a":{"dtype":"F32","shape":[99999999999],"data_off',
    "index of itself": lambda: b'{"weight_map": {"a": "file"}}',
    "index of elsewhere": lambda: b'{"weight_map": {"a": "../../../../etc/passwd"}}',
    "index of numbers": lambda: b'{"weight_map": {"a": 3}}',
    "braces": lambda: b"{" * 100_000,
    "brackets": lambda: b'{"a":' + b"[" * 100_000,
}
OTHER_FILES = {
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file, as Keras writes it"),
    "gzip": (b"\x1f\x8b\x08" + bytes(64), "packed by gzip; unpack it first"),
    "tar": (bytes(257) + b"ustar\0" + bytes(512), "it is a tar archive, maybe of torch before 0.2"),
    "page": (b"<!DOCTYPE html><html>", "it is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 3\n", "a pointer of Git LFS"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.0.0onnx", "it is an ONNX file"),
    "array": (b"\x93NUMPY\x01\x00" + bytes(64), "it is a single array"),
    "GGUF": (b"GGUF" + bytes(64), "it is a GGUF file"),
    "nothing": (b"", "damaged, or not a file of weights"),
    "zeros": (bytes(1000), "damaged, or not a file of weights"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "damaged, or not a file of weights"),
    "document": (archive(b"")[:0] + b"PK\x05\x06" + bytes(18), "it is an archive of something else"),
}


LOAD = """
import json, re, sys, time
from pathlib import Path
from torch import nn
from potstill.errors import BadInput
from potstill.networks import load_weights
def most():  # ever held by this program, and not by the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
before, told = most(), {}
for kind in json.loads(sys.argv[1]):
    began, file = time.process_time(), Path(kind, "file")
    try:
        load_weights(nn.Linear(4, 4), file)
    except BadInput as error:
        told[kind] = [str(error), time.process_time() - began]
        file.unlink()
print(json.dumps([told, (most() - before) / 2**20]))
"""


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """What one process says of all bombs, the seconds each took, and how many GiB it grew by."""
    folder = tmp_path_factory.mktemp("bombs")
    for kind, make in BOMBS.items():
        (folder / kind).mkdir()
        (folder / kind / "file").write_bytes(make())
    words = [sys.executable, "-c", LOAD, json.dumps([*BOMBS])]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    assert not list(folder.rglob("owned"))
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", BOMBS)
def test_a5_a_bomb_is_one_line_in_good_time(tried, kind):
    message, seconds = tried[0][kind]
    assert "\n" not in message
    assert seconds < 10


def test_a5_no_bomb_takes_memory(tried):
    assert tried[1] < 1.5, "GiB"


@pytest.mark.parametrize("kind", OTHER_FILES)
def test_other_files_are_called_what_they_are(tmp_path, kind):
    content, message = OTHER_FILES[kind]
    (tmp_path / "file.pth").write_bytes(content)
    with pytest.raises(BadInput, match=message) as error:
        load_weights(nn.Linear(4, 4), tmp_path / "file.pth")
    assert str(error.value).startswith(f"cannot read weights from {tmp_path / 'file.pth'}: ")


@pytest.mark.parametrize("new", [True, False])
def test_damaged_files_are_refused_or_right(tmp_path, new):
    """Cut anywhere, or with one bit of 300 flipped; in the new format a checksum notices what changes the weights."""
    network, file = nn.Linear(4, 4), tmp_path / "file.pth"
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, file, _use_new_zipfile_serialization=new)
    whole = file.read_bytes()
    damaged = [whole[: len(whole) * part // 40] for part in range(40)]
    for place in range(300):
        flipped = bytearray(whole)
        flipped[place * 7919 % len(whole)] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    for content in damaged:
        file.write_bytes(content)
        here = nn.Linear(4, 4)
        try:
            load_weights(here, file)
        except BadInput as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert not new or torch.equal(here.weight, network.weight)
