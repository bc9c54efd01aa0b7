"""A headless Chromium, spoken to in the DevTools protocol through a pipe: no driver and no package is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
           "--hide-scrollbars",
           "--disable-extensions", "--disable-dev-shm-usage", "--disable-background-networking")  # fmt: skip
SECONDS = 60
"""After that the browser is taken for dead."""
AT_3_AND_4 = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads descriptor 3 and writes descriptor 4."""


def find_browser():
    """The path of a browser, or None; the variable KERASBN_BROWSER goes first."""
    return next(filter(None, map(shutil.which, (os.environ.get("KERASBN_BROWSER", ""), *NAMES))), None)


class Browser:
    """One page, loaded without a network."""

    def __init__(self, reader, writer):
        self._reader, self._writer, self._number, self._buffer = reader, writer, 0, b""
        self._session = None
        self.requests, self.complaints, self._loaded = [], [], False
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        self._call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
        )

    def show(self, path, *, width=1100, height=900, dark=False):
        """Loads a file; what it asks for and complains of is in `requests` and `complaints`."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.requests, self.complaints, self._loaded = [], [], False
        self._call("Page.navigate", url=Path(path).resolve().as_uri())
        self._wait(lambda: self._loaded)

    def evaluate(self, script):
        """The value of an expression in the page."""
        result = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"]["exception"]["description"])
        return result["result"].get("value")

    def screenshot(self, path):
        """The whole page as a PNG."""
        data = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def _call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writer, json.dumps(message).encode() + b"\0")
        answer = self._wait(lambda: self._answer(self._number))
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def _answer(self, number):
        return self._last if self._last and self._last.get("id") == number else None

    _last = None

    def _wait(self, condition):
        deadline = time.monotonic() + SECONDS
        while not (found := condition()):
            self._last = self._receive(deadline)
            self._note(self._last)
        return found

    def _receive(self, deadline):
        while b"\0" not in self._buffer:
            if not select.select([self._reader], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise AssertionError(f"The browser said nothing for {SECONDS} seconds.")
            data = os.read(self._reader, 1 << 20)
            if not data:
                raise AssertionError("The browser ended.")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, message):
        method, params = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"]["text"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])


@contextlib.contextmanager
def browser(path):
    """A running browser.

    Args:
        path: The browser, of `find_browser`.
    """
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [sys.executable, "-c", AT_3_AND_4, str(theirs_in), str(theirs_out), path, *OPTIONS]
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"], pass_fds=(theirs_in, theirs_out), stdout=nowhere, stderr=nowhere
        )
        try:
            os.close(theirs_in), os.close(theirs_out)
            yield Browser(ours_in, ours_out)
        finally:
            process.terminate()
            process.wait()
            os.close(ours_in), os.close(ours_out)
