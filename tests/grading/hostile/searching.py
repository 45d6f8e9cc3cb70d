"""Answers that look for expected values, checks, solutions, secrets or other submissions.

Each tells what it finds in the error that it raises, so that it would show up in the reports.
"""

TELL = """
def area(box): raise ValueError(str(found)[:2000])
"""

ANSWERS = {
    "frames": """
import sys
def area(box):
    frame, found = sys._getframe(), []
    while frame:
        found += [v for v in frame.f_locals.values() if isinstance(v, (float, torch.Tensor))]
        frame = frame.f_back
    return next((v for v in found if isinstance(v, torch.Tensor) and v.ndim == 0), 0)
""",
    "the garbage collector": """
import gc
def area(box):
    seen = [o for o in gc.get_objects() if isinstance(o, torch.Tensor) and o.ndim == 0]
    return seen[-1] if seen else 0
""",
    "texts of checks in memory": """
import gc, sys
found = [m for m in sys.modules.values() if "HIDDEN TESTS" in str(vars(m).get("__doc__"))]
found += [o for o in gc.get_objects() if isinstance(o, str) and "expected {" in o]
"""
    + TELL,
    "masters on the disk": """
import pathlib
found = [p for p in pathlib.Path("/").rglob("[0-9][0-9]_*.py") if "assignments" in p.parts]
"""
    + TELL,
    "the solution on the disk": """
import subprocess
pattern = "bo[x].2. - bo[x].0..*bo[x].3."  # does not match itself
done = subprocess.run(f"grep -rlE '{pattern}' /submission /course /tmp /home /root",
                      shell=True, capture_output=True, text=True)
found = done.stdout
"""
    + TELL,
    "the environment": """
import os, pathlib
found = dict(os.environ)
for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
    try: found[str(path)] = path.read_bytes()
    except OSError: pass
found = {k: v for k, v in found.items() if "SECRET" in str(v)}
"""
    + TELL,
    "other processes": """
import pathlib
found = []
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try: found.append(path.read_text())
    except OSError: pass
found = [line for line in found if "tests/grading" in line or "seglib grade" in line]
"""
    + TELL,
    "the memory of other processes": """
import os
found = []
for pid in range(1, 300):
    try: found.append(open(f"/proc/{pid}/mem", "rb").read(16) if pid != os.getpid() else b"")
    except OSError: pass
found = [data for data in found if data]
"""
    + TELL,
    "other submissions": """
import pathlib
found = [str(p) for p in pathlib.Path("/").rglob("*.ipynb")
         if "site-packages" not in str(p) and str(p) != "/submission/notebook.ipynb"]
"""
    + TELL,
    "home folders": """
import pathlib
found = []
for place in ("/root/.ssh", "/home", "/etc/shadow", "/etc/passwd", "/var", "/srv"):
    if pathlib.Path(place).exists(): found.append(place)
"""
    + TELL,
    "through /proc/1/root": """
import os, sys
found, beside = [], os.path.dirname(sys.prefix)  # where a checkout lies that contains .venv
for place in ("/etc/shadow", "/home", f"{beside}/lessons", f"{beside}/tests", f"{beside}/.git"):
    for root in ("/proc/1/root", "/proc/self/root"):
        if os.path.exists(root + place): found.append(root + place)
if os.path.exists("/proc/1/cwd/../lessons"): found.append("lessons")
"""
    + TELL,
    "the network": """
import socket
found = []
for place in (("1.1.1.1", 53), ("127.0.0.1", 22), ("169.254.169.254", 80)):
    try:
        socket.create_connection(place, timeout=1)
        found.append(place)
    except OSError: pass
try: found.append(socket.gethostbyname("example.org"))
except OSError: pass
"""
    + TELL,
    "sockets of the system": """
import os, socket
found = []
for folder in ("/run", "/var/run", "/tmp"):
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".sock", "bus_socket")): found.append(name)
"""
    + TELL,
}
