"""Which files of a user's own travel with a run."""

from potstill.runs.source import files_of, source_of


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
