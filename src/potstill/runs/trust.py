"""Whose code a run folder wants to run: only this user's runs, unless it is told to trust others.

A run folder says how to make its networks again, and a network may be a function of a user's own. Each run of this
user is signed with a key of theirs: what its networks are, and the digests of its copies of their code. A folder
without that signature comes from elsewhere, or was changed, and runs nothing.
"""

import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from potstill.configured import is_configured, relocated
from potstill.errors import BadInput
from potstill.runs import manifest
from potstill.runs.digests import state_of
from potstill.runs.manifest import Manifest
from potstill.runs.names import MANIFEST, SOURCE
from potstill.runs.schema import Network
from potstill.runs.source import needs_code
from potstill.say import say

_trusting: ContextVar[bool] = ContextVar("trusting", default=False)
KEY_CHARACTERS = 64
TOLD = 8
"""How many files are named to whoever shall look at them."""


@contextmanager
def trusted() -> Iterator[None]:
    """Run the code that run folders of others want to run, inside the ``with`` block; look at it first.

    A run folder whose networks are functions of a user's own (``file.py:Net``, ``package.module:Net``) holds a copy of
    their source. One's own runs just work. A folder from elsewhere is refused, with the names of that code, outside of
    such a block; on the command line, ``--trust`` says the same.

    >>> import potstill as ps
    >>> with ps.trusted():
    ...     network = ps.networks.create("resnet8")  # or a run folder of a colleague's
    >>> network.spec
    'resnet8'
    """
    token = _trusting.set(True)
    try:
        yield
    finally:
        _trusting.reset(token)


def located(identity: Network, folder: Path) -> Network:
    """What makes a network of the run in ``folder``, out of the folder's own copy of its code.

    Raises:
        BadInput: that code is not this user's, and nobody said to trust it; or it is not what the run used.
    """
    if any(needs_code(spec) for spec in _specs(identity)):
        _must_be_trusted(folder, identity)
    return _with_copies(identity, folder)


def sign(folder: Path, networks: Mapping[str, Network]) -> None:
    """Vouch for the code of a run that this process makes; to be called with the folder locked."""
    if not any(needs_code(spec) for network in networks.values() for spec in _specs(network)):
        return
    key = _key(make=True)
    found = manifest.read(folder)
    if key is not None and found is not None:
        manifest.sign(folder, _signature(key, networks, found))


def key_file() -> Path:
    """Where this user's key lies."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home and Path(home).is_absolute() else Path.home() / ".local" / "share") / "potstill" / "key"


def _specs(identity: Network) -> list[str]:
    members = [spec for member in identity.get("mean_of") or () for spec in _specs(member)]
    own = identity.get("spec")
    return members if own is None else [own, *members]


def _with_copies(identity: Network, folder: Path) -> Network:
    found: Network = {key: value for key, value in identity.items() if key != "source"}  # type: ignore[assignment]
    source, spec = identity.get("source"), identity.get("spec")
    if source and spec and is_configured(spec):
        manifest.verify_in(folder, source)
        found["spec"] = relocated(spec, folder / source)
    elif source and spec:
        found["spec"] = f"{folder / source}:{spec.rpartition(':')[2]}"
    if members := identity.get("mean_of"):
        found["mean_of"] = [_with_copies(member, folder) for member in members]
    return found


def _must_be_trusted(folder: Path, identity: Network) -> None:
    found = manifest.read(folder)
    for name in (found or {"files": {}})["files"]:
        if name.startswith(f"{SOURCE}/"):
            manifest.verify_in(folder, name)
    if _trusting.get():
        return
    key = _key(make=False)
    if key is not None and found is not None and _is_signed(folder, identity, found, key):
        return
    code = _code(folder, identity, found)
    wanted = ", ".join(code[:TOLD]) + (f" and {len(code) - TOLD} more" if len(code) > TOLD else "")
    raise BadInput(f"{folder} was not made by this user and wants to run code: {wanted}; look at it, --trust runs it")


def _is_signed(folder: Path, identity: Network, found: Manifest, key: str) -> bool:
    """Whether this user's key vouches for the networks in a folder, of which ``identity`` is one, and all its code."""
    from potstill.runs.reading import read_networks

    networks = read_networks(folder)["networks"]
    if not hmac.compare_digest(_signature(key, networks, found), found.get("signature") or ""):
        return False
    lying = {file.relative_to(folder).as_posix() for file in manifest.files_below(folder / SOURCE)}
    if extra := sorted(lying - found["files"].keys()):
        raise BadInput(f"{folder / extra[0]} is not the run's: {MANIFEST} does not list it; remove it")
    return identity in networks.values()


def _signature(key: str, networks: Mapping[str, Network], found: Manifest) -> str:
    """What binds the networks of a run and the digests of its code to a key."""
    code = {name: states for name, states in found["files"].items() if name.startswith(f"{SOURCE}/")}
    statement = json.dumps({"networks": networks, "code": code}, sort_keys=True)
    return hmac.new(key.encode(), statement.encode(), "sha256").hexdigest()


def _code(folder: Path, identity: Network, found: Manifest | None) -> list[str]:
    """The code a network would run, each file with its size and digest."""
    names: list[str] = []
    for one in (identity, *(identity.get("mean_of") or ())):
        spec = one.get("spec")
        if spec is None or not needs_code(spec):
            continue
        home = spec.rpartition(":")[0]
        copies = [name for name in (found or {"files": {}})["files"] if name.startswith(f"{SOURCE}/")]
        if source := one.get("source"):
            names += [_told(folder / name) for name in copies or [source]]
        else:
            names.append(f"{spec}, which is {_told(Path(home))}" if home.endswith(".py") else spec)
    return list(dict.fromkeys(names))


def _told(file: Path) -> str:
    state = state_of(file)
    return f"{file} (not there)" if state is None else f"{file} ({state['bytes']:,} bytes, SHA-256 {state['sha256']})"


def _key(make: bool) -> str | None:
    """This user's key; None if there is none, and none can be made."""
    try:
        file = key_file()
        if make and not file.exists():
            _make_key(file)
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if make:
            say(f"no key can be kept in {error.filename} ({error.strerror}): this run's own code will need --trust")
        return None
    except RuntimeError:  # this user has no home folder
        if make:
            say("no key can be kept, for there is no home folder: this run's own code will need --trust")
        return None
    with os.fdopen(descriptor, "rb") as content:
        status = os.fstat(content.fileno())
        text = content.read(KEY_CHARACTERS + 1) if stat.S_ISREG(status.st_mode) else b""
    if len(text) != KEY_CHARACTERS or status.st_uid != os.geteuid():
        say(f"{file} is no key of this user's and is not used; delete it, and the next run makes a new one")
        return None
    return text.decode("ascii", "replace")


def _make_key(file: Path) -> None:
    """Make a key that no other user reads; of two processes at once, one."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.draft")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as content:
            content.write(secrets.token_hex(KEY_CHARACTERS // 2).encode())
        os.link(draft, file)
    except FileExistsError:  # another process was first
        return
    finally:
        draft.unlink(missing_ok=True)
