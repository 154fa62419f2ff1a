import pytest

from potstill.errors import BadInput
from potstill.report import find_runs


@pytest.fixture
def folders(tmp_path):
    """Two runs, one with a stage inside; one without a config; hidden and empty folders, other files."""
    for name in ("a/seed-0", "a/seed-0/hint", "b", "b/.cache", ".trash/run", "empty/deep"):
        (tmp_path / name).mkdir(parents=True)
        if not name.startswith("empty"):
            (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "metrics.jsonl").write_text("")
    (tmp_path / "table.json").write_text("{}")
    return tmp_path


def test_runs_at_any_depth_but_nothing_hidden_and_no_stages(folders):
    found, closed = find_runs([folders])
    assert found == [folders / "a" / "seed-0", folders / "b", folders / "torn"]
    assert closed == {}


def test_no_run_twice(folders):
    (folders / "link").symlink_to(folders / "b")
    found, _ = find_runs([folders / "b", folders, folders / "link"])
    assert found == [folders / "b", folders / "a" / "seed-0", folders / "torn"]


def test_a_stage_and_a_hidden_folder_only_if_asked_for(folders):
    asked = [folders / "a" / "seed-0" / "hint", folders / ".trash"]
    assert find_runs(asked)[0] == [asked[0], asked[1] / "run"]


def test_a_closed_folder_is_named(folders, monkeypatch):
    import os

    real = os.scandir

    def refuse(path):  # root may look into any folder, so that closing one would show nothing
        if str(path).endswith("empty"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, closed = find_runs([folders])
    assert len(found) == 3
    assert closed == {str(folders / "empty"): "Permission denied"}


def test_what_is_not_there(folders):
    with pytest.raises(BadInput, match=r"no folder '.*/emtpy'; did you mean .*/empty\?"):
        find_runs([folders / "emtpy"])
    with pytest.raises(BadInput, match=r"table.json is a file"):
        find_runs([folders / "table.json"])
