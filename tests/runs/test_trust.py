"""A1: a run folder of somebody else's runs no code; one's own just work, from anywhere (C8)."""

import hashlib
import hmac
import json
import os
import stat
from pathlib import Path

import pytest

import potstill as ps
from potstill.errors import BadInput
from potstill.export.rebuild import rebuild
from potstill.export.run_network import choose_network
from potstill.network_input import Input
from potstill.networks import create
from potstill.report.rows import found_rows
from potstill.runs import manifest, trust

EVIL = "raise SystemExit('this code was run')\n"
WANTS = r"was not made by this user and wants to run code: .*; look at it, --trust runs it$"


@pytest.fixture
def stranger(own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder that another user made."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "mine"))
    return own_run


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    file = tmp_path / "evil.py"
    file.write_text(EVIL)
    return file


def edited(run: Path, **changes: object) -> None:
    """Change the student's entry in config.json, with a manifest that fits."""
    config = json.loads((run / "config.json").read_text())
    config["networks"]["student"] |= changes
    (run / "config.json").write_text(json.dumps(config))
    signature = (manifest.read(run) or {}).get("signature")
    manifest.begin(run)
    manifest.sign(run, signature)


def test_ones_own_run_works_from_anywhere_without_its_source(own_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = create(str(own_run))
    assert network.spec.endswith("net.py:net")
    assert type(network).__name__ == "Block"
    assert str(network.own_file) == str(own_run / "source" / "1" / "net.py")


def test_nothing_but_the_copy_is_run(own_run, tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(EVIL)
    monkeypatch.chdir(tmp_path)
    edited(own_run, spec="net.py:net")  # as if it had been trained here
    with ps.trusted():
        assert type(create(str(own_run))).__name__ == "Block"


def test_a_strangers_run_names_its_code_and_runs_none(stranger):
    for use in (
        lambda: create(str(stranger)),
        lambda: create(f"{stranger}:student+DConv"),
        lambda: choose_network(str(stranger)).identity,
    ):
        with pytest.raises(BadInput, match=WANTS) as refused:
            use()
        state = manifest.state_of(stranger / "source" / "1" / "net.py")
        assert f"net.py ({state['bytes']:,} bytes, SHA-256 {state['sha256']})" in str(refused.value)
        assert "blocks.py" in str(refused.value)
    with ps.trusted():
        create(str(stranger))
        rebuild(choose_network(str(stranger)).identity, Input())
    with pytest.raises(BadInput, match=WANTS):
        create(str(stranger))


def test_a_report_runs_nothing(stranger):
    (stranger / "source" / "1" / "net.py").write_text(EVIL)
    rows, left_out = found_rows([stranger])
    assert len(rows) == 1
    assert left_out == {}


def test_networks_of_libraries_and_our_own_need_no_trust(tmp_path, monkeypatch):
    out = tmp_path / "run"
    ps.recipes.supervised(network="resnet8", data="digits", images=30, test_images=10, epochs=1, out=out, device="cpu")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "mine"))
    create(str(out))
    assert not trust.key_file().exists()


@pytest.mark.parametrize(
    ("spec", "needs"),
    [
        *(("resnet20", False), ("wrn-16-2+G8B2", False), ("timm:resnet18", False), ("torchvision:resnet18", False)),
        *(("timm:hf-hub:who/what", False), ("net.py:Net", True), ("net.py:Net+DConv", True), ("os:system", True)),
        *(("a.b:c", True), ("/x/evil.py:net", True), ("timm:evil.py:net", True), (None, False)),
    ],
)
def test_which_specs_need_trust(spec, needs):
    assert trust.needs_code(spec) is needs


# An own run that was changed: the spec, the source, what lies beside it, the signature, the manifest.
def change_spec(run, evil):
    edited(run, spec=f"{evil}:net", source=None)


def change_spec_to_a_module(run, evil):
    edited(run, spec="os:system", source=None)


def lead_the_source_away(run, evil):
    edited(run, source=str(evil))


def lead_the_source_up(run, evil):
    edited(run, source="../evil.py")


def change_the_source(run, evil):
    (run / "source" / "1" / "net.py").write_text(EVIL)
    edited(run)


def change_a_neighbour(run, evil):
    (run / "source" / "1" / "blocks.py").write_text(EVIL)
    edited(run)


def link_a_neighbour(run, evil):
    (run / "source" / "1" / "blocks.py").unlink()
    (run / "source" / "1" / "blocks.py").symlink_to(evil)
    edited(run)


def hide_in_an_ensemble(run, evil):
    edited(run, spec="resnet8", mean_of=[{"spec": f"{evil}:net", "classes": 10}])


def remove_the_signature(run, evil):
    manifest.begin(run)


def forge_the_signature(run, evil):
    manifest.sign(run, "0" * 64)


def pretend_to_be_of_an_earlier_version(run, evil):
    (run / "manifest.json").unlink()
    config = json.loads((run / "config.json").read_text())
    del config["format"]
    config["networks"]["student"] = {"spec": f"{evil}:net", "classes": 10}
    (run / "config.json").write_text(json.dumps(config))


CHANGES = [
    *(change_spec, change_spec_to_a_module, lead_the_source_away, lead_the_source_up, change_the_source),
    *(change_a_neighbour, link_a_neighbour, hide_in_an_ensemble, remove_the_signature, forge_the_signature),
    pretend_to_be_of_an_earlier_version,
]


@pytest.mark.parametrize("change", CHANGES)
def test_an_own_run_that_was_changed_is_a_strangers(own_run, evil, change):
    change(own_run, evil)
    for use in (lambda: create(str(own_run)), lambda: rebuild(choose_network(str(own_run)).identity, Input())):
        with pytest.raises(BadInput, match=WANTS):
            use()


@pytest.mark.parametrize("name", ["torch.py", "blocks/__init__.py", "blocks.so", "__pycache__/blocks.cpython-311.pyc"])
def test_what_lies_beside_the_source_is_not_run(own_run, name):
    file = own_run / "source" / "1" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(EVIL)
    with pytest.raises(BadInput, match=r"is not the run's: manifest\.json does not list it; remove it$"):
        create(str(own_run))


def test_a_compiled_file_beside_the_source_is_not_run(own_run):
    import importlib.util
    import py_compile

    source = own_run / "source" / "1" / "blocks.py"
    whole, times = source.read_text(), source.stat()
    source.write_text(EVIL.ljust(len(whole)))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    py_compile.compile(str(source))
    source.write_text(whole)
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Path(importlib.util.cache_from_source(str(source))).is_file()
    with ps.trusted():  # which looks at no signature
        create(str(own_run))


def test_the_key_is_the_users_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    networks = {"net": {"spec": "net.py:Net", "classes": 10}}
    manifest.begin(tmp_path)
    trust.sign(tmp_path, networks)
    file = trust.key_file()
    assert file == tmp_path / "potstill" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    key, signature = file.read_text(), manifest.read(tmp_path)["signature"]
    trust.sign(tmp_path, networks)
    assert (file.read_text(), manifest.read(tmp_path)["signature"]) == (key, signature)
    assert [path.name for path in file.parent.iterdir()] == ["key"]
    file.write_text("")
    trust.sign(tmp_path, networks)
    assert "is no key of this user's and is not used" in capsys.readouterr().err
    assert manifest.read(tmp_path)["signature"] == signature


@pytest.mark.parametrize("home", ["a file", "a link in a circle"])
def test_where_no_key_can_be_kept_that_is_said_and_the_run_goes_on(tmp_path, monkeypatch, capsys, home):
    place = tmp_path / "home"
    if home == "a file":
        place.write_text("")
    else:
        place.symlink_to(place)
    monkeypatch.setenv("XDG_DATA_HOME", str(place))
    manifest.begin(tmp_path)
    trust.sign(tmp_path, {"net": {"spec": "net.py:Net", "classes": 10}})
    assert "no key can be kept in" in capsys.readouterr().err
    assert "signature" not in manifest.read(tmp_path)


def test_a_code_free_run_asks_for_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    manifest.begin(tmp_path)
    trust.sign(tmp_path, {"net": {"spec": "resnet8", "classes": 10}})
    assert not trust.key_file().exists()


def test_a_network_whose_name_leads_out_of_the_folder(own_run):
    config = json.loads((own_run / "config.json").read_text())
    config["networks"]["../run/student"] = config["networks"]["student"]
    (own_run / "config.json").write_text(json.dumps(config))
    manifest.begin(own_run)
    with pytest.raises(BadInput, match=r"'\.\./run/student' is no name of a network$"):
        create(f"{own_run}:../run/student")


def test_the_code_of_every_member_of_an_ensemble_is_named(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("x = 1\n")
    members = [{"spec": f"{file}:net"}, {"spec": "nowhere.py:net"}, {"spec": "own.module:net"}, {"spec": "resnet8"}, {}]
    there, missing, module = trust._code(tmp_path, {"mean_of": members}, None)
    assert there.startswith(f"{file}:net, which is {file} (6 bytes, SHA-256 ")
    assert (missing, module) == ("nowhere.py:net, which is nowhere.py (not there)", "own.module:net")


def test_what_a_signature_is_stays_the_same(tmp_path):
    """Or the runs of before would be a stranger's."""
    networks, code = {"net": {"spec": "net.py:Net"}}, {"source/1/net.py": [{"bytes": 1, "sha256": "ab"}]}
    statement = json.dumps({"code": code, "networks": networks}, sort_keys=True)
    expected = hmac.new(b"key", statement.encode(), hashlib.sha256).hexdigest()
    assert trust._signature("key", networks, {"files": {**code, "last.ckpt": []}}) == expected


@pytest.mark.parametrize("what", ["a link", "other bytes"])
def test_what_is_no_key_is_not_taken_for_one(tmp_path, monkeypatch, capsys, what):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "potstill").mkdir()
    if what == "a link":
        (tmp_path / "elsewhere").write_text("a" * 64)
        trust.key_file().symlink_to(tmp_path / "elsewhere")
    else:
        trust.key_file().write_bytes(b"\xff" * 64)
    key = trust._key(make=True)
    assert key is None or set(key) == {"\ufffd"}
    assert (key is None) is (what == "a link")


def test_every_member_of_an_ensemble_is_made_of_the_folders_copies(tmp_path):
    member = {"spec": "net.py:Net", "source": "source/1/net.py", "classes": 10}
    found = trust._with_copies({"mean_of": [member, {"spec": "resnet8"}], "source": None}, tmp_path)
    own = {"spec": f"{tmp_path}/source/1/net.py:Net", "classes": 10}
    assert found == {"mean_of": [own, {"spec": "resnet8"}]}


def test_a_key_that_is_no_file_is_not_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    trust.key_file().parent.mkdir()
    os.mkfifo(trust.key_file())
    with trust.key_file().open("r+b", buffering=0) as pipe:  # somebody else's, who has a key ready
        pipe.write(b"a" * trust.KEY_CHARACTERS)
        assert trust._key(make=False) is None
    assert "is no key of this user's" in capsys.readouterr().err
