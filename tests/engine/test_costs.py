import torch

import potstill as ps
from potstill.engine.costs import costs_of, peak_memory
from potstill.losses import CE, KD
from potstill.networks.cost import macs, parameters


def test_costs_of_every_network():
    data = ps.data.load("digits", batch_size=100)
    networks = {"student": ps.networks.create("wrn-10-1"), "teacher": ps.freeze(ps.networks.create("resnet8"))}
    terms = [ps.Term(CE(), "student", "labels"), ps.Term(KD(), "student", "teacher")]
    distiller = ps.Distiller(networks, terms, example=data.example())
    assert costs_of(distiller, data) == {
        name: {"parameters": parameters(network), "macs": macs(network, (3, 8, 8))}
        for name, network in networks.items()
    }


def test_peak_memory_is_the_process_s_on_a_cpu():
    found = peak_memory(torch.device("cpu"))
    assert found["of"] == "process"
    assert 50e6 < found["peak_bytes"] < 64e9
