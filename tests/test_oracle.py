"""Every recorded case of the original implementations, number by number.

``POTSTILL_ORACLE`` names other folders of the same format, with the path separator between them.
"""

import os
from pathlib import Path

import pytest
import torch
from oracle import (
    feature_cases,
    imagenet_cases,
    loss_cases,
    newer_embeddings,
    newer_features,
    newer_online,
    newer_relations,
    newer_responses,
    record_cases,
    relation_cases,
)
from oracle.case import Case, read_cases
from oracle.record_cases import TRAININGS, final_names, five_steps
from oracle.schedule_cases import SCHEDULES

BESIDE = Path(__file__).resolve().parents[2] / "shared"
USUAL = os.pathsep.join(str(BESIDE / name) for name in ("oracle", "oracle_newer"))
FOLDERS = [Path(name) for name in os.environ.get("POTSTILL_ORACLE", USUAL).split(os.pathsep)]
NEWER = (newer_responses, newer_features, newer_relations, newer_online, newer_embeddings)
LOSSES = {**loss_cases.LOSSES, **feature_cases.LOSSES, **relation_cases.LOSSES}
for module in NEWER:
    LOSSES.update(module.LOSSES)
SELECTIONS = feature_cases.SELECTIONS
MEMORIES = relation_cases.MEMORIES
FORWARDS = {**record_cases.FORWARDS, **imagenet_cases.FORWARDS}
RECORDS = {name: check for module in NEWER for name, check in module.RECORDS.items()}
TABLES = (LOSSES, SELECTIONS, MEMORIES, FORWARDS, TRAININGS, SCHEDULES, RECORDS)
CASES = [case for folder in FOLDERS if folder.is_dir() for case in read_cases(folder)]


def cases(table) -> list:
    """Those of CASES that ``table`` computes; a loss case has inputs, every other one a record of tensors."""
    chosen = [case for case in CASES if case.kind in table and ("inputs" in case.entry) == (table is LOSSES)]
    return [pytest.param(case, id=case.name) for case in chosen]


def test_every_case_is_mapped(capsys):
    for folder in FOLDERS:
        if not folder.is_dir():
            pytest.skip(f"POTSTILL_ORACLE: no folder {folder}")
    mapped = [parameter.id for table in TABLES for parameter in cases(table)]
    with capsys.disabled():
        print(f"\n{len(mapped)} of the {len(CASES)} cases in {os.pathsep.join(map(str, FOLDERS))} are checked")
    assert sorted(mapped) == sorted(case.name for case in CASES)


def compute(case: Case, dtype: torch.dtype):
    inputs = case.tensors("inputs", dtype)
    for name in case["grads"]:
        if name in inputs:
            inputs[name].requires_grad_()
    computed = LOSSES[case["method"]](case, inputs, case.tensors("state", dtype))
    computed.loss.backward()
    return inputs, computed


@pytest.mark.parametrize("case", cases(LOSSES))
def test_loss(case):
    tolerance = case["tolerance"]
    inputs, computed = compute(case, torch.float32)
    assert computed.loss.shape == ()
    expected = torch.tensor(case["expected_loss"])
    torch.testing.assert_close(
        computed.loss.detach(), expected, rtol=tolerance["loss_rtol"], atol=tolerance["loss_atol"]
    )
    for name, value in case.tensors("outputs").items():
        atol = tolerance["output_atol"].get(name, 0)  # none is given for classes
        torch.testing.assert_close(
            computed.outputs[name].detach(), value, rtol=tolerance["output_rtol"], atol=atol, msg=name
        )
    check_gradients(case, inputs, computed)
    for name, value in case.tensors("state_after").items():
        torch.testing.assert_close(computed.module.state_dict()[name], value, rtol=1e-5, atol=1e-6, msg=name)


def check_gradients(case, inputs, computed):
    assert case["grads"] or "no gradient recorded" in case["notes"]
    parameters = dict(computed.module.named_parameters()) if computed.module else {}
    for name, reference in case["grads"].items():
        tensor = parameters[name.removeprefix("state.")] if name.startswith("state.") else inputs[name]
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        rtol, atol = case["tolerance"]["grad_rtol"], reference["atol"]
        if "key" in reference:
            torch.testing.assert_close(gradient, case.tensor(reference), rtol=rtol, atol=atol, msg=name)
        else:
            assert gradient.norm().item() == pytest.approx(reference["norm"], rel=rtol)
            assert gradient.abs().max().item() == pytest.approx(reference["max_abs"], rel=rtol, abs=atol)


@pytest.mark.parametrize("case", cases(LOSSES))
def test_loss_in_float64(case):
    _, computed = compute(case, torch.float64)
    assert computed.loss.item() == pytest.approx(case["expected_loss_float64"], rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("case", cases(SELECTIONS))
def test_selection(case):
    recorded = case.tensors("tensors")
    for name, indices in SELECTIONS[case["method"]](case).items():
        assert indices.tolist() == recorded[name].tolist(), name


@pytest.mark.parametrize("case", cases(MEMORIES))
def test_memory_bank(case):
    tolerance = case["tolerance"]
    computed = MEMORIES[case["method"]](case, torch.float32)
    for name, value in case.record("out").items():
        rtol, atol = tolerance["loss_rtol"], 0.0
        if "grad" in name:
            rtol, atol = tolerance["grad_rtol"], tolerance["grad_atol_relative_to_max"] * value.abs().max().item()
        elif "memory" in name:
            rtol, atol = 0.0, tolerance["memory_atol"]
        torch.testing.assert_close(computed[name].reshape(value.shape), value, rtol=rtol, atol=atol, msg=name)


@pytest.mark.parametrize("case", cases(MEMORIES))
def test_memory_bank_in_float64(case):
    computed = MEMORIES[case["method"]](case, torch.float64)
    for name, value in case["values"]["float64"].items():  # recorded with Z in float32
        assert computed[name].item() == pytest.approx(value, rel=2e-7), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("case", cases(FORWARDS))
def test_network(case, dtype):
    outputs = FORWARDS[case.kind](case, dtype)
    recorded = case.record("out", dtype)
    assert recorded.keys() <= outputs.keys()
    tolerance, errors = case["tolerance"], case["values"]["max_abs_difference_float32_float64"]
    errors = {name.removeprefix("out/"): error for name, error in errors.items()}
    for name, value in recorded.items():
        if dtype == torch.float64:  # off by what float32 costs the recording, and by nothing more
            assert (outputs[name] - value).abs().max().item() <= 1.001 * errors[name], name
            continue
        atol = tolerance.get("logits_atol" if "logits" in name else "activation_atol", tolerance.get("atol"))
        torch.testing.assert_close(outputs[name].detach(), value, rtol=tolerance["rtol"], atol=atol, msg=name)


@pytest.mark.parametrize("case", cases(SCHEDULES))
def test_schedules(case):
    for name, value in SCHEDULES[case["method"]](case).items():
        recorded = case.tensor(case["tensors"][name])
        epochs = torch.tensor([value(epoch) for epoch in range(len(recorded))])
        torch.testing.assert_close(epochs, recorded, rtol=0, atol=case["tolerance"]["atol"], msg=name)


@pytest.mark.parametrize("case", cases(RECORDS))
def test_record(case):
    """Cases that are neither a loss nor a network: each compares what it records by itself."""
    RECORDS[case["method"]](case)


@pytest.mark.parametrize("variant", ["repo", "gentle"])
@pytest.mark.parametrize("case", cases(TRAININGS))
def test_training_in_float64(case, variant):
    recorded = case["values"][variant]
    init = case.record("init", torch.float64)
    settings = {**case.settings, **recorded["settings"]}
    distiller = TRAININGS[case.kind](case, init, settings)
    losses = five_steps(case, distiller, settings)
    for step, expected in enumerate(recorded["losses_per_step_float64"]):
        assert losses[step] == pytest.approx(expected, rel=1e-6), f"step {step + 1}"
    compare_final_state(distiller, recorded["final_state_float64"], case["method"])


def compare_final_state(distiller, recorded, method):
    state = distiller.networks.state_dict()
    compared = 0
    for name, (_mean, _std, norm) in recorded.items():
        for own in final_names(method, name):
            if own in state:
                compared += 1
                assert state[own].norm().item() == pytest.approx(norm, rel=1e-5, abs=1e-9), own
    learned = [n for n in state if n.split(".")[0] in distiller.learners and "num_batches" not in n]
    assert compared == len(learned)
