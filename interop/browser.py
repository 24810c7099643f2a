"""A real browser for the tests of the console: Chrome or Chromium, without a screen."""

import os
import shutil
import time
from contextlib import contextmanager

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import sync_playwright

from broker import PATIENCE

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]

PATIENCE_MS = PATIENCE * 1000

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}


def find():
    """The path of a browser; without one the test is skipped, and says what to run."""
    found = os.environ.get("CHASKI_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no Chrome or Chromium; run: sudo apt-get install chromium")
    return found


@contextmanager
def running():
    # The sandbox needs a user that is not root, which is what containers run as.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    path = find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=flags, timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


class Console:
    """The console of a broker in a window of its own. What goes wrong in it is collected."""

    def __init__(self, browser, broker, **context):
        self.base = f"http://127.0.0.1:{broker.http_port}"
        self.context = browser.new_context(**{"viewport": WIDE, "base_url": self.base} | context)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("console", self._logged)
        self.page.on("request", self._asked)

    def _dialog(self, dialog):
        self.errors.append(f"a script opened a dialog: {dialog.message}")
        dialog.dismiss()

    def _logged(self, message):
        # Refused requests are logged by the browser and shown by the page; some are meant here.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def _asked(self, request):
        if not request.url.startswith(self.base):
            self.errors.append(f"the page asked the world: {request.url}")

    def open(self, path, ready):
        """Goes there, and waits for what is there once the page has been filled."""
        self.page.goto(path)
        self.page.wait_for_selector(ready)
        return self.page

    def violations(self):
        """What a checker of accessibility finds serious or worse."""
        self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            (one["impact"], one["id"], [node["target"] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def close(self):
        self.context.close()
        assert not self.errors, self.errors


def task_milliseconds(page, act):
    """Processor time of each task of the page's main thread while `act` ran, longest first.

    Not the time on the clock: what other processes do at the same time is not counted.
    """
    session = page.context.new_cdp_session(page)
    events, over = [], []
    session.on("Tracing.dataCollected", lambda data: events.extend(data["value"]))
    session.on("Tracing.tracingComplete", lambda _: over.append(True))
    config = {"includedCategories": ["toplevel", "__metadata"]}
    session.send("Tracing.start", {"traceConfig": config, "transferMode": "ReportEvents"})
    act()
    session.send("Tracing.end")
    deadline = time.monotonic() + PATIENCE
    while not over:
        assert time.monotonic() < deadline, "the browser never told of its tasks"
        page.wait_for_timeout(50)
    session.detach()
    named = [event for event in events if event["name"] == "thread_name"]
    mains = {
        (event["pid"], event["tid"])
        for event in named
        if event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event["tdur"] / 1000
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in mains
        if "tdur" in event
    ]
    return sorted(tasks, reverse=True)
