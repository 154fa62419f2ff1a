"""Averaged weights: `after_step` updates them, `measure` evaluates them, and a stopped run goes on with them."""

from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import potstill as ps


class Average:
    """An exponential moving average of the student. Its state is kept in the run's checkpoint."""

    def __init__(self, student: torch.nn.Module, decay: float = 0.7) -> None:
        self.model = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self.state_dict, self.load_state_dict = self.model.state_dict, self.model.load_state_dict

    def __call__(self, distiller: ps.Distiller) -> None:
        self.model.update_parameters(distiller.networks["student"])

    def measure(self, network: torch.nn.Module, batches) -> dict[str, float]:
        plain, averaged = ps.evaluate(network, batches), ps.evaluate(self.model, batches)
        return {"averaged_top1": averaged["top1"], "top1": plain["top1"], "loss": averaged["loss"]}


def main(out: Path = Path("runs/averaged-weights")) -> dict:
    training = ps.Training(data="digits", epochs=3, batch_size=32, lr=0.05, out=out)
    data = training.load_data()
    student = ps.networks.create("resnet8", classes=10, seed=0)
    average = Average(student)
    distiller = ps.Distiller({"student": student}, [ps.Term(ps.losses.CE(), "student", "labels")], data.example())
    return ps.fit(distiller, data, training, after_step=average, measure=average.measure)


if __name__ == "__main__":
    print(main()["learners"]["student"]["last"]["test"])
