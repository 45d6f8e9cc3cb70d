"""Create or update the course's virtual environment: python tools/environment.py lab test

Needs nothing but Python. Does nothing if the environment runs this checkout's code, has the
requested extras, and neither pyproject.toml nor requirements.lock has changed since it was made.
Settings are environment variables: VENV (the folder, .venv by default), PIP_ARGS (further arguments
for every pip install), TORCH (the build of PyTorch: cpu, auto, or one such as cu126) and
TORCH_INDEX (the package index to install PyTorch from).

With --here, everything is installed into the Python that runs this script, as containers need.
"""

import glob
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST, NEWEST = (3, 11), (3, 13)
GIGABYTE = 1e9
HERE = "--here"
SETTINGS = ("PIP_ARGS", "TORCH", "TORCH_INDEX")
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


def main(extras):
    """Install what is missing for the requested extras."""
    check_python()
    check_python_path()
    if HERE in extras:
        install(sys.executable, [extra for extra in extras if extra != HERE])
        return
    folder = os.path.join(ROOT, os.environ.get("VENV") or ".venv")
    stamp = os.path.join(folder, "seglib-environment.json")
    wanted = {"state": fingerprint(folder), "extras": sorted(set(extras))}
    present = read_stamp(stamp)
    owner = checkout_of(folder)
    foreign = owner is not None and not same(owner, ROOT)
    if foreign:
        check_owner(folder, owner)
    elif owner and present["state"] == wanted["state"]:
        if set(wanted["extras"]) <= set(present["extras"]):
            return
        wanted["extras"] = sorted(set(wanted["extras"]) | set(present["extras"]))
    python = create(folder, replace=foreign and contains(ROOT, folder))
    check_disk(folder)
    install(python, wanted["extras"])
    with open(stamp, "w") as file:
        json.dump(wanted, file)


def stop(message):
    """Exit with a one-line error message."""
    sys.exit("error: " + message)


def check_python():
    """Refuse a version of Python that the course does not support."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        stop(
            f"this is Python {VERSION}, but the course needs 3.11, 3.12 or 3.13: "
            "choose another, as in make lab PYTHON=python3.12"
        )


def check_python_path():
    """Refuse a PYTHONPATH that would make Python import another checkout's seglib."""
    for folder in filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if os.path.exists(os.path.join(folder, "seglib", "__init__.py")) and not same(folder, ROOT):
            stop(f"PYTHONPATH would run the code of {folder} instead of {ROOT}: unset it")


def checkout_of(folder):
    """The checkout whose code an environment runs, which pip records as an address, or None."""
    records = os.path.join(site_packages(folder) or folder, "seglib-*.dist-info", "direct_url.json")
    for record in glob.glob(records):
        with open(record) as file:
            installed_from = json.load(file)
        if installed_from.get("dir_info", {}).get("editable"):
            return urllib.request.url2pathname(urllib.parse.urlparse(installed_from["url"]).path)
    return None


def check_owner(folder, owner):
    """Refuse an environment that another checkout uses.

    An environment inside this checkout was copied or moved together with it, so it is created
    again. One elsewhere whose checkout no longer exists is used by this checkout from now on.
    """
    in_use = os.path.exists(os.path.join(owner, "seglib", "__init__.py"))
    if in_use and (contains(owner, folder) or not contains(ROOT, folder)):
        stop(
            f"the environment {folder} runs the code of the checkout {owner}, not of {ROOT}: "
            f"choose another folder, as in make lab VENV=/path, or delete {folder}"
        )


def same(one, other):
    """Whether two paths lead to the same folder."""
    return os.path.realpath(one) == os.path.realpath(other)


def contains(outer, inner):
    """Whether a folder lies in another."""
    return os.path.realpath(inner).startswith(os.path.join(os.path.realpath(outer), ""))


def fingerprint(folder):
    """A hash of everything that determines what is installed, and where."""
    parts = [folder, VERSION, *(os.environ.get(name, "") for name in SETTINGS)]
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


def create(folder, replace=False):
    """Create the environment if missing, broken or of another Python; returns its interpreter.

    With `replace`, an existing environment is replaced in any case.
    """
    bin_folder = "Scripts" if os.name == "nt" else "bin"
    python = os.path.join(folder, bin_folder, "python")
    version = "import sys; print('%d.%d' % sys.version_info[:2]); import pip"
    probe = None
    if os.path.exists(python) and not replace:
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
    packages = site_packages(folder)
    if packages and os.path.isdir(os.path.join(packages, "torch")):
        return
    need = 3 if os.environ.get("TORCH_INDEX") or os.environ.get("TORCH") == "cpu" else 8
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < need:
        stop(
            f"the environment needs about {need} GB and {folder} has {free:.1f} GB free: free "
            "some space, or choose another folder, as in make lab VENV=/path"
        )


def site_packages(folder):
    """Where the environment's packages are, or None if it does not exist."""
    pattern = ("Lib",) if os.name == "nt" else ("lib", "python*")
    return next(iter(glob.glob(os.path.join(folder, *pattern, "site-packages"))), None)


def install(python, extras):
    """Install the chosen build of PyTorch, if any, then the course with its extras."""
    print(f"installing seglib[{','.join(extras)}]", flush=True)
    index, build = os.environ.get("TORCH_INDEX"), os.environ.get("TORCH")
    if index:
        pip(python, ["torch", "torchvision", "--index-url", index])
    elif build:
        install_build(python, build)
    pip(python, ["-e", f".[{','.join(extras)}]"])


def install_build(python, build):
    """Install PyTorch's CPU-only build, or one for a version of CUDA, with uv.

    uv knows the address of each build's index, which pip must be told. PyTorch's dependencies are
    installed by pip.
    """
    pip(python, ["uv"])
    command = [python, "-m", "uv", "pip", "install", "--python", python, "--torch-backend", build]
    command += ["--no-deps", "--reinstall-package", "torch", "--reinstall-package", "torchvision"]
    run([*command, "-c", "requirements.lock", "torch", "torchvision"])


def pip(python, arguments):
    """Run pip install with the lock file as constraints."""
    command = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--retries", "2", "--timeout", "20", "-c", "requirements.lock"]
    run(command + shlex.split(os.environ.get("PIP_ARGS", "")) + arguments)


def run(command):
    """Run an installer, pass its error output on, and explain a failure."""
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    errors = []
    for line in process.stderr:
        sys.stderr.write(line)
        errors.append(line)
    if process.wait():
        stop(explain("".join(errors)))


def explain(errors):
    """The probable cause of an installer's failure, and what to do."""
    if "No space left" in errors or "Errno 28" in errors:
        return "the disk is full: free some space, the environment needs about 8 GB"
    network = "NewConnectionError|ConnectTimeout|ReadTimeout|name resolution|dns error|proxy"
    if re.search(network, errors, re.IGNORECASE):
        return (
            "the package index could not be reached: check the network connection and proxy, or "
            "choose another index, as in make lab PIP_ARGS='--index-url ADDRESS'"
        )
    return "the course could not be installed: see the message above, then try again"


if __name__ == "__main__":
    main(sys.argv[1:])
