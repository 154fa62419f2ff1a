"""Networks that a file ``config.json`` defines: ``hf:`` and ``timm:hf-hub:`` of the Hub, ``hf:`` of a folder, too."""

import re
from pathlib import Path

from potstill.errors import BadInput
from potstill.hub import Repository

CONFIG = "config.json"
CHEAPER = r"(\+[^+/:.]*)*$"
"""What may follow a network: the convolutions that take the place of its own."""
HOSTS = ("hf-hub", "hf_hub", "local-dir")
"""Where timm finds the configuration of a network that it does not know by name."""


def configuration_of(spec: str) -> Path | None:
    """The file that defines a network, downloaded if need be; None for a network that none defines.

    Raises:
        BadInput: it has the form of one that a file defines, but there is none; the Hub cannot be reached.
    """
    home, place = _place(spec)
    if home is None:
        return None
    folder = Path(place).expanduser()
    if home == "timm:local-dir" or (home == "hf" and place and folder.is_dir()):
        file = folder.absolute() / CONFIG
        if not file.is_file():
            raise BadInput(f"network {spec!r}: no file {str(folder / CONFIG)!r}")
        return file
    repository = Repository.read(place)
    if repository is None:
        hint = ", or hf:FOLDER with a config.json" if home == "hf" else ""
        raise BadInput(f"network {spec!r}: the form is {home}:ORG/NAME{hint}")
    try:
        found = repository.fetch(CONFIG)
    except BadInput as error:
        raise BadInput(f"network {spec!r}: {error}") from error
    if found is None:
        raise BadInput(f"network {spec!r}: {repository} of the Hub has no {CONFIG}: it is no model of transformers")
    return found


def is_configured(spec: str) -> bool:
    """Whether a spec names a network that a file defines."""
    return _place(spec)[0] is not None


def relocated(spec: str, file: Path) -> str:
    """The spec of the same network, out of a copy of its configuration.

    >>> relocated("hf:facebook/dinov2-small+DConv", Path("runs/a/source/1/config.json"))
    'hf:runs/a/source/1+DConv'
    """
    home, _ = _place(spec)
    cheaper = re.search(CHEAPER, spec)
    return f"{'hf' if home == 'hf' else 'timm:local-dir'}:{file.parent}{cheaper[0] if cheaper else ''}"


def _place(spec: str) -> tuple[str | None, str]:
    """Whose network it is, and where its configuration lies: ``("timm:hf-hub", "ORG/NAME")``."""
    home, _, rest = re.sub(CHEAPER, "", spec).partition(":")
    if home == "timm" and rest.partition(":")[0] in HOSTS and ":" in rest:
        host, _, rest = rest.partition(":")
        return f"timm:{host}", rest
    return (home, rest) if home == "hf" else (None, "")
