"""A stand-in for the Hugging Face Hub: as much of its HTTP interface as its client needs for files, over localhost.

Repositories are dictionaries of files. Large files go the way that the real one has for them: a batch request, then an
upload to the address that it answers with.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_test"


class Hub(ThreadingHTTPServer):
    """Holds repositories ("models/ORG/NAME"), uploaded objects, and what was asked, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.messages: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, kind: str, name: str, revision: str) -> dict[str, bytes] | None:
        """The files of a revision: main is "models/ORG/NAME", others have "@REVISION" behind; or it is a commit."""
        wanted = f"{kind}/{name}" if revision == "main" else f"{kind}/{name}@{revision}"
        return next(
            (files for key, files in self.repositories.items() if wanted == key or revision == commit_of(key)), None
        )


@contextmanager
def running() -> Iterator[Hub]:
    """A stand-in that answers inside."""
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


def commit_of(key: str) -> str:
    """The commit that a revision is at."""
    return hashlib.sha1(key.encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self._path()
        if path == "/":
            return self._answer(200, b"")
        if found := re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/(.+?)/([^/].*)", path):
            kind, name, revision, file = found.groups()
            # A revision may hold slashes, as refs/convert/parquet does.
            for cut in range(file.count("/") + 1):
                parts = file.split("/")
                files = self.server.files(kind or "models", name, "/".join([revision, *parts[:cut]]))
                if files is not None and (rest := "/".join(parts[cut:])) in files:
                    return self._file(files[rest], self._commit_of(files))
            known = f"{kind or 'models'}/{name}" in self.server.repositories
            return self._missing("EntryNotFound" if known else "RepoNotFound")
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^?]+?)(?:/)?", path):
            files = self.server.files(*found.groups())
            if files is None:
                return self._missing(
                    "RepoNotFound" if f"{found[1]}/{found[2]}" not in self.server.repositories else "RevisionNotFound"
                )
            return self._json(
                [{"type": "file", "path": name, "size": len(text), "oid": _oid(text)} for name, text in files.items()]
            )
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+?)(?:/revision/(.+))?", path):
            kind, name, revision = found.groups()
            files = self.server.files(kind, name, revision or "main")
            if files is None:
                known = f"{kind}/{name}" in self.server.repositories
                return self._missing("RevisionNotFound" if known else "RepoNotFound")
            siblings = [{"rfilename": file, "size": len(text), "blobId": _oid(text)} for file, text in files.items()]
            return self._json(
                {"id": name, "sha": self._commit_of(files), "siblings": siblings, "private": False, "tags": []}
            )
        return self._missing("EntryNotFound")

    def do_POST(self):
        path, body = self._path(), self._body()
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._answer(401, b'{"error": "Invalid username or password."}')
        if path == "/api/validate-yaml":
            return self._json({"warnings": [], "errors": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name.startswith("others/"):
                return self._answer(403, b'{"error": "You do not have the rights"}')
            self.server.repositories.setdefault(f"models/{name}", {".gitattributes": b""})
            self.server.private.setdefault(name, bool(asked.get("private")) or asked.get("visibility") == "private")
            return self._json({"url": f"{self.server.endpoint}/{name}", "name": name})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/.+", path):
            files = json.loads(body)["files"]
            large = {file["path"]: file["path"].endswith(".safetensors") for file in files}
            return self._json(
                {
                    "files": [
                        {"path": name, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
                        for name, lfs in large.items()
                    ]
                }
            )
        if re.fullmatch(r"/[^/]+/[^/]+\.git/info/lfs/objects/batch", path):
            upload = lambda oid: {"upload": {"href": f"{self.server.endpoint}/lfs/{oid}"}}  # noqa: E731
            objects = [{**one, "actions": upload(one["oid"])} for one in json.loads(body)["objects"]]
            return self._json({"transfer": "basic", "objects": objects})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/.+", path):
            return self._commit(found[1], body)
        return self._missing("EntryNotFound")

    def do_PUT(self):
        self.server.objects[self._path().removeprefix("/lfs/")] = self._body()
        self._answer(200, b"")

    def _commit(self, name, body):
        files = self.server.repositories[f"models/{name}"]
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                self.server.messages.append(value["summary"])
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                content = self.server.objects[value["oid"]]
                assert hashlib.sha256(content).hexdigest() == value["oid"]
                files[value["path"]] = content
        commit = commit_of(f"models/{name}")
        url = f"{self.server.endpoint}/{name}/commit/{commit}"
        self._json({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})

    def _path(self):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        return path

    def _body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _commit_of(self, files):
        return next(commit_of(key) for key, known in self.server.repositories.items() if known is files)

    def _file(self, content, commit):
        self._answer(200, content, {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": commit})

    def _json(self, content):
        self._answer(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _missing(self, code):
        self._answer(404, b"{}", {"X-Error-Code": code, "X-Error-Message": code})

    def _answer(self, status, content, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _oid(content):
    return hashlib.sha1(content).hexdigest()
