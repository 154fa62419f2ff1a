"""A2: text in generated code. Whatever a name holds, the loader compiles, runs, and runs nothing of the name."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import potstill as ps
from potstill.export import usage
from potstill.export.images import RunImages
from potstill.export.metadata import metadata
from potstill.export.plain import loader_of, save_plain
from potstill.export.run_network import RunNetwork
from potstill.export.source import making
from potstill.networks import create

RUN = "import os; os.mkdir('owned')"
NAMES = {
    "ends the docstring": f'"""\n{RUN}\n"""',
    "ends it in a line": f'""";{RUN};"""',
    "quote": f'a";{RUN};"',
    "apostrophe": f"a';{RUN};'",
    "apostrophes": f"''';{RUN};'''",
    "backslash": "a\\",
    "backslash and quotes": f'\\""";{RUN}#',
    "two backslashes": f'\\\\""";{RUN}#',
    "newline": f"a\n{RUN}",
    "return": f"a\r{RUN}",
    "form feed": f"a\f{RUN}",
    "line separator": f"a\u2028{RUN}",
    "paragraph separator": f"a\u2029{RUN}",
    "next line": f"a\x85{RUN}",
    "null": f"a\0{RUN}",
    "substitute": f"a\x1a{RUN}",
    "surrogate": f"a\udcff{RUN}",
    "unicode escape": r"\u0022\u0022\u0022" + RUN,
    "named escape": r"\N{QUOTATION MARK}" * 3 + RUN,
    "broken escape": r"\N{no such} \x \u12 \U",
    "braces": "{0} {weights} {self.__class__}",
    "format": "%s %(name)s $name",
    "encoding": f"# -*- coding: utf-7 -*- +ACIAIgAi- {RUN}",
    "direction": f"a\u202e{RUN}",
    "call": "a); __import__('os').mkdir('owned'); (",
    "keyword": "class",
    "comment": "a # b",
    "byte order mark": "\ufeffa",
    "wide quotes": "“”＂" * 3,  # noqa: RUF001
    "identifier of another script": "ſelf",  # noqa: RUF001
}
LOAD = """
import json, runpy, sys
found = []
for loader in json.loads(sys.stdin.read()):
    loaded = runpy.run_path(loader)
    found.append([loaded["classes"], loaded["__doc__"].count(chr(10)), type(loaded["network"]).__name__])
print(json.dumps(found))
"""
OWN = """
from torch import nn

def net(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, classes))

globals()[{name!r}] = net
"""


def save(folder: Path, spec: str, name: str, file: Path) -> RunImages:
    """What an export writes for a network, a learner, classes and a file of these names."""
    classes, data = tuple(f"{name}{i}" for i in range(10)), ps.data.load("digits")
    images = RunImages(torch.zeros(2, 3, 8, 8), classes, (0.5,) * 3, (0.5,) * 3, data)
    chosen = RunNetwork(folder, name, spec, 10, folder / "weights", {})
    save_plain(create(spec), {"spec": spec, "classes": 10}, file, metadata(chosen, images))
    return images


def run(loaders: list[str], folder: Path) -> list:
    """The loaders' classes, lines of docstrings and networks, in one process: each takes seconds to import torch."""
    words = [sys.executable, "-W", "ignore", "-c", LOAD]
    done = subprocess.run(words, cwd=folder, input=json.dumps(loaders), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(folder.rglob("owned"))
    return json.loads(done.stdout)


def as_file(name: str) -> str:
    """The most of a name that a file can be called."""
    return os.fsdecode(os.fsencode(name.replace("/", ":").replace("\0", "")))[:100]


def test_a2_names_of_learners_classes_files_and_networks(tmp_path):
    loaders, expected = [], []
    for name in NAMES.values():
        folder = tmp_path / as_file(name)
        folder.mkdir()
        file = folder / f"{as_file(name)}.safetensors"
        images = save(folder, "resnet8", name, file)
        loaders.append(str(loader_of(file)))
        for to in ("safetensors", "torch", "onnx"):
            lines = usage(file, to, images)
            assert all(line.isprintable() for line in lines)
            ast.parse("\n".join(lines))
        own, called = folder / f"{as_file(name)}.py", name.replace(":", "")
        own.write_text(OWN.format(name=called), "utf-8")
        file = folder / "own.safetensors"
        save(folder, f"{own}:{called}", name, file)
        loaders.append(str(loader_of(file)))
        classes = [f"{name}{i}" for i in range(10)]
        expected += [[classes, 9, "CifarResNet"], [classes, 7, "Sequential"]]
    assert run(loaders, tmp_path) == expected


@pytest.mark.parametrize("kind", NAMES)
def test_a2_every_spec_becomes_one_expression(kind, monkeypatch):
    name = NAMES[kind]
    monkeypatch.setattr("potstill.export.source.find_callable", lambda *_: lambda num_classes: None)
    file = name.replace("\0", "")
    for spec in (f"timm:{name}", f"torchvision:{name}", f"{file}.py:{name}", f"{name}:{name}", f"package:{name}"):
        made = making(spec, 10)
        (statement,) = ast.parse(made.expression).body
        assert isinstance(statement, ast.Expr)
        assert isinstance(statement.value, ast.Call)
        for line in made.imports:
            assert [type(node) for node in ast.parse(line).body] in ([ast.Import], [ast.ImportFrom])
        assert "mkdir" not in {getattr(node, "attr", None) for node in ast.walk(statement)}


def test_a2_classes_of_a_damaged_config():
    for spec in ("resnet8", "timm:resnet18", "torchvision:resnet18", "resnet8+DConv"):
        expression = making(spec, "10); __import__('os').mkdir('owned'); (").expression
        assert "__import__" not in {getattr(node, "id", None) for node in ast.walk(ast.parse(expression))}
