"""``potstill push``: a run's student on the Hugging Face Hub."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from potstill.errors import BadInput


def push(
    run: str,
    to: str,
    /,
    *,
    best: bool = False,
    private: bool = False,
    replace: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Upload a run's student to the Hugging Face Hub: weights, configuration, and a card made from the run.

    A network of timm or of transformers is loaded by these, any other by a Python file that is uploaded with it; of a
    network whose code is your own, the weights alone are. What is uploaded is read back before, and listed. Nothing
    else of the run is, and no folder's name of this machine.

    Args:
        run: a run folder; of several networks, the student or the light net is meant, or FOLDER:NAME.
        to: the repository, ORG/NAME; it is made if there is none.
        best: the weights of the best epoch, instead of the last.
        private: make a repository that only its owners see.
        replace: put a commit on top of what a repository holds already.
        dry_run: show what would be uploaded, the card too, and upload nothing.
    """
    import potstill
    from potstill import pushing
    from potstill.export import choose_network
    from potstill.hub import Repository

    repository = Repository.read(to)
    if repository is None or repository.revision is not None:
        raise BadInput(f"{to!r} is no repository of the Hub's; the form is ORG/NAME")
    about = pushing.published(choose_network(run, best).must_classify())
    spec, classes = str(about.chosen.identity["spec"]), about.chosen.classes
    network = potstill.networks.create(spec, classes, weights=about.chosen.weights).eval()
    form = pushing.form_of(about, network)
    with TemporaryDirectory(prefix="potstill-") as name:
        folder = Path(name)
        form.write(network, about, folder)
        text = pushing.card(about, form, repository.name)
        (folder / "README.md").write_text(text, "utf-8")
        files = [{"file": file.name, "bytes": file.stat().st_size} for file in sorted(folder.iterdir())]
        result: dict[str, Any] = {"run": str(about.chosen.folder), "network": about.chosen.spec}
        result |= {"weights": about.chosen.epoch, "repository": to, "library": form.library, "table": files}
        if dry_run:
            return {**result, "uploaded": False, "code": text.splitlines()}
        message = f"{about.chosen.name} of a run, by potstill {potstill.__version__}"
        place, commit = pushing.upload(folder, repository, private=private, replace=replace, message=message)
    return {**result, "uploaded": True, "place": place, "commit": commit}
