"""C11: damaged JSON of every shape is one line, whichever file of a run it is in the place of."""

import json
import random
from pathlib import Path

import pytest
from sealing import unseal

from potstill.errors import BadInput
from potstill.export.run_network import choose_network
from potstill.networks import create
from potstill.report.content import content
from potstill.report.rows import found_rows
from potstill.runs.audit import audit
from potstill.runs.folder import RunFolder
from potstill.runs.json_text import parse
from potstill.runs.reading import read_config
from potstill.tables.plan import Run
from potstill.tables.row import Row

TEXTS = {
    "empty": b"",
    "spaces": b" \n",
    "half": b'{"a": ',
    "twice": b"{} {}",
    "a duplicate": b'{"recipe": "fit", "recipe": "fit"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a BOM": b"\xef\xbb\xbf{}",
    "Latin-1": '{"ä": 1}'.encode("latin-1"),
    "half a pair": b'{"a": "\\ud800"}',
    "a null character": b'{"a": "\\u0000"}',
    "zeros": bytes(100),
    "brackets": b"[" * 100_000,
    "braces": b'{"a":' * 100_000,
    "closed brackets": b"[" * 900 + b"]" * 900,
    "deep": b'{"a":' * 100 + b"1" + b"}" * 100,
    "a huge number": b'{"a": ' + b"9" * 10_000 + b"}",
    "a large number": b'{"a": ' + b"9" * 30 + b"}",
    "a comment": b'{"a": 1} // so',
    "a comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a pickle": b"\x80\x04\x95",
    "no object": b"[1, 2]",
    "null": b"null",
    "true": b"true",
    "NaN": b"NaN",
    "a string": b'"text"',
}
FILES = ("config.json", "metrics.jsonl", "summary.json", "insight.json", "details.json")


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an earlier version: nothing but what its files say tells that they are damaged."""
    import potstill as ps

    out = tmp_path_factory.mktemp("plain") / "row" / "seed-0"
    ps.recipes.supervised(network="resnet8", data="digits", images=40, test_images=10, epochs=2, out=out, device="cpu")
    return unseal(out)


def use(run: Path, config: dict) -> dict[str, str]:
    """What everything that reads a run says of it if it refuses it; any error but ours is one."""
    row = Row("row", "supervised", {"network": "resnet8"}, {"images": 40, "test_images": 10, "epochs": 2})
    readers = {
        "report": lambda: content(found_rows([run])[0]),
        "evaluate": lambda: create(str(run)),
        "export": lambda: (choose_network(str(run)).identity, choose_network(str(run)).summary()),
        "resume": lambda: RunFolder(run, config).summary(),
        "table": lambda: Run(row, 0, run.parent.parent, {}).is_finished(),
        "verify": lambda: audit(run, lambda _: None, lambda _: None),
    }
    said = {}
    for name, reader in readers.items():
        try:
            reader()
        except BadInput as error:
            said[name] = str(error)
            assert "\n" not in said[name]
            assert len(said[name]) < 1000
    return said


def refused(run: Path) -> dict[str, str]:
    """Why files are refused, by everybody who names reasons without raising them."""
    _, left_out = found_rows([run])
    return {**left_out, **audit(run, lambda _: None, lambda _: None).problems}


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_no_json_of_a_run(text):
    try:
        content = parse(TEXTS[text])
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017 - some are JSON, of another shape
    else:
        assert not isinstance(content, dict) or text == "a BOM"


@pytest.mark.parametrize("name", FILES)
def test_damage_of_every_shape_is_one_line(plain_run, name):
    file = plain_run / name
    whole, config = file.read_bytes(), read_config(plain_run)
    try:
        for text, damage in TEXTS.items():
            file.write_bytes(damage)
            use(plain_run, config)
            assert refused(plain_run), text
    finally:
        file.write_bytes(whole)


NUMBERS = (0, -1, 2**63, 1.5, 1e308, float("nan"), float("-inf"))
ODD = (None, True, *NUMBERS, "", "x" * 2000, "\x1b[31m", [], [[]], {}, {"a": 1})
CHARACTERS = ("", "}", "]", ",", '"', "9", "-", "\\", "null")


def places(value: object, at: tuple = ()) -> list[tuple]:
    """The paths to all values inside of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([at] if at else []), *(place for key, item in inner for place in places(item, (*at, key)))]


def changed(text: str, draw: random.Random) -> str:
    """JSON of which one value is another, or gone, or in another place; or of which characters are others."""
    if draw.random() < 0.2:
        at = draw.randrange(len(text))
        return text[:at] + draw.choice(CHARACTERS) + text[at + draw.randrange(3) :]
    content = json.loads(text)
    *way, last = draw.choice(places(content))
    inside = content
    for key in way:
        inside = inside[key]
    if draw.random() < 0.2:
        del inside[last]
    else:
        inside[last] = draw.choice(ODD)
    return json.dumps(content)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_folders_are_read_or_refused_in_one_line(plain_run, seed):
    draw, config = random.Random(seed), read_config(plain_run)
    for _ in range(15):
        name = draw.choice(FILES)
        whole = (plain_run / name).read_text()
        lines = whole.splitlines() if name == "metrics.jsonl" else [whole]
        lines[-1] = changed(lines[-1], draw)
        try:
            (plain_run / name).write_text("\n".join(lines) + "\n")
            use(plain_run, config)
        finally:
            (plain_run / name).write_text(whole)


def test_letters_of_any_alphabet_are_text_and_what_is_none_is_shown_in_part():
    assert parse('{"ä": "数"}'.encode()) == {"ä": "数"}
    with pytest.raises(ValueError, match="^'" + "a" * 40 + "' is no text$"):
        parse(b'{"a": "' + b"a" * 50 + b'\\u0000"}')


def test_what_is_wrong_in_a_configuration_is_said_where_it_stands(plain_run, tmp_path):
    config = json.loads((plain_run / "config.json").read_text())
    config["arguments"]["epochs"] = "many"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match=r"config\.json is damaged: arguments\W+epochs"):
        read_config(tmp_path)
