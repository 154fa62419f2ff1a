import pytest
import torch
from safetensors.torch import save_file

from potstill.errors import BadInput
from potstill.networks import create, load_weights, share

ROCKET_NETWORKS = {  # the recording's names; the light net's batch norms and classifier end in "s"
    "light": {"spec": "wrn-16-1", "end": "s", "blocks": 2},
    "booster": {"spec": "wrn-40-1", "end": "", "blocks": 6},
}


def check(seen, recorded, names, dtype):
    for alias, name in names.items():
        expected = recorded.out[name].to(dtype)
        if dtype == torch.float64:  # off by what float32 costs the recording, and by nothing more
            assert (seen[alias] - expected).abs().max() <= 1.001 * recorded.float32_error[name]
        else:
            torch.testing.assert_close(seen[alias], expected, atol=recorded.atol, rtol=recorded.rtol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_wrn_16_2_repeats_the_recorded_forward_pass(recording, run_with_aliases, tmp_path, dtype):
    recorded = recording("net_wrn_16_2_conv")
    save_file(recorded.state, tmp_path / "moonshine.safetensors")
    network = create("wrn-16-2").eval().to(dtype)
    load_weights(network, tmp_path / "moonshine.safetensors")
    seen = run_with_aliases(network, recorded.images.to(dtype))
    names = {"logits": "logits", "stage1": "group1", "stage2": "group2", "stage3": "group3"}
    assert set(names.values()) == set(recorded.out)
    check(seen, recorded, names, dtype)


def rocket_state(recorded, end, blocks):
    """The part of the recording's joint state that one of its two networks uses, under our names."""
    state = {"conv1.weight": recorded.state["conv0"]}
    parts = {"weight", "bias", "running_mean", "running_var"}
    for part in parts:
        state[f"bn1.{part}"] = recorded.state[f"bn{end}.{part}"]
    for part in ("weight", "bias"):
        state[f"fc.{part}"] = recorded.state[f"fc{end}.{part}"]
    for group in range(3):
        for block in range(blocks):
            theirs, ours = f"group{group}.block{block}", f"block{group + 1}.{block}"
            for number in (0, 1):
                state[f"{ours}.conv{number + 1}.weight"] = recorded.state[f"{theirs}.conv{number}"]
                for part in parts:
                    state[f"{ours}.bn{number + 1}.{part}"] = recorded.state[f"{theirs}.bn{end}{number}.{part}"]
            if f"{theirs}.convdim" in recorded.state:
                state[f"{ours}.shortcut.weight"] = recorded.state[f"{theirs}.convdim"]
    return state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_shared_rocket_repeats_the_recorded_forward_pass(recording, run_with_aliases, tmp_path, dtype):
    recorded = recording("net_rocket_interval_16_40_w1")
    networks = {name: create(net["spec"]).eval().to(dtype) for name, net in ROCKET_NETWORKS.items()}
    share(networks["light"], networks["booster"])
    for name, net in ROCKET_NETWORKS.items():
        save_file(rocket_state(recorded, net["end"], net["blocks"]), tmp_path / f"{name}.safetensors")
        load_weights(networks[name], tmp_path / f"{name}.safetensors")
    for name, network in networks.items():
        seen = run_with_aliases(network, recorded.images.to(dtype))
        names = {"logits": f"{name}_logits", **{f"stage{i + 1}": f"{name}_group{i}" for i in range(3)}}
        assert set(names.values()) == {out for out in recorded.out if out.startswith(name)}
        check(seen, recorded, names, dtype)


def test_pre_is_the_batch_norm_after_the_group(run_with_aliases):
    network = create("wrn-16-2", seed=0).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)  # otherwise a batch norm in eval mode does nothing
    seen = run_with_aliases(network, torch.randn(2, 3, 32, 32))
    following = {"stage1": network.block2[0].bn1, "stage2": network.block3[0].bn1, "stage3": network.bn1}
    for stage, norm in following.items():
        assert torch.equal(seen[f"{stage}:pre"], norm(seen[stage]))
        assert not torch.equal(seen[f"{stage}:pre"], seen[stage])
    assert torch.equal(seen["pooled"], seen["stage3:pre"].relu().mean((2, 3)))
    assert seen["stem"].shape == (2, 16, 32, 32)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("wrn-17-2", "6n \\+ 4, not 17; the nearest is 16$"),
        ("wrn-4-2", "6n \\+ 4, not 4; the nearest is 10$"),
        ("wrn-16-0", "a width of 1 or more, not 0$"),
    ],
)
def test_sizes_that_do_not_exist(spec, message):
    with pytest.raises(BadInput, match=message):
        create(spec)
