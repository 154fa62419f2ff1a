"""What an exported network costs, beside the larger network that it learned from."""

from dataclasses import asdict
from typing import Any

from torch import Tensor, nn

from potstill import networks
from potstill.errors import BadInput
from potstill.export.check import Function
from potstill.export.images import RunImages
from potstill.export.rebuild import rebuild
from potstill.export.run_network import RunNetwork
from potstill.runs.headline import heads, of_teacher, title, value_text
from potstill.runs.schema import Network

BATCHES = (1, 64)
SECONDS = 0.5
"""A network and size of batch are measured for about this long."""
FILE = "file"
"""What the exported file is called beside the networks."""
Row = dict[str, Any]


class Exported(nn.Module):
    """A function in the place of a network, to be measured like one."""

    def __init__(self, run: Function) -> None:
        super().__init__()
        self.run = [run]  # in a list: if it is a network, it is none of this one's

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, K)."""
        return self.run[0](images)


def compare(
    chosen: RunNetwork, network: nn.Module, data: RunImages, run: Function | None, latency: bool
) -> dict[str, Any]:
    """Parameters, multiply-adds, accuracy and, with ``latency``, times on the CPU of student and teacher.

    ``run`` is the exported file, if it is to be measured beside its network. Without a teacher that can be made again,
    the student stands alone, and ``note`` says why.
    """
    both = {chosen.name: network}
    result: dict[str, Any] = {}
    if chosen.larger is not None:
        try:
            identity = chosen.config["networks"][chosen.larger]
            both[chosen.larger] = rebuild(chosen.located(chosen.larger), data.input)
            result["beside"] = {chosen.larger: _spec(identity)}
        except (BadInput, OSError) as error:
            result["note"] = f"without {chosen.larger}: {error}"
    costs = {
        "parameters": [networks.parameters(one) for one in both.values()],
        "multiply-adds": [networks.macs(one, data.shape) for one in both.values()],
        "bytes of weights": [_bytes(one) for one in both.values()],
    }
    result |= {"parameters": costs["parameters"][0], "macs": costs["multiply-adds"][0]}
    rows = [_row(name, dict(zip(both, values, strict=True))) for name, values in costs.items()]
    rows += _accuracy(chosen, list(both))
    if latency:
        found, times = _times(both, data.shape, run)
        result |= found
        rows += times
    return {**result, "table": aligned(rows)}


def aligned(rows: list[Row]) -> list[Row]:
    """Rows that all have the columns of each."""
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{key: row.get(key, "") for key in columns} for row in rows]


def _spec(identity: Network) -> str:
    members = identity.get("mean_of")
    return ", ".join(map(_spec, members)) if members else str(identity.get("spec"))


def _row(cost: str, values: dict[str, int]) -> Row:
    ours, *theirs = values.values()
    return {"cost": cost, **values} | ({"ratio": ours / theirs[0]} if theirs else {})


def _bytes(network: nn.Module) -> int:
    """What a file of all weights and statistics holds, as they are in memory."""
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())


def _accuracy(chosen: RunNetwork, names: list[str]) -> list[Row]:
    """The accuracies in the run's summary, the exported network's of the exported epoch; none if it is unfinished."""
    summary = chosen.summary()
    if summary is None:
        return []
    learners, teachers = summary["learners"], summary["teachers"]
    found = {name: learners[name]["best" if chosen.is_best else "last"]["test"] for name in names if name in learners}
    found |= {name: of_teacher(teachers[name]) for name in names if name in teachers}
    head = heads(found.values())
    cells = {name: value_text(measured) for name, measured in found.items()}
    return [{"cost": f"{title(head[0])}, {chosen.epoch}", **cells}] if head else []


def _times(
    both: dict[str, nn.Module], shape: tuple[int, int, int], run: Function | None
) -> tuple[dict[str, Any], list[Row]]:
    """How long they take in turns, as numbers and as rows of text."""
    measured = both if run is None else {**both, FILE: Exported(run)}
    numbers, rows = [], []
    latencies = networks.latencies(list(measured.values()), shape, BATCHES, SECONDS)
    for found in latencies:
        spreads = {name: one.milliseconds for name, one in zip(measured, found, strict=True)}
        if len(both) > 1:
            spreads["ratio"] = found[0].over(found[1])
        batch, runs = found[0].batch, len(found[0].times)
        numbers.append({"batch": batch, "runs": runs, **{name: asdict(spread) for name, spread in spreads.items()}})
        cells = {name: str(spread) for name, spread in spreads.items()}
        rows.append({"cost": f"ms, batch of {batch}, {runs} runs", **cells})
    where = latencies[0][0]
    return {"device": where.device, "threads": where.threads, "latency_ms": numbers}, rows
