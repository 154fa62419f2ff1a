import random
import resource
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from potstill.engine.checkpoint import (
    fingerprint,
    load_checkpoint,
    random_states,
    restore_random_states,
    save_checkpoint,
    save_weights,
)
from potstill.errors import BadInput
from potstill.whole_file import write_whole

CPU = torch.device("cpu")
STATE = {"learners": {}, "losses": {}, "optimizer": {}, "random": random_states(), "history": []}


def test_a_checkpoint_comes_back(tmp_path):
    state = {**STATE, "losses": {"weight": torch.randn(3)}}
    save_checkpoint(tmp_path / "last.ckpt", state)
    back = load_checkpoint(tmp_path / "last.ckpt", CPU)
    assert torch.equal(back["losses"]["weight"], state["losses"]["weight"])
    assert back["history"] == state["history"]
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("part", list(STATE["random"]))
def test_a_random_state_that_is_missing_is_named(tmp_path, part):
    random = {name: state for name, state in STATE["random"].items() if name != part}
    save_checkpoint(tmp_path / "last.ckpt", {**STATE, "random": random})
    with pytest.raises(BadInput, match=rf"is no checkpoint of a run: random\.{part} is missing$"):
        load_checkpoint(tmp_path / "last.ckpt", CPU)


@pytest.mark.parametrize("place", [0, 70, -1])
def test_one_flipped_bit_is_noticed(tmp_path, place):
    file = tmp_path / "last.ckpt"
    save_checkpoint(file, STATE)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(BadInput, match="is damaged"):
        load_checkpoint(file, CPU)


def test_a_disk_that_fills_up_leaves_the_old_file_and_no_draft(tmp_path):
    file = tmp_path / "weights"
    write_whole(file, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(file, bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_weights_load_into_the_bare_network_even_if_shared(tmp_path):
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    save_weights(nn.ModuleList([first, second]), tmp_path / "shared.safetensors")
    assert set(load_file(tmp_path / "shared.safetensors")) == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_a_fingerprint_tells_one_bit_and_one_buffer():
    network = nn.BatchNorm1d(3)
    before = fingerprint(network)
    assert fingerprint(network) == before
    network.running_mean[1] += 1e-7
    assert fingerprint(network) != before


def test_all_random_states_come_back():
    states = random_states()
    drawn = [torch.rand(2), random.random(), np.random.rand()]
    restore_random_states(states)
    again = [torch.rand(2), random.random(), np.random.rand()]
    assert torch.equal(drawn[0], again[0])
    assert drawn[1:] == again[1:]
