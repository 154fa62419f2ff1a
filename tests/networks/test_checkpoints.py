"""C2, C3, B10: what training scripts write loads, whatever lies beside the weights; which was taken is said."""

import argparse
import copy
import datetime
import enum
import json
import logging
import os
import pickle
import random
import types
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from pathlib import Path, PosixPath

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, load_weights


class Phase(enum.Enum):
    TRAIN = 1


@dataclass
class Settings:
    lr: float = 0.1
    seen: tuple = (1, 2)


class ConfigDict(dict):
    """As of MMEngine or ml_collections: its attributes are its entries."""

    __getattr__ = dict.__getitem__


class StateDict(OrderedDict):
    """A dictionary of a class of one's own."""


class Odd:
    """Pickled by a call with keywords, by slots, and by a state that is no dictionary."""

    __slots__ = ("value",)

    def __init__(self, *, value=3):
        self.value = value

    def __getnewargs_ex__(self):
        return (), {}

    def __getstate__(self):
        return (None, {"value": self.value})

    def __setstate__(self, state):
        self.value = state[1]["value"]


def odds_and_ends():
    """Whatever people keep beside their weights."""
    return {
        "args": argparse.Namespace(lr=0.1, output=Path("/data/out"), nested=argparse.Namespace(a=1)),
        "path": PosixPath("runs/x"),
        "best_acc1": np.float64(93.1),
        "numbers": np.arange(3),
        "names": np.array(["a", "b"]),
        "objects": np.array([{"a": 1}], dtype=object),
        "date": datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC),
        "took": datetime.timedelta(3),
        "phase": Phase.TRAIN,
        "settings": Settings(),
        "config": ConfigDict(model=ConfigDict(type="ResNet")),
        "history": defaultdict(list, loss=[1.0, 2.0]),
        "counts": Counter("abc"),
        "last": deque([1, 2], maxlen=3),
        "seen": {1, 2},
        "frozen": frozenset("ab"),
        "odd": Odd(),
        "function": nn.functional.relu,
        "class": nn.Linear,
        "logger": logging.getLogger("potstill.test"),
        "namespace": types.SimpleNamespace(a=1),
        "torch": [torch.device("cpu"), torch.float16, torch.Size([1])],
        "rng": [torch.get_rng_state(), np.random.get_state(), random.getstate()],
        "complex": 1 + 2j,
        "range": range(3),
        "slice": slice(1, 2),
        "bytes": bytearray(b"abc"),
        "large": 10**400,
        "nothing": None,
    }


def trained(network, lr=0.01):
    """An optimiser with a state, a scheduler and a scaler, all of a real step."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    scheduler.step()
    return optimizer, scheduler


def behind(state, prefix):
    return OrderedDict((f"{prefix}{name}", value) for name, value in state.items())


def other(state):
    """An average: the same shapes, other values."""
    return OrderedDict((n, v * 0.5 if v.is_floating_point() else v) for n, v in state.items())


def timm(network):
    optimizer, _ = trained(network)
    args = argparse.Namespace(model="resnet8", data_dir=Path("/imagenet"), lr=np.float64(0.1), aug=None)
    state = network.state_dict()
    return {"epoch": 3, "arch": "resnet8", "state_dict": state, "optimizer": optimizer.state_dict(), "version": 2} | {
        "args": args,
        "state_dict_ema": other(state),
        "metric": np.float32(80.0),
    }


def torchvision(network):
    optimizer, scheduler = trained(network)
    averaged = torch.optim.swa_utils.AveragedModel(network)
    averaged.module.load_state_dict(other(network.state_dict()))
    parts = {"model": network, "optimizer": optimizer, "lr_scheduler": scheduler, "model_ema": averaged}
    scaler = torch.amp.GradScaler("cpu").state_dict()
    args = argparse.Namespace(data_path=Path("/data"), device=torch.device("cuda"))
    return {k: v.state_dict() for k, v in parts.items()} | {"epoch": 1, "args": args, "scaler": scaler}


def mmengine(network):
    state = OrderedDict()
    for name, value in network.state_dict().items():
        state[("head." if name.startswith("fc.") else "backbone.") + name] = value
    hub = {"log_scalars": {"train/loss": types.SimpleNamespace(_log_history=np.arange(3.0))}, "runtime_info": {}}
    meta = {"time": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), "cfg": "model = dict()", "seed": 3}
    optimizer, _ = trained(network)
    return {"meta": meta, "state_dict": state, "message_hub": hub, "optimizer": optimizer.state_dict()} | {
        "param_schedulers": [ConfigDict(begin=0)]
    }


def lightning(network):
    optimizer, scheduler = trained(network)
    callbacks = {"ModelCheckpoint{'monitor': None}": {"best_model_score": torch.tensor(0.5), "dirpath": Path("x")}}
    state = behind(network.state_dict(), "model.")
    state["loss.weight"] = torch.ones(10)
    return {"epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.4", "state_dict": state} | {
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": callbacks,
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [scheduler.state_dict()],
        "hparams_name": "kwargs",
        "hyper_parameters": ConfigDict(lr=0.1, backbone=Settings(), path=Path("x")),
    }


def deit(network):
    optimizer, scheduler = trained(network)
    parts = {"model": network, "optimizer": optimizer, "lr_scheduler": scheduler}
    kept = {"epoch": 1, "scaler": {"scale": 65536.0, "_growth_tracker": 0}, "args": argparse.Namespace(lr=1)}
    return {k: v.state_dict() for k, v in parts.items()} | kept | {"model_ema": other(network.state_dict())}


def repdistiller(network):
    return {"opt": argparse.Namespace(model_t="resnet8"), "model": network.state_dict(), "accuracy": np.float64(70)}


def fastai(network):
    return {"model": network.state_dict(), "opt": {"state": [{"mom": torch.ones(3)}], "hypers": [{"lr": 0.1}]}}


def ultralytics(network):
    return {"epoch": -1, "best_fitness": np.float64(0.5), "model": copy.deepcopy(network), "ema": None} | {
        "train_args": {"lr0": 0.01},
        "date": datetime.datetime.now(datetime.UTC).isoformat(),
    }


def basicsr(network):
    return {"params": network.state_dict(), "params_ema": other(network.state_dict())}


def dino(network):
    student, teacher = (
        behind(network.state_dict(), "module.backbone."),
        behind(other(network.state_dict()), "backbone."),
    )
    student["module.head.mlp.0.weight"] = torch.ones(3, 3)
    return {"student": student, "teacher": teacher, "args": argparse.Namespace(arch="x"), "dino_loss": {"center": 1}}


def fsdp(network):
    state = {}
    for name, value in network.state_dict().items():
        state["_fsdp_wrapped_module." + name.replace("layer1.0.", "layer1.0._checkpoint_wrapped_module.")] = value
    return {"app": {"model": state}}


def compiled(network):
    return {"model": behind(network.state_dict(), "_orig_mod.module."), "iter_num": 3, "config": {"dropout": 0.0}}


def deepspeed(network):
    return {"module": network.state_dict(), "optimizer": None, "ds_config": {"a": 1}, "mp_world_size": 1}


def thop(network):
    state = network.state_dict()
    for name, _ in network.named_modules():
        state[f"{name}.total_ops".lstrip(".")] = torch.zeros(1, dtype=torch.float64)
        state[f"{name}.total_params".lstrip(".")] = torch.zeros(1, dtype=torch.float64)
    return state


def inner_wrappers(network):
    """As of torch's old ImageNet example, which wraps a part of a VGG."""
    return {
        n.replace("layer1.", "layer1.module.").replace("fc.", "fc._orig_mod."): v
        for n, v in network.state_dict().items()
    }


def own_class(network):
    return {"net": StateDict(network.state_dict())}


def trainer(network):
    """A whole object, with the network inside it."""
    holder = Settings()
    holder.model, holder.loss = copy.deepcopy(network), nn.CrossEntropyLoss()
    return holder


def everything(network):
    return {"state_dict": network.state_dict(), **odds_and_ends()}


def half(network):
    return {n: v.half() if v.is_floating_point() else v for n, v in network.state_dict().items()}


def bfloat(network):
    return {n: v.bfloat16() if v.is_floating_point() else v for n, v in network.state_dict().items()}


def parameters(network):
    """With gradients, hooks and attributes of one's own."""
    state = dict(network.named_parameters()) | dict(network.named_buffers())
    state["fc.weight"].note = "mine"
    return {"weights": state}


def views(network):
    """All of one storage, in another order and with other strides."""
    state, start = {}, 0
    flat = torch.zeros(sum(v.numel() for v in network.state_dict().values()))
    for name, value in network.state_dict().items():
        part = flat[start : start + value.numel()]
        part.copy_(value.flatten())
        state[name] = part.view(value.shape) if value.dim() != 2 else part.view(value.shape).t().contiguous().t()
        start += value.numel()
    return state


FORMATS = {
    "timm": (timm, ["taken from state_dict", "#state_dict_ema fits as well"]),
    "torchvision's references": (torchvision, ["taken from model", "#model_ema fits as well"]),
    "MMEngine": (mmengine, ["taken from state_dict", "without the prefix backbone. and head."]),
    "Lightning": (lightning, ["taken from state_dict", "prefix model.", "left out are 1 others (loss.weight)"]),
    "DeiT": (deit, ["taken from model", "#model_ema fits as well"]),
    "RepDistiller": (repdistiller, ["taken from model"]),
    "fastai": (fastai, ["taken from model"]),
    "Ultralytics": (ultralytics, ["taken from model"]),
    "BasicSR": (basicsr, ["taken from params,", "#params_ema fits as well"]),
    "DINO": (dino, ["taken from student", "#teacher fits as well", "prefix module. and backbone."]),
    "FSDP": (fsdp, ["taken from app/model", "prefix _fsdp_wrapped_module."]),
    "torch.compile": (compiled, ["taken from model", "prefix _orig_mod. and module."]),
    "DeepSpeed": (deepspeed, ["taken from module"]),
    "thop": (thop, ["counters (total_ops, "]),
    "inner wrappers": (inner_wrappers, []),
    "an own class": (own_class, ["taken from net"]),
    "a whole network": (copy.deepcopy, []),
    "a whole trainer": (trainer, ["taken from model"]),
    "everything": (everything, ["taken from state_dict"]),
    "half": (half, []),
    "bfloat16": (bfloat, []),
    "parameters": (parameters, ["taken from weights"]),
    "views": (views, []),
}


def zipped(content, path):
    torch.save(content, path)


def old(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def unchecked(content, path):
    torch.serialization.set_crc32_options(False)
    torch.save(content, path)
    torch.serialization.set_crc32_options(True)


def protocol_4(content, path):
    torch.save(content, path, pickle_protocol=4)


def old_protocol_5(content, path):
    torch.save(content, path, pickle_protocol=5, _use_new_zipfile_serialization=False)


def pickled(content, path):
    path.write_bytes(pickle.dumps(content))


WRITERS = (zipped, old)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("how", WRITERS, ids=lambda how: how.__name__)
@pytest.mark.parametrize("project", FORMATS)
def test_c2_what_training_scripts_write(tmp_path, capsys, project, how):
    make, said = FORMATS[project]
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    content = make(there)
    how(content, tmp_path / "last.pth")
    load_weights(here, tmp_path / "last.pth")
    rounded = {"half": torch.float16, "bfloat16": torch.bfloat16}.get(project)
    for name, value in there.state_dict().items():
        value = value if rounded is None or not value.is_floating_point() else value.to(rounded).float()
        assert torch.equal(here.state_dict()[name], value), name
    told = capsys.readouterr().err
    assert all(words in told for words in said), told
    assert bool(said) == bool(told)


@pytest.mark.parametrize("how", [unchecked, protocol_4, old_protocol_5, pickled], ids=lambda how: how.__name__)
def test_c2_other_ways_to_write(tmp_path, how):
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    how(everything(there), tmp_path / "last.pkl")
    load_weights(here, tmp_path / "last.pkl")
    assert torch.equal(here.fc.weight, there.fc.weight)


@pytest.mark.parametrize("protocol", range(6))
def test_c2_arrays_in_a_pickle(tmp_path, capsys, protocol):
    """As detectron2's model zoo has them; of any order of bytes and of any order of axes."""
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    state = {name: value.numpy() for name, value in there.state_dict().items()}
    state["fc.weight"] = np.asfortranarray(state["fc.weight"])
    state["fc.bias"] = state["fc.bias"].astype(">f4")
    state["bn1.num_batches_tracked"] = np.int64(7)
    content = {"model": state, "__author__": "somebody", "matching_heuristics": True}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
    load_weights(here, tmp_path / "a.pkl")
    for name, value in there.state_dict().items():
        assert torch.equal(here.state_dict()[name], value if name != "bn1.num_batches_tracked" else torch.tensor(7)), (
            name
        )
    assert "taken from model" in capsys.readouterr().err


def npz(state, path):
    np.savez(path.with_suffix(".npz"), **{name: value.numpy() for name, value in state.items()})
    path.with_suffix(".npz").rename(path)


def packed_npz(state, path):
    np.savez_compressed(path.with_suffix(".npz"), **{name: value.numpy() for name, value in state.items()})
    path.with_suffix(".npz").rename(path)


def safetensors(state, path):
    save_file(state, path, metadata={"format": "pt"})


def scripted(state, path):
    network = create("resnet8", seed=0)
    network.load_state_dict(state)
    torch.jit.trace(network.eval(), torch.randn(1, 3, 8, 8), check_trace=False).save(str(path))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".pt", ".bin", ".ckpt", ".npz", ".th", ".pkl", ""])
@pytest.mark.parametrize("how", [zipped, old, safetensors, npz, packed_npz, scripted], ids=lambda how: how.__name__)
def test_c2_a_files_content_tells_what_it_is_and_not_its_name(tmp_path, how, suffix):
    if how is scripted and suffix not in (".pt", ".pth"):
        return
    there, here = create("resnet8", seed=0).eval(), create("resnet8", seed=1)
    how(there.state_dict(), tmp_path / f"file{suffix}")
    load_weights(here, tmp_path / f"file{suffix}")
    for name, value in there.state_dict().items():
        assert torch.equal(here.state_dict()[name], value), name


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_c2_files_in_several_parts(tmp_path, kind):
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    names, index = list(there.state_dict()), {}
    for number, half_of_them in enumerate((names[:20], names[20:]), 1):
        part = tmp_path / f"model-0000{number}-of-00002.{kind}"
        state = {name: there.state_dict()[name] for name in half_of_them}
        (save_file if kind == "safetensors" else torch.save)(state, part)
        index |= dict.fromkeys(half_of_them, part.name)
    path = tmp_path / f"model.{kind}.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": index}))
    load_weights(here, path)
    assert all(torch.equal(here.state_dict()[name], value) for name, value in there.state_dict().items())
    part.unlink()
    with pytest.raises(BadInput, match=r"it names model-00002-of-00002\.\w+, which is not beside it$"):
        load_weights(here, path)


def test_c2_hugging_faces_trainer(tmp_path, capsys):
    """A checkpoint of a network that wraps ours as backbone and classifier, as its Trainer saves it."""
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    state = {
        f"model.{n}" if not n.startswith("fc.") else n.replace("fc.", "classifier."): v
        for n, v in there.state_dict().items()
    }
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    torch.save(state, tmp_path / "pytorch_model.bin")
    for name in ("model.safetensors", "pytorch_model.bin"):
        here = create("resnet8", seed=1)
        load_weights(here, tmp_path / name)
        assert all(torch.equal(here.state_dict()[n], value) for n, value in there.state_dict().items())
        assert "without the prefix model." in capsys.readouterr().err


@pytest.mark.parametrize(
    "prefix", ["model.", "net.", "backbone.", "encoder.", "module.", "a.b.", "student.model.", "0."]
)
def test_c3_any_prefix_before_every_name(tmp_path, capsys, prefix):
    there, here = create("resnet8", seed=0), create("resnet8", seed=1)
    torch.save(behind(there.state_dict(), prefix), tmp_path / "a.pt")
    load_weights(here, tmp_path / "a.pt")
    assert torch.equal(here.fc.weight, there.fc.weight)
    assert (
        f"without the prefix {' and '.join(part + '.' for part in prefix.split('.')[:-1])}" in capsys.readouterr().err
    )


def test_c3_one_part_of_several_fits(tmp_path, capsys):
    there, here, wide = create("resnet8", seed=0), create("resnet8", seed=1), create("resnet8x4", seed=2)
    state = behind(there.state_dict(), "student.") | behind(wide.state_dict(), "teacher.") | {"queue": torch.ones(2)}
    torch.save(state, tmp_path / "a.pt")
    load_weights(here, tmp_path / "a.pt")
    assert torch.equal(here.fc.weight, there.fc.weight)
    left = len(wide.state_dict()) + 1
    assert f"without the prefix student.; left out are {left} others (teacher." in capsys.readouterr().err


AMBIGUOUS = {
    "prefixes": (lambda a, b: behind(a, "encoder_q.") | behind(b, "encoder_k."), "encoder_q", "encoder_k"),
    "inside a prefix": (lambda a, b: behind(behind(a, "q.") | behind(b, "k."), "module."), "module.q", "module.k"),
    "entries": (lambda a, b: {"first": a, "second": b}, "first", "second"),
    "peers": (lambda a, b: {"nets": [a, b]}, "nets/0", "nets/1"),
    "prefixes in an entry": (lambda a, b: {"state_dict": behind(a, "q.") | behind(b, "k.")}, "q", "k"),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_c3_where_two_fit_both_are_named_and_one_can_be_chosen(tmp_path, kind):
    make, *parts = AMBIGUOUS[kind]
    networks, path = [create("resnet8", seed=seed) for seed in (0, 1)], tmp_path / "a.pt"
    torch.save(make(*(network.state_dict() for network in networks)), path)
    here = create("resnet8", seed=2)
    with pytest.raises(BadInput) as error:
        load_weights(here, path)
    ways = str(error.value).partition("say which: ")[2].split(" or ")
    assert [way.rpartition("/")[2].rpartition("#")[2].rpartition(".")[2] for way in ways] == [
        part.rpartition("/")[2].rpartition(".")[2] for part in parts
    ]
    for way, network in zip(ways, networks, strict=True):
        load_weights(here, way)
        assert torch.equal(here.fc.weight, network.fc.weight)


@pytest.mark.parametrize(
    ("make", "choice"),
    [(timm, "state_dict_ema"), (deit, "model_ema"), (basicsr, "params_ema"), (torchvision, "model_ema")],
)
def test_b10_averaged_weights_can_be_chosen(tmp_path, make, choice):
    there, here, path = create("resnet8", seed=0), create("resnet8", seed=1), tmp_path / "a#b.pt"
    torch.save(make(there), path)
    load_weights(here, Path(f"{path}#{choice}"))
    assert torch.allclose(here.fc.weight, there.fc.weight * 0.5)
    load_weights(here, path)
    assert torch.equal(here.fc.weight, there.fc.weight)
    with pytest.raises(BadInput, match=r"a#b\.pt holds no weights: there is no 'modle' in it, only "):
        load_weights(here, f"{path}#modle")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("name", ["fc.weight", "bn1.running_var", "conv1.weight"])
def test_weights_that_are_not_finite_are_named(tmp_path, name, value):
    network = create("resnet8", seed=0)
    state = network.state_dict()
    state[name] = state[name].double()
    state[name].flatten()[0] = value
    torch.save(state, tmp_path / "a.pt")
    before = network.fc.bias.clone()
    what = "NaN" if value != value else "infinity"
    with pytest.raises(
        BadInput, match=rf"a\.pt is no use: its {name} holds {what}, 1 of {state[name].numel()} values$"
    ):
        load_weights(network, tmp_path / "a.pt")
    assert torch.equal(network.fc.bias, before)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.complex64, torch.bool, torch.int64])
def test_numbers_of_another_kind_are_not_taken_for_weights(tmp_path, dtype):
    network = create("resnet8", seed=0)
    state = network.state_dict() | {"fc.bias": torch.zeros(10, dtype=dtype)}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(BadInput, match=rf"1 of another kind of numbers \(fc\.bias {dtype}, not torch\.float32\)$"):
        load_weights(network, tmp_path / "a.pt")


class Wrapped(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.body, self.fc = wrap(nn.Sequential(nn.Flatten(), wrap(nn.Linear(192, 8)))), nn.Linear(8, 10)

    def forward(self, images):
        return self.fc(self.body(images))


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile, lambda part: torch.compile(nn.DataParallel(part))])
def test_c3_wrapped_parts_are_saved_and_loaded_bare(tmp_path, wrap):
    from potstill.engine.checkpoint import save_weights

    torch.manual_seed(0)
    wrapped, bare = Wrapped(wrap), Wrapped(lambda part: part)
    save_weights(nn.DataParallel(wrapped), tmp_path / "a.safetensors")
    assert set(load_file(tmp_path / "a.safetensors")) == set(bare.state_dict())
    load_weights(bare, tmp_path / "a.safetensors")
    assert torch.equal(bare.body[1].weight, next(iter(wrapped.parameters())))
    for source in (bare, wrapped):
        again = Wrapped(wrap)
        torch.save(source.state_dict(), tmp_path / "b.pt")
        load_weights(again, tmp_path / "b.pt")
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), wrapped.parameters(), strict=True))


def test_files_whose_names_are_no_text(tmp_path):
    network, odd = create("resnet8", seed=1), Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.safetensors"))
    odd.write_bytes(save(dict(network.state_dict())))
    loaded = create("resnet8", seed=2)
    load_weights(loaded, odd)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in loaded.state_dict().items())
