"""Create or update the course's virtual environment: python tools/environment.py lab test

Needs nothing but Python. Does nothing if the requested extras are installed and neither
pyproject.toml nor requirements.lock has changed since. Environment variables are the settings:
VENV (the folder, .venv by default), PIP_ARGS (further arguments for every pip install) and
TORCH_INDEX (the package index to install PyTorch from).
"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST, NEWEST = (3, 11), (3, 13)
GIGABYTE = 1e9
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def main(extras):
    """Install what is missing for the requested extras."""
    check_python()
    folder = os.path.join(ROOT, os.environ.get("VENV") or ".venv")
    stamp = os.path.join(folder, "seglib-environment.json")
    wanted = {"state": fingerprint(folder), "extras": sorted(set(extras))}
    present = read_stamp(stamp)
    if present["state"] == wanted["state"]:
        if set(wanted["extras"]) <= set(present["extras"]):
            return
        wanted["extras"] = sorted(set(wanted["extras"]) | set(present["extras"]))
    python = create(folder)
    check_disk(folder)
    install(python, wanted["extras"])
    with open(stamp, "w") as file:
        json.dump(wanted, file)


def stop(message):
    """Exit with a one-line error message."""
    sys.exit("error: " + message)


def check_python():
    """Refuse a Python that the course does not run on."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        stop(
            f"this is Python {VERSION}, but the course needs 3.11, 3.12 or 3.13: "
            "choose another, as in make lab PYTHON=python3.12"
        )


def fingerprint(folder):
    """A hash of everything that determines what is installed, and where."""
    parts = [folder, VERSION, os.environ.get("PIP_ARGS", ""), os.environ.get("TORCH_INDEX", "")]
    for name in ("pyproject.toml", "requirements.lock"):
        with open(os.path.join(ROOT, name)) as file:
            parts.append(file.read())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read_stamp(path):
    """The record of the last successful installation, or an empty one."""
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {"state": None, "extras": []}


def create(folder):
    """Create the environment if missing, broken or of another Python; returns its interpreter."""
    bin_folder = "Scripts" if os.name == "nt" else "bin"
    python = os.path.join(folder, bin_folder, "python")
    version = "import sys; print('%d.%d' % sys.version_info[:2]); import pip"
    probe = None
    if os.path.exists(python):
        probe = subprocess.run([python, "-c", version], capture_output=True, text=True)
    if probe and probe.returncode == 0 and probe.stdout.strip() == VERSION:
        return python
    print("creating the environment " + os.path.relpath(folder, ROOT), flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", folder])
    if made.returncode:
        stop(
            f"could not create a virtual environment in {folder}: make sure that the folder is "
            "writable and, on Debian and Ubuntu, that the package python3-venv is installed"
        )
    return python


def check_disk(folder):
    """Refuse to start a first installation that would not fit on the disk."""
    if installed(folder, "torch"):
        return
    need = 3 if os.environ.get("TORCH_INDEX") else 8
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < need:
        stop(
            f"the environment needs about {need} GB and {folder} has {free:.1f} GB free: free "
            "some space, or choose another folder, as in make lab VENV=/path"
        )


def installed(folder, package):
    """Whether a package's folder is in the environment."""
    for base, folders, _ in os.walk(os.path.join(folder, "lib" if os.name != "nt" else "Lib")):
        if os.path.basename(base) == "site-packages":
            return package in folders
    return False


def install(python, extras):
    """Install PyTorch from its own index if one is set, then the course with its extras."""
    print(f"installing seglib[{','.join(extras)}]", flush=True)
    index = os.environ.get("TORCH_INDEX")
    if index:
        pip(python, ["torch", "torchvision", "--index-url", index])
    pip(python, ["-e", f".[{','.join(extras)}]"])


def pip(python, arguments):
    """Run pip install with the lock file as constraints, and explain a failure."""
    command = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--retries", "2", "--timeout", "20", "-c", "requirements.lock"]
    command += shlex.split(os.environ.get("PIP_ARGS", "")) + arguments
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    errors = []
    for line in process.stderr:
        sys.stderr.write(line)
        errors.append(line)
    if process.wait():
        stop(explain("".join(errors)))


def explain(errors):
    """The likely cause of pip's failure, and what to do."""
    if "No space left" in errors or "Errno 28" in errors:
        return "the disk is full: free some space, the environment needs about 8 GB"
    network = ("NewConnectionError", "ConnectTimeout", "ReadTimeout", "name resolution", "proxy")
    if any(sign.lower() in errors.lower() for sign in network):
        return (
            "pip could not reach the package index: check the network connection and proxy, or "
            "choose another index, as in make lab PIP_ARGS='--index-url ADDRESS'"
        )
    return "pip could not install the course: see its own message above, then try again"


if __name__ == "__main__":
    main(sys.argv[1:])
