"""Real runs to report on, and a real browser to open the report in."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import potstill as ps
from potstill.engine.insight import with_costs, write_insight
from potstill.losses import AT, CE, KD, Logits

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and answers on 4.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture(scope="session")
def all_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds alone, two helped by a teacher, one rocket: two epochs each."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        _train(folder / f"alone-{seed}", seed, "supervised", {"student": "wrn-10-1"}, {"network": "wrn-10-1"})
        networks = {"student": "wrn-10-1", "teacher": "resnet8"}
        terms = ["0.5 * CE", "0.5 * KD", "10 * AT on stage2"]
        _train(folder / f"helped-{seed}", seed, "distill", networks, {**networks, "terms": terms})
    _train(folder / "rocket-0", 0, "rocket", {"light": "wrn-10-1", "booster": "resnet8"}, {"light": "wrn-10-1"})
    return folder


def _train(out: Path, seed: int, recipe: str, specs: dict[str, str], arguments: dict[str, Any]) -> None:
    training = ps.Training(data="digits", epochs=2, batch_size=250, lr=0.05, seed=seed, out=out)
    data = training.load_data()
    networks = {name: ps.networks.create(spec, seed=9 if name == "teacher" else seed) for name, spec in specs.items()}
    terms = [ps.Term(CE(), name, "labels", weight=0.5) for name in networks if name != "teacher"]
    if "teacher" in networks:
        ps.freeze(networks["teacher"])
        terms.append(ps.Term(KD(), "student", "teacher", weight=0.5))
        terms.append(ps.Term(AT(), "student.stage2", "teacher.stage2", weight=10))
    if "booster" in networks:
        terms.append(ps.Term(Logits(), "light", "booster", weight=0.03, name="hint"))
    distiller = ps.Distiller(networks, terms, example=data.example())
    summary = ps.fit(distiller, data, training, {"recipe": recipe, **arguments})
    (out / "summary.json").write_text(json.dumps(with_costs(summary, distiller, data)))
    write_insight(out, distiller, data)


@pytest.fixture
def runs(all_runs: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to be damaged."""
    return Path(shutil.copytree(all_runs, tmp_path / "runs", ignore=shutil.ignore_patterns("*.ckpt", "*.safetensors")))


@pytest.fixture
def edit() -> Callable[[Path, Callable[[Any], Any]], None]:
    """Changes a JSON file in place."""

    def change(file: Path, how: Callable[[Any], Any]) -> None:
        content = json.loads(file.read_text())
        how(content)
        file.write_text(json.dumps(content))

    return change


class Browser:
    """Headless Chromium, driven over the pipe of its DevTools protocol: JSON messages that end in a zero byte.

    https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, program: str, profile: Path) -> None:
        (from_us, to_it), (from_it, to_us) = os.pipe(), os.pipe()
        # Above the two numbers that Chromium wants, so that neither is overwritten before it is moved.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (from_us, to_us)]
        command = [sys.executable, "-c", LAUNCH, *map(str, high), program, *FLAGS, f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(command, pass_fds=high, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for end in (from_us, to_us, *high):
            os.close(end)
        self.to_it, self.from_it, self.buffer = to_it, from_it, b""
        self.numbers, self.events = count(1), []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session=self.session)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come before are kept."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.to_it, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            part = os.read(self.from_it, 1 << 20)
            assert part, "Chromium has gone"
            self.buffer += part
        line, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(line)

    def open(self, file: Path, width: int = 1200, dark: bool = False) -> None:
        """Open a page and wait until it has loaded; forgets the events of the page before."""
        self.events.clear()
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", self.session, **metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", self.session, features=scheme)
        self.call("Page.navigate", self.session, url=file.as_uri())
        deadline = time.monotonic() + 30
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            assert time.monotonic() < deadline, "the page does not load"
            self.events.append(self._receive())

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        done = self.call("Runtime.evaluate", self.session, expression=script, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window."""
        self.call("Input.dispatchMouseEvent", self.session, type="mouseMoved", x=x, y=y)

    def complaints(self) -> list[str]:
        """Everything on the console: errors, warnings, messages, what the content policy refused."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in kinds]

    def requests(self) -> list[str]:
        """Every address that was asked for."""
        sent = [event["params"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def close(self) -> None:
        """End the browser."""
        self.call("Browser.close")
        self.process.wait(timeout=20)
        os.close(self.to_it)
        os.close(self.from_it)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests; they skip where there is none."""
    program = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no chromium on this machine: the report is not opened in a browser")
    running = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()
