"""Find or install bubblewrap, the sandbox in which `seglib grade` runs notebooks (Linux only).

Installs it with apt-get if run as root on a Debian-like system. Prints what it did, and never
fails. Without bubblewrap, the tests of the sandbox are skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys


def works() -> bool:
    """Whether bubblewrap is installed and the system allows it to create namespaces."""
    path = shutil.which("bwrap")
    if path is None:
        return False
    trial = [path, "--unshare-user", "--unshare-net", "--ro-bind", "/", "/", "true"]
    return subprocess.run(trial, capture_output=True).returncode == 0


def main() -> None:
    """Find bubblewrap or install it."""
    root_on_debian = shutil.which("apt-get") and getattr(os, "geteuid", lambda: 1)() == 0
    if shutil.which("bwrap") is None and sys.platform == "linux" and root_on_debian:
        for command in (["update"], ["install", "-y", "-q", "bubblewrap"]):
            print("trying apt-get", " ".join(command), flush=True)
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(["apt-get", *command], capture_output=True, timeout=300)
    if not works():
        present = shutil.which("bwrap") is not None
        reason = "the system does not let it make namespaces" if present else "it is not installed"
        print(f"no bubblewrap ({reason}): seglib grade needs --unsafe, sandbox tests are skipped")


if __name__ == "__main__":
    main()
