"""C6, C8: a user's own files import their neighbours, shadow nobody's, and fail in one line."""

import sys
from pathlib import Path

import pytest

from potstill.errors import BadInput
from potstill.networks import create
from potstill.runs.source import files_of, source_of
from potstill.user_code import find_callable

LINEAR = "from torch import nn\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def call(folder: Path, file: str = "net.py") -> object:
    return find_callable(str(folder / file), "f", "network")()


IMPORTS = {
    "a neighbour": {"net": "from blocks import A\ndef f(): return A", "blocks": "A = 1"},
    "a module": {"net": "import blocks\ndef f(): return blocks.A", "blocks": "A = 1"},
    "under another name": {"net": "import blocks as b\ndef f(): return b.A", "blocks": "A = 1"},
    "when it is called": {"net": "def f():\n    from blocks import A\n    return A", "blocks": "A = 1"},
    "a neighbour's neighbour": {"net": "from b import A\ndef f(): return A", "b": "from c import A", "c": "A = 1"},
    "each other": {"net": "import b\ndef f(): return b.g()\nA = 1", "b": "def g():\n    import net\n    return net.A"},
    "a package": {"net": "from p.q import A\ndef f(): return A", "p/__init__": "", "p/q": "A = 1"},
    "a package's module": {"net": "from p import q\ndef f(): return q.A", "p/__init__": "", "p/q": "A = 1"},
    "a dotted name": {"net": "import p.q\ndef f(): return p.q.A", "p/__init__": "", "p/q": "A = 1"},
    "a folder": {"net": "from p.q import A\ndef f(): return A", "p/q": "A = 1"},
    "relative": {"net": "from .blocks import A\ndef f(): return A", "blocks": "A = 1"},
    "inside a package": {"net": "from p import A\ndef f(): return A", "p/__init__": "from .q import A", "p/q": "A = 1"},
    "all": {"net": "from blocks import *\ndef f(): return A", "blocks": "A = 1"},
    "not Python's": {"net": "import random\ndef f(): return hasattr(random, 'Random') * 1", "random": "raise OSError"},
    "not torch": {"net": "import torch\ndef f(): return hasattr(torch, 'nn') * 1", "torch": "raise OSError"},
    "dataclasses": {
        "net": "from b import D\ndef f(): return D().a",
        "b": "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: 'int' = 1",
    },
}


@pytest.mark.parametrize("name", IMPORTS)
def test_what_a_file_imports(name, tmp_path):
    write(tmp_path, **IMPORTS[name])
    before, path = {*sys.modules}, [*sys.path]
    assert call(tmp_path) == 1
    assert sys.path == path
    assert all(module.startswith("_own_") for module in {*sys.modules} - before)
    copied = files_of(tmp_path / "net.py")
    used = {f"{name}.py" for name in IMPORTS[name]} - {"random.py", "torch.py"}
    assert {name for name in copied if copied[name]} == {name for name in used if (tmp_path / name).read_text()}
    copy = tmp_path / "copy"
    for file, content in copied.items():
        (copy / file).parent.mkdir(parents=True, exist_ok=True)
        (copy / file).write_bytes(content)
    assert call(copy) == 1


def test_modules_of_one_name_in_two_folders_do_not_meet(tmp_path):
    for number in (1, 2):
        write(tmp_path / str(number), net="from blocks import A\ndef f():\n    import late\n    return A, late.B")
        write(tmp_path / str(number), blocks=f"A = {number}", late=f"B = {number}")
    first, second = (find_callable(str(tmp_path / name / "net.py"), "f", "network") for name in ("1", "2"))
    assert (first(), second(), first()) == ((1, 1), (2, 2), (1, 1))


def test_a_file_of_a_package_imports_that_package(tmp_path):
    write(tmp_path, **{"p/__init__": "", "p/net": "from p.q import A\nfrom q import A as B\ndef f(): return A + B"})
    write(tmp_path, **{"p/q": "A = 1"})
    assert call(tmp_path, "p/net.py") == 2
    assert {*files_of(tmp_path / "p" / "net.py")} == {"p/__init__.py", "p/net.py", "p/q.py"}


@pytest.mark.parametrize("name", ["my-net", "net.v2", "2net", "class", "net of mine"])
def test_a_file_may_have_any_name(tmp_path, name):
    write(tmp_path, **{name: "from blocks import A\ndef f(): return A", "blocks": "A = 1"})
    assert call(tmp_path, f"{name}.py") == 1


def test_a_file_that_was_edited_is_read_again_and_one_that_was_not_is_not(tmp_path):
    write(tmp_path, net="from blocks import A\nclass f:\n    a = A", blocks="A = 1")
    first = call(tmp_path)
    assert type(call(tmp_path)) is type(first)
    write(tmp_path, blocks="A = 2")
    assert call(tmp_path).a == 2


FAILURES = {
    "raise RuntimeError('no')": r"network '.*net\.py:f' failed: RuntimeError: no \(.*net\.py, line 1\)$",
    "def f(:": r"network '.*' failed: SyntaxError: .*line 1\)$",
    "import sys; sys.exit(0)": r"failed: it called exit\(0\) \(.*net\.py, line 1\)$",
    "raise SystemExit": r"failed: it called exit\(None\) \(.*net\.py, line 1\)$",
    "import nothing_here": r"failed: ModuleNotFoundError: No module named 'nothing_here' \(.*net\.py, line 1\)$",
    "from broken import A": r"failed: ZeroDivisionError: division by zero \(.*broken\.py, line 1\)$",
    "from fine import B": r"failed: ImportError: cannot import name 'B' from .* \(.*net\.py, line 1\)$",
    "\0": r"failed: .*null bytes",
    "x = 1": r"^unknown network in .*net\.py 'f'",
    "f = 3": r"^unknown network in .*net\.py 'f'",
    "def __getattr__(name): raise KeyError(name)": r"failed: KeyError: 'f' \(.*net\.py, line 1\)$",
}


@pytest.mark.parametrize("text", FAILURES)
def test_what_goes_wrong_in_a_file_is_one_line(text, tmp_path):
    write(tmp_path, net=text, broken="1 / 0", fine="A = 1")
    with pytest.raises(BadInput, match=FAILURES[text]) as refused:
        call(tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("home", ["", ".", "..", ".x", "a..b", "no_such_module", "os.path.x", "\0", "a b", "x/y"])
def test_what_is_no_module_is_one_line(home):
    with pytest.raises(BadInput) as refused:
        find_callable(home, "f", "loss")
    assert "\n" not in str(refused.value)


def test_the_source_of_an_importable_module_near_by(tmp_path, monkeypatch):
    net = f"from mine.b import W\n{LINEAR}def f(): return nn.Linear(W, 2)"
    write(tmp_path, **{"mine/__init__": "", "mine/net": net, "mine/b": "W = 4"})
    monkeypatch.syspath_prepend(tmp_path)
    network = create("mine.net:f", classes=2)
    assert network.own_file == tmp_path / "mine" / "net.py"
    assert {*files_of(network.own_file)} == {"mine/__init__.py", "mine/b.py", "mine/net.py"}


@pytest.mark.parametrize("spec", ["timm.models:x", "os:system", "builtins:print", "nothing:x", "resnet8", None])
def test_what_is_installed_is_not_copied(spec):
    assert source_of(spec) is None
