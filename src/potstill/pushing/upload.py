"""Putting a folder on the Hugging Face Hub, by the Hub's own client."""

from pathlib import Path
from typing import Any

from potstill.errors import BadInput, first_line
from potstill.hub import Repository, answers, library

KEPT = {".gitattributes"}
"""What the Hub itself puts into a new repository."""


def upload(folder: Path, repository: Repository, *, private: bool, replace: bool, message: str) -> tuple[str, str]:
    """Make the repository, if there is none, and put all files of a folder into it, in one commit.

    Returns:
        The addresses of the repository and of the commit.

    Raises:
        BadInput: the Hub does not answer or refuses; or the repository holds files already, and ``replace`` is not set.
    """
    client = library("huggingface_hub", "hf")
    endpoint = client.constants.ENDPOINT
    if client.constants.HF_HUB_OFFLINE or not answers(endpoint):
        raise BadInput(f"{endpoint} does not answer: nothing was uploaded")
    if client.get_token() is None:
        raise BadInput("no token of the Hub's, without which nothing is uploaded: hf auth login, or $HF_TOKEN")
    api = client.HfApi()
    try:
        there = _files(api, repository)
        if there and not replace:
            some = f"{len(there)} files already, such as {there[0]}"
            raise BadInput(f"{repository} holds {some}; --replace puts a commit on top, or choose another name")
        made = api.create_repo(repository.name, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repository.name, folder_path=folder, commit_message=message)
    except client.errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        why = "this token may not write there" if status in (401, 403) else first_line(error)
        raise BadInput(f"the Hub refuses {repository}: {why} ({status})") from error
    except OSError as error:
        raise BadInput(f"{endpoint} broke off: {first_line(error) or type(error).__name__}") from error
    return str(made), str(commit.commit_url)


def _files(api: Any, repository: Repository) -> list[str]:
    """The files of a repository; none if there is no such one yet."""
    errors = library("huggingface_hub", "hf").errors
    try:
        return sorted(set(api.list_repo_files(repository.name)) - KEPT)
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        return []
