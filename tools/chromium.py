"""Find or install Chromium for the browser tests, which are skipped without it.

Looks for an installed browser, then tries Playwright's own download and, if run as root on a
Debian-like system, apt-get. Prints what it did, and never fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find() -> str | None:
    """The path of a browser: the variable CHROMIUM, one on the PATH, or Playwright's own."""
    named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if named:
        return named
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            own = playwright.chromium.executable_path
    except Exception:  # an ImportError or Playwright's own Error: there is no browser either way
        return None
    return own if Path(own).exists() else None


def attempt(*command: str) -> bool:
    """Run an installer quietly, for at most five minutes."""
    print("trying", " ".join(command[-3:]), flush=True)
    try:
        return subprocess.run(command, capture_output=True, timeout=300).returncode == 0
    except (subprocess.TimeoutExpired, OSError):
        return False


def main() -> None:
    """Find a browser or install one."""
    if find():
        return
    attempt(sys.executable, "-m", "playwright", "install", "chromium")
    root_on_debian = shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0
    if not find() and root_on_debian:
        attempt("apt-get", "update") and attempt("apt-get", "install", "-y", "-q", "chromium")
    browser = find()
    print(f"browser tests use {browser}" if browser else "no Chromium: browser tests are skipped")


if __name__ == "__main__":
    main()
