"""B3: the previous good checkpoint is kept, and a run whose last one is damaged goes on from it, bit for bit."""

import shutil
from pathlib import Path

import pytest
import torch

import potstill as ps
from potstill.engine.checkpoint import load_checkpoint, load_newest, random_states, save_checkpoint
from potstill.engine.state import State
from potstill.errors import BadInput
from potstill.recipes import supervised
from potstill.runs import manifest

CPU = torch.device("cpu")
EPOCHS = 3


class Killed(BaseException):
    pass


def train(out: Path) -> None:
    training = ps.Training("digits", images=60, test_images=20, batch_size=30, epochs=EPOCHS, device="cpu", out=out)
    supervised(network="resnet8", training=training)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing has happened to."""
    train(out := tmp_path_factory.mktemp("finished") / "run")
    return out


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run, killed right after its second epoch was saved."""
    out, save, saved = tmp_path_factory.mktemp("killed") / "run", State.save, []

    def save_and_be_killed(self, history):
        save(self, history)
        saved.append(None)
        if len(saved) == 2:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(State, "save", save_and_be_killed)
        with pytest.raises(Killed):
            train(out)
    return out


@pytest.fixture
def run(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "run"))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def remove(file: Path) -> None:
    file.unlink()


def link_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def be_another_epochs(file: Path) -> None:
    file.write_bytes(file.with_name("previous.ckpt").read_bytes())


DAMAGES = [flip, truncate, empty, remove, link_to_itself, be_another_epochs]


def same(run: Path, other: Path) -> bool:
    names = ("student.safetensors", "student-best.safetensors")
    return all((run / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_two_checkpoints_are_kept(run):
    assert len(load_checkpoint(run / "last.ckpt", CPU)["history"]) == 2
    assert len(load_checkpoint(run / "previous.ckpt", CPU)["history"]) == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_costs_an_epoch_and_no_bit(run, damage, finished, capsys):
    damage(run / "last.ckpt")
    train(run)
    said = capsys.readouterr().err
    assert f"potstill: {run / 'last.ckpt'} is " in said
    assert "going on from previous.ckpt, after epoch 1\n" in said
    assert same(run, finished)
    manifest.verify_all(run)
    assert len(load_checkpoint(run / "previous.ckpt", CPU)["history"]) == EPOCHS - 1


def test_it_takes_the_damaged_ones_place_at_once(run):
    flip(run / "last.ckpt")
    found = load_newest(run, CPU)
    assert found is not None
    assert len(found["history"]) == 1
    assert (run / "last.ckpt").read_bytes() == (run / "previous.ckpt").read_bytes()
    manifest.verify_all(run)


def test_an_undamaged_one_says_nothing(run, finished, capsys):
    train(run)
    assert "previous.ckpt" not in capsys.readouterr().err
    assert same(run, finished)


@pytest.mark.parametrize("damage", [flip, remove])
def test_both_damaged_is_one_line(run, damage):
    for name in ("last.ckpt", "previous.ckpt"):
        damage(run / name)
    with pytest.raises(BadInput, match=r"last\.ckpt is .*; nor can the one before be used: .* to start again$"):
        train(run)


@pytest.mark.parametrize("name", ["student.safetensors", "student-best.safetensors"])
def test_damaged_weights_of_a_run_that_goes_on_are_said(run, name, capsys):
    flip(run / name)
    train(run)
    assert f"{name} is damaged" in capsys.readouterr().err


STATE = {"learners": {}, "losses": {}, "optimizer": {}, "random": random_states(), "history": []}
SHAPES = {
    "a list": [1, 2],
    "a tensor": torch.zeros(3),
    "None": None,
    "a number": 3,
    "nothing": {},
    "no optimizer": {key: value for key, value in STATE.items() if key != "optimizer"},
    "a list of learners": {**STATE, "learners": []},
    "a history of words": {**STATE, "history": ["epoch 0"]},
    "a history of dictionaries": {**STATE, "history": [{"epoch": 0}]},
    "a history that is a number": {**STATE, "history": 3},
    "no random numbers": {**STATE, "random": {}},
    "random numbers that are none": {**STATE, "random": {"torch": 1}},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_checkpoint_with_a_right_digest_that_holds_something_else(tmp_path, shape):
    # C11
    import hashlib
    import io

    torch.save(SHAPES[shape], buffer := io.BytesIO())
    digest = hashlib.sha256(buffer.getvalue()).hexdigest().encode()
    (tmp_path / "last.ckpt").write_bytes(digest + b"\n" + buffer.getvalue())
    with pytest.raises(BadInput, match=r"last\.ckpt is no checkpoint of a run: [^\n]+$"):
        load_checkpoint(tmp_path / "last.ckpt", CPU)


def test_a_digest_over_no_torch_file(tmp_path):
    import hashlib

    (tmp_path / "last.ckpt").write_bytes(hashlib.sha256(b"no").hexdigest().encode() + b"\nno")
    with pytest.raises(BadInput, match=r"last\.ckpt is no checkpoint of a run: [^\n]+$"):
        load_checkpoint(tmp_path / "last.ckpt", CPU)


@pytest.mark.parametrize("part", ["learners", "losses", "optimizer", "random"])
def test_contents_that_fit_nothing_are_one_line(run, part):
    state = load_checkpoint(run / "last.ckpt", CPU)
    odd = {"torch": 1, "cuda": 1, "python": 1, "numpy": 1} if part == "random" else {"student": [1], "param_groups": 3}
    save_checkpoint(run / "last.ckpt", {**state, part: odd})
    with pytest.raises(BadInput, match=r"last\.ckpt is of other networks: [^\n]+$"):
        train(run)
