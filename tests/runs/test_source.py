"""Which files of a user's own travel with a run."""

from potstill.runs.source import files_of, gather, source_of


def test_neighbours_of_every_spelling_and_nothing_else(tmp_path):
    package = tmp_path / "pack"
    package.mkdir()
    for name in ("__init__.py", "one.py", "two.py", "three.py", "not_imported.py"):
        (package / name).write_text("")
    (package / "net.py").write_text("from . import one\nfrom .two import x\nimport pack.three\nimport torch, os\n")
    assert list(files_of(package / "net.py")) == [
        "pack/__init__.py",
        *(f"pack/{n}.py" for n in ("net", "one", "three", "two")),
    ]


def test_a_module_on_pythons_path_and_none_of_a_library(tmp_path, monkeypatch):
    (tmp_path / "module_of_mine.py").write_text("")
    (tmp_path / "package_of_mine").mkdir()
    (tmp_path / "package_of_mine" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert source_of("module_of_mine:Net") == (tmp_path / "module_of_mine.py").resolve()
    assert source_of("package_of_mine:Net") == (tmp_path / "package_of_mine" / "__init__.py").resolve()
    assert source_of("torch.nn:Identity") is None
    assert source_of("greenlet:Net") is None


def test_files_of_networks_members_and_losses_get_the_names_of_their_copies(tmp_path):
    for folder, name in (("one", "net"), ("one", "loss"), ("two", "other")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.py").write_text(f"{name} = 1\n")
    net, loss, other = (str(tmp_path / file) for file in ("one/net.py", "one/loss.py", "two/other.py"))
    members = [{"spec": "resnet8"}, {"spec": f"{other}:other", "source": other}]
    networks = {"student": {"spec": f"{net}:net", "source": net}, "teacher": {"mean_of": members}}
    config = {"recipe": "distill", "networks": networks, "losses": [loss, "source/1/there_already.py"]}
    found, copies = gather(config)
    assert found["networks"]["student"]["source"] == "source/1/net.py"
    assert found["networks"]["teacher"] == {
        "mean_of": [{"spec": "resnet8"}, {**members[1], "source": "source/2/other.py"}]
    }
    assert found["losses"] == ["source/1/loss.py", "source/1/there_already.py"]
    assert copies == {
        **{"source/1/net.py": b"net = 1\n", "source/1/loss.py": b"loss = 1\n"},
        "source/2/other.py": b"other = 1\n",
    }
    assert config["networks"]["student"]["source"] == net
