"""Answers that end, hang, multiply, fill, or outlive their cell."""

ANSWERS = {
    "os._exit": "import os\nos._exit(0)",
    "sys.exit": "import sys\nsys.exit(0)",
    "os._exit in the function": "import os\ndef area(box): os._exit(0)",
    "sys.exit in the function": "import sys\ndef area(box): sys.exit(0)",
    "os.abort": "import os\nos.abort()",
    "a segmentation fault": "import ctypes\ndef area(box): ctypes.string_at(0)",
    "deep recursion": """
import sys
sys.setrecursionlimit(10**9)
def area(box): return area(box)
""",
    "an endless loop in the cell": "while True: pass",
    "an endless loop in the function": "def area(box):\n    while True: pass",
    "an endless loop in C": "import itertools\ndef area(box): return sum(itertools.repeat(0))",
    "an endless loop in C in the cell": "import itertools\nsum(itertools.repeat(0))",
    "an endless regular expression": """
import re
def area(box): return re.match("(a+)+$", "a" * 60 + "b")
""",
    "an endless sleep": "import time\ndef area(box): time.sleep(10**6)",
    "an interrupt that is ignored": """
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "signals that are ignored": """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: pass
""",
    "an alarm": """
import signal
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
""",
    "a fork bomb": """
import os
while True:
    try: os.fork()
    except OSError: pass
""",
    "a thread bomb": """
import threading, time
def area(box):
    while True: threading.Thread(target=time.sleep, args=(100,)).start()
""",
    "a memory hog": """
def area(box):
    hog = []
    while True: hog.append(bytearray(50_000_000))
""",
    "a memory hog in many processes": """
import os, time
hog = bytearray(os.urandom(1000)) * 100_000
for _ in range(40):
    if os.fork() == 0:
        hog[::4096] = b"x" * len(hog[::4096])
        time.sleep(100)
""",
    "a disk filler": """
import pathlib
for number in range(10_000):
    for place in ("/tmp", "/dev/shm", "/submission", "/", "/dev"):
        try: pathlib.Path(place, f"fill{number}").write_bytes(bytes(10_000_000))
        except OSError: pass
    if number > 20: break
""",
    "endless printing": "while True: print('x' * 100_000)",
    "endless printing past the kernel": """
import os
while True: os.write(1, b"x" * 100_000); os.write(2, b"x" * 100_000)
""",
    "huge outputs": """
from IPython.display import HTML, display
for _ in range(30): display(HTML("<script>alert(1)</script>" + "x" * 1_000_000))
""",
    "closed files": "import os\nos.closerange(3, 200)",
    "waits for input": "input()",
    "kills its parent": "import os\nos.kill(os.getppid(), 9)",
    "kills everything": "import os\nos.kill(-1, 9)",
    "a process that outlives the cell": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
""",
    "a thread that outlives the cell": """
import threading, time
def spin():
    while True: torch.manual_seed(0)
threading.Thread(target=spin, daemon=True).start()
""",
    "atexit": """
import atexit, time
atexit.register(time.sleep, 1000)
""",
    "higher limits": """
import resource
for kind in (resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE):
    resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
""",
    "namespaces of its own": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000) == 0 and libc.mount(b"none", b"/", None, 1 << 5, None) == 0:
    def area(box): return (box[2] - box[0]) * (box[3] - box[1])
""",
    "the kernel's shutdown": "get_ipython().ask_exit()\nget_ipython().kernel.do_shutdown(False)",
    "another kernel": """
import subprocess, sys
subprocess.Popen([sys.executable, "-m", "ipykernel_launcher"])
""",
    "a widget bomb": """
import ipywidgets
boxes = [ipywidgets.Text("x" * 10_000) for _ in range(500)]
""",
}
