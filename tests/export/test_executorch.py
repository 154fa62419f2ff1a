"""ExecuTorch files are really written, and really run by its own runtime, where that is installed."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from potstill.cli import main
from potstill.export import choose_network, rebuild, run_images, usage, write
from potstill.export.usage import EXECUTORCH

THERE = find_spec("executorch") is not None
MISSING = "executorch is not installed: potstill[executorch], some 200 MB, is no part of potstill[test]"


@pytest.mark.skipif(not THERE, reason=MISSING)
@pytest.mark.filterwarnings("ignore")  # of executorch's own code
def test_a_file_computes_what_the_network_does_one_image_at_a_time(runs, tmp_path):
    file = tmp_path / "student.pte"
    chosen = choose_network(str(runs / "moonshine"))
    data = run_images(chosen)
    network = rebuild(chosen.identity, data.input, chosen.weights)
    written = write(chosen, network, data, "executorch", file)
    assert [one.batch for one in written.found.batches] == [1, 3, 32]
    assert list(tmp_path.iterdir()) == [file]
    wanted = network(data.images[:5])
    torch.testing.assert_close(written.run(data.images[:5]), wanted, rtol=1e-4, atol=1e-5)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (data.mean, data.std))
    names = {"image": data.images[3:4] * std + mean}
    exec("\n".join(usage(file, "executorch", data)), names)  # the printed lines, as they stand
    torch.testing.assert_close(names["logits"], wanted[3:4], rtol=1e-4, atol=1e-4)
    about = names["about"]
    assert (about["network"], about["name"], about["weights"]) == ("resnet8+DConv", "student", "last epoch")
    assert json.loads(about["classes"]) == list(data.classes)
    assert re.search(rb"/[a-z]+/potstill|site-packages", file.read_bytes()) is None, "names a file of this machine"


def test_the_page_shows_the_printed_lines():
    page = (Path(__file__).resolve().parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    lines = EXECUTORCH.format(file="runs/student/export/student.pte", image="").replace("'", '"').splitlines()
    assert "\n".join(f"    {line.partition('  #')[0]}" for line in lines) in page


@pytest.mark.skipif(THERE, reason="executorch is installed")
def test_where_it_is_missing_that_is_said_before_anything_is_made(runs, tmp_path, capsys):
    file = tmp_path / "student.pte"
    assert main(["export", str(runs / "moonshine"), "--to", "executorch", "--out", str(file), "--no-latency"]) == 2
    assert "pip install potstill[executorch]" in capsys.readouterr().err
    assert not file.exists()
