"""A file is whole or absent, and its draft leads nowhere else."""

import pytest

from potstill.whole_file import drafted, remove_drafts, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    file = tmp_path / "file"
    write_whole(file, b"old")

    def break_off():
        with drafted(file) as draft:
            draft.write_bytes(b"ne")
            raise RuntimeError("broke off")

    with pytest.raises(RuntimeError, match="broke off"):
        break_off()
    assert file.read_bytes() == b"old"
    with drafted(file) as draft:
        draft.write_bytes(b"new")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_the_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_bytes(b"")
    write_whole(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_draft_is_made_where_nothing_was(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".file.0a1b2c3d.draft").symlink_to(victim)
    monkeypatch.setattr("potstill.whole_file.token_hex", lambda _: "0a1b2c3d")  # as if somebody could guess it
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "file", b"new")
    (tmp_path / "link").symlink_to(victim)
    monkeypatch.undo()
    write_whole(tmp_path / "link", b"new")  # takes the place of the link
    assert victim.read_text() == "precious"
    assert (tmp_path / "link").read_bytes() == b"new"


def test_two_writers_at_once_do_not_meet(tmp_path):
    with drafted(tmp_path / "file") as first, drafted(tmp_path / "file") as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert (tmp_path / "file").read_bytes() == b"first"  # the last to end


def test_what_killed_processes_left(tmp_path):
    for name in (".a[1].00000000.draft", ".b.00000000.draft", ".b.draft"):
        (tmp_path / name).touch()
    remove_drafts(tmp_path, "a[1]")
    assert names(tmp_path) == [".b.00000000.draft", ".b.draft"]
    remove_drafts(tmp_path)
    assert names(tmp_path) == [".b.draft"]


def test_what_a_process_killed_between_two_names_has_left_is_no_draft(tmp_path):
    """Renaming one name of a file to another of its names does nothing, and leaves both."""
    file, kept = tmp_path / "last", tmp_path / "previous"
    file.write_bytes(b"old")
    kept.hardlink_to(file)
    write_whole(file, b"new", keep=kept)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"last": b"new", "previous": b"old"}
