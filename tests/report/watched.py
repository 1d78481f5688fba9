"""A page opened in a real browser, with everything that it asks for and complains of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Watched:
    """A page with everything it asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: Path, fragment: str = "") -> Page:
        self.page.goto(path.as_uri() + fragment)
        self.page.wait_for_selector("html[data-ready]", timeout=20_000)
        return self.page

    def open_dialogues(self, path: Path, fragment: str = "", wait: str = ".round") -> Page:
        """The page of a study, down at its dialogues."""
        self.open(path, fragment)
        self.page.locator("#dialogue").scroll_into_view_if_needed()
        self.page.wait_for_selector(wait, timeout=20_000)
        return self.page

    def quiet(self) -> bool:
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:"))] == []
        return True


def until(page: Page, condition: str, seconds: float = 15.0) -> None:
    """Wait for a condition. The page's policy refuses evaluated strings, so it is asked from outside."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({condition})"):
        assert time.monotonic() < end, f"never came true: {condition}"
        page.wait_for_timeout(50)
