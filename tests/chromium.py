"""A headless Chromium that is driven over a pipe: the DevTools protocol, no other package."""

from __future__ import annotations

import base64
import builtins
import json
import os
import select
import shutil
import subprocess
import tempfile
from fcntl import F_DUPFD_CLOEXEC, fcntl
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

_PATIENCE = 120  # seconds that a browser may be silent on a busy machine: no test hangs for ever
_KEYS = {
    "Escape": ("Escape", 27, ""),
    "Enter": ("Enter", 13, "\r"),
    "Tab": ("Tab", 9, ""),
    "Backspace": ("Backspace", 8, ""),
}


def find_chromium() -> str:
    """Return the browser's path; skip the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium here")
    return found


class Browser:
    """A browser with one page, as a user has it who has keys and no mouse."""

    def __init__(self, downloads: Path, *, width: int = 1000, height: int = 800) -> None:
        self.downloads = downloads
        to_child, self._out = _pipe()
        self._in, from_child = _pipe()
        self._profile = tempfile.mkdtemp()
        command = [
            *(find_chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--remote-debugging-pipe", f"--user-data-dir={self._profile}"),
            *(f"--window-size={width},{height}", "about:blank"),
        ]
        # The browser reads from descriptor 3 and writes to 4.
        shell = f'exec "$@" 3<&{to_child} 4>&{from_child}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *command],
            pass_fds=(to_child, from_child),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        self._rest, self._number, self._session = b"", 0, ""
        self.seen: list[dict[str, Any]] = []
        target = next(t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page")[
            "targetId"
        ]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")
        self("Network.emulateNetworkConditions", **_OFFLINE)
        self("Emulation.setDeviceMetricsOverride", **_screen(width, height))
        session, self._session = self._session, ""
        self(
            "Browser.setDownloadBehavior",
            behavior="allow",
            downloadPath=str(downloads),
            eventsEnabled=True,
        )
        self._session = session

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer}"
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], _PATIENCE)
            assert ready, f"the browser said nothing for {_PATIENCE} s"
            more = os.read(self._in, 1 << 16)
            assert more, "the browser ended"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        if "method" in answer:
            self.seen.append(answer)
        return answer

    def wait(self, method: str, **params: Any) -> dict[str, Any]:
        """Wait for an event with these parameters and return its parameters."""
        while True:
            for i, event in enumerate(self.seen):
                said = event["params"]
                if event["method"] == method and params.items() <= said.items():
                    del self.seen[i]
                    return dict(said)
            self._receive()

    def open(self, page: Path) -> None:
        """Open a file."""
        self.seen.clear()
        self("Page.navigate", url=page.as_uri())
        self.wait("Page.loadEventFired")

    def reload(self) -> None:
        """Load the page again."""
        self.seen.clear()
        self("Page.reload")
        self.wait("Page.loadEventFired")

    def js(self, expression: str) -> Any:
        """Return what an expression gives in the page."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, *keys: str, modifiers: int = 0) -> None:
        """Press keys, one after the other."""
        for name in keys:
            key, code, text = _KEYS.get(name, (name, ord(name[0].upper()), name))
            one = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            typed = {"text": text} if text and not modifiers else {}
            self("Input.dispatchKeyEvent", type="keyDown", **one, **typed)
            self("Input.dispatchKeyEvent", type="keyUp", **one)

    def type(self, text: str) -> None:
        """Type a text where the cursor is."""
        self("Input.insertText", text=text)

    def resize(self, width: int, height: int) -> None:
        """Give the page another size."""
        self("Emulation.setDeviceMetricsOverride", **_screen(width, height))

    def darken(self) -> None:
        """Let the page know that its user prefers dark."""
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        self("Emulation.setEmulatedMedia", features=dark)

    def screenshot(self, path: Path) -> None:
        """Write what is seen."""
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot")["data"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: builtins.type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for end in (self._in, self._out):
            os.close(end)
        shutil.rmtree(self._profile, ignore_errors=True)


def _pipe() -> tuple[int, int]:
    """Return the ends of a pipe, above the descriptors that they become in the browser."""
    low = os.pipe()
    high = [fcntl(end, F_DUPFD_CLOEXEC, 20) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]


_OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


def _screen(width: int, height: int) -> dict[str, Any]:
    return {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
