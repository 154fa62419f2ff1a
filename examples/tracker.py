"""A tracker of your own, beside metrics.jsonl and TensorBoard: Weights & Biases, MLflow, or here a plain CSV file."""

import csv
from pathlib import Path
from typing import Any

import potstill as ps


class CsvTracker:
    """Any object with `log` and `close` is a recorder."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file.open("w", newline="")
        self.writer = csv.writer(self.file)

    def log(self, record: dict[str, Any]) -> None:
        top1 = record["learners"]["student"]["test"]["top1"]
        self.writer.writerow([record["epoch"], record["lr"], *record["terms"].values(), top1])

    def close(self) -> None:
        self.file.close()


def main(out: Path = Path("runs/tracker")) -> dict:
    training = ps.Training(data="digits", epochs=2, lr=0.05, out=out)
    data = training.load_data()
    student = ps.networks.create("resnet8", classes=10, seed=0)
    distiller = ps.Distiller({"student": student}, [ps.Term(ps.losses.CE(), "student", "labels")], data.example())
    return ps.fit(distiller, data, training, recorders=[CsvTracker(out.with_suffix(".csv"))])


if __name__ == "__main__":
    print(main()["learners"]["student"]["last"]["test"])
