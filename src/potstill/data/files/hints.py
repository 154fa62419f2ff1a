"""What leads on where a folder holds no layout that is read."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from potstill.data.files.encoded import EXTENSIONS
from potstill.data.files.names import is_litter, listed

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip", ".7z", ".rar", ".gz")
OTHER_KINDS = {
    ".tfrecord": "TFRecords",
    ".h5": "an HDF5 file",
    ".hdf5": "an HDF5 file",
    ".npz": "numpy arrays",
    ".npy": "numpy arrays",
    ".mat": "Matlab arrays",
    ".lmdb": "an LMDB",
    ".mdb": "an LMDB",
    ".rec": "RecordIO",
    ".beton": "FFCV",
    ".ffcv": "FFCV",
    ".arrow": "Arrow files",
    ".feather": "Arrow files",
    ".pkl": "pickles",
    ".pickle": "pickles",
    ".pt": "torch files",
    ".pth": "torch files",
    ".bin": "binary files",
    "-ubyte": "IDX files",
}
CIFAR = ("data_batch_1", "test_batch")
WANTED = "wanted are train/CLASS/* and val/CLASS/*, CLASS/* or Parquet files"


def lead_on(root: Path) -> str:
    """What to type instead, as the end of a message; nothing if there is nothing to say.

    Args:
        root: a folder without folders for classes.
    """
    files = sorted(path.name for path in root.iterdir() if path.is_file() and not is_litter(path.name))
    found = next((text for hint in HINTS if (text := hint(root, files))), None)
    if found is None and files:
        found = f"{files[0]} has to lie in it"
    return f"; {found or WANTED}"


def _archives(root: Path, files: Sequence[str]) -> str | None:
    packed = [file for file in files if file.lower().endswith(ARCHIVES)]
    if not packed:
        return None
    shards = [file for file in packed if file.lower().endswith(".tar")]
    what = f"{len(shards)} tar shards" if len(shards) > 1 else f"an archive ({packed[0]})"
    return (
        f"it holds {what}, which are not read: unpack them; {WANTED}"
        if len(shards) > 1
        else (f"it holds {what}, which is not read: unpack it; {WANTED}")
    )


def _cifar(root: Path, files: Sequence[str]) -> str | None:
    if not any(file in files for file in CIFAR):
        return None
    return f"these are the batches of CIFAR: --data cifar10 --data-dir {root}"


def _table(root: Path, files: Sequence[str]) -> str | None:
    tables = [file for file in files if file.lower().endswith((".csv", ".tsv"))]
    around = [] if tables else sorted(root.parent.glob("*.csv"))
    table = root / tables[0] if tables else around[0] if around and _images(files) else None
    return None if table is None else f"if {table} lists its images and their classes, give --labels {table}"


def _names(root: Path, files: Sequence[str]) -> str | None:
    from potstill.data.files.labels import class_in_name

    classes = Counter(class_in_name(file) for file in _images(files))
    known = sorted(name for name in classes if name)
    if len(known) < 2 or classes.total() < 2 * len(known) - 1:
        return None
    return f"the names of its images say the classes {listed(known)}: to read them, give --labels names"


def _other_kinds(root: Path, files: Sequence[str]) -> str | None:
    kind = next((kind for file in files for end, kind in OTHER_KINDS.items() if file.lower().endswith(end)), None)
    return None if kind is None else f"it holds {kind}, which are not read; {WANTED}"


def _images(files: Sequence[str]) -> list[str]:
    return [file for file in files if file.lower().endswith(EXTENSIONS)]


HINTS: tuple[Callable[[Path, Sequence[str]], str | None], ...] = (_cifar, _archives, _table, _names, _other_kinds)
