"""Parquet shards as on the Hub: odd schemas, labels, images, names; damaged files."""

import os
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from hypothesis import strategies as st

import potstill as ps
from fuzzing.domain import Domain
from fuzzing.odd import damage, damaged, texts
from fuzzing.small import picture

COLUMNS = ("image", "img", "label", "labels", "fine_label", "coarse_label", "target", "class", "path", "text")
NAMES = (
    *("train-00000-of-00001.parquet", "test-00000-of-00001.parquet", "test.parquet", "train.parquet", "0000.parquet"),
    *("train-00000-of-00002.parquet", "train-00001-of-00002-abc123.parquet", "validation-00000-of-00001.parquet"),
    *("data/train-00000-of-00001.parquet", "default/train/0000.parquet", "cifar/train-00000-of-00001.parquet"),
)
LABELS = st.sampled_from((0, 0, 1, 1, 2, 9, -1, 2**31, 2**40, 2**62, None))
FEATURES = (
    *("", "{", "[]", "null", '{"info": {}}', '{"info": {"features": []}}'),
    *('{"info": {"features": {"label": {"names": 3}}}}',),
    *('{"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}',),
    *('{"info": {"features": {"label": {"names": ["cat", null], "_type": "ClassLabel"}}}}', "[" * 3000, "\x00"),
)


@st.composite
def _column(draw: st.DrawFn, rows: int, name: str) -> tuple[str, str, list[Any]]:
    """Name, kind and values of a column."""
    usual = {"image": "image", "img": "image", "path": "text", "text": "text"}.get(name, "label")
    kind = draw(
        st.sampled_from((usual, usual, usual, usual, "image", "label", "bytes", "text", "float", "list", "null"))
    )
    values: dict[str, st.SearchStrategy[Any]] = {
        "image": st.tuples(st.sampled_from(("PNG", "JPEG", "GIF")), damage() | st.just([])) | st.none(),
        "bytes": st.tuples(st.just("PNG"), damage() | st.just([])) | st.none(),
        "label": LABELS,
        "text": texts() | st.none(),
        "float": st.sampled_from(("0.0", "1.0", "0.5", "nan", "inf", "1e300")),
        "list": st.lists(st.integers(0, 3), max_size=2),
        "null": st.none(),
    }
    sound = {"image": ("PNG", []), "label": 0, "bytes": ("PNG", [])}
    column = draw(st.lists(values[kind], min_size=rows, max_size=rows))
    if kind in sound and draw(st.booleans()):
        column = [index % 2 if kind == "label" else sound[kind] for index in range(rows)]
    return name, kind, column


@st.composite
def _shard(draw: st.DrawFn) -> tuple[list[Any], str, list[Any]]:
    """Columns, the metadata about features, and damage to the file."""
    rows = draw(st.sampled_from((4, 4, 4, 1, 0)))
    names = draw(st.sampled_from((["image", "label"], ["image", "label"], ["img", "fine_label", "coarse_label"], None)))
    if names is None:
        names = draw(st.lists(st.sampled_from(COLUMNS) | texts(), min_size=1, max_size=3, unique=True))
    columns = [draw(_column(rows, name)) for name in names]
    return columns, draw(st.sampled_from(FEATURES)), draw(st.just([]) | st.just([]) | damage())


TYPES = {
    "image": pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
    **{"bytes": pyarrow.binary(), "label": pyarrow.int64(), "text": pyarrow.string(), "float": pyarrow.float64()},
    **{"list": pyarrow.list_(pyarrow.int64()), "null": pyarrow.null()},
}


def _cell(kind: str, value: Any) -> Any:
    if value is None or kind in ("label", "list"):
        return value
    if kind == "text":
        return value.encode(errors="replace").decode()
    if kind == "float":
        return float(value)
    content = damaged(picture(value[0]), value[1])
    return {"bytes": content, "path": "x"} if kind == "image" else content


def write(shard: tuple[list[Any], str, list[Any]], file: Path) -> None:
    """Write a shard, damaged as it says."""
    columns, features, changes = shard
    fields = [pyarrow.field(name.encode(errors="replace").decode(), TYPES[kind]) for name, kind, _ in columns]
    arrays = [pyarrow.array([_cell(kind, v) for v in values], TYPES[kind]) for _, kind, values in columns]
    schema = pyarrow.schema(fields, metadata={"huggingface": features} if features else None)
    file.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), file)
    file.write_bytes(damaged(file.read_bytes(), changes))


def run(value: list[tuple[str, Any]], folder: Path) -> None:
    """Load the shards and see every image once."""
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    for name, shard in value:
        write(shard, folder / "set" / name)
    data = ps.data.load(str(folder / "set"), batch_size=4, image_size=8, workers=0, on_bad_image="skip")
    for loader in (data.train, data.test):
        for batch in loader or ():
            assert batch["images"].shape[1:] == (3, 8, 8)


SOUND = ([("image", "image", [("PNG", [])] * 4), ("label", "label", [0, 1, 0, 1])], "", [])
NAMED = st.tuples(st.sampled_from(NAMES), _shard())
USUAL = st.tuples(st.sampled_from((0, 1)), _shard(), st.booleans()).map(
    lambda drawn: [(NAMES[drawn[0]], drawn[1]), (NAMES[1 - drawn[0]], drawn[1] if drawn[2] else SOUND)]
)
PARQUET = Domain(USUAL | USUAL | st.lists(NAMED, min_size=1, max_size=2), run)
