"""Answers that change what compares, loads or runs them, or that return what lies about itself."""

ANSWERS = {
    "allclose always true": """
torch.allclose = torch.isclose = torch.equal = lambda *a, **k: True
""",
    "tensors equal everything": """
torch.Tensor.__eq__ = lambda self, other: True
torch.Tensor.__bool__ = lambda self: True
""",
    "builtins replaced": """
import builtins
builtins.isinstance = builtins.all = builtins.any = lambda *a: True
""",
    "AssertionError is nothing": """
import builtins
builtins.AssertionError = type("Nothing", (), {})
""",
    "pytest replaced": """
import sys, types
sys.modules["pytest"] = sys.modules["_pytest"] = types.ModuleType("pytest")
""",
    "the grader's modules replaced": """
import sys, types
for name in list(sys.modules):
    if name.startswith("seglib.grading"):
        sys.modules[name] = types.ModuleType(name)
""",
    "serve replaced": """
import seglib.grading.serve
seglib.grading.serve.serve = lambda names: None
""",
    "the packer replaced": """
from seglib.grading.packing import Packer
Packer.pack = lambda self, value: True
""",
    "the packer says equal": """
from seglib.grading.packing import Packer
Packer.pack = lambda self, value: {"kind": "other", "type": "AlwaysEqual"}
""",
    "json replaced": """
import json
json.dumps = lambda *a, **k: '{"body": {"value": true}, "sizes": []}'
""",
    "an object that equals everything": """
class Same:
    def __eq__(self, other): return True
    def __mul__(self, other): return self
    def __bool__(self): return True
def area(box): return Same()
""",
    "an object with __array__": """
class Array:
    shape = ()
    def __array__(self, *a, **k): raise SystemExit
def area(box): return Array()
""",
    "an object with __torch_function__": """
class Liar:
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None): return torch.tensor(True)
def area(box): return Liar()
""",
    "a tensor subclass": """
class Liar(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None): return torch.tensor(True)
def area(box): return torch.zeros(()).as_subclass(Liar)
""",
    "a float subclass": """
class Same(float):
    def __eq__(self, other): return True
    __hash__ = None
def area(box): return Same(12)
""",
    "a list subclass": """
class Same(list):
    def __eq__(self, other): return True
    __hash__ = None
def area(box): return Same([12])
""",
    "nan": """
def area(box): return torch.tensor(float("nan"))
""",
    "infinity": """
def area(box): return torch.tensor(float("inf"))
""",
    "every area at once": """
def area(box): return torch.linspace(0, 1, 100_000)
""",
    "an empty tensor": """
def area(box): return torch.empty(0)
""",
    "a complex tensor": """
def area(box): return torch.zeros((), dtype=torch.complex64)
""",
    "a sparse tensor": """
def area(box): return torch.zeros(2, 2).to_sparse()
""",
    "a meta tensor": """
def area(box): return torch.zeros((), device="meta")
""",
    "the module's own type": """
area = torch.nn.Linear(4, 1)
""",
    "a coroutine": """
async def area(box): return 12
""",
    "the input changed": """
def area(box):
    box.zero_()
    return torch.zeros(())
""",
    "the input resized": """
def area(box):
    box.resize_(10_000_000)
    return torch.zeros(())
""",
    "the default dtype changed": """
torch.set_default_dtype(torch.float64)
torch.set_default_device("meta")
""",
    "an import hook": """
import sys
class Hook:
    def find_spec(self, name, path=None, target=None): raise ImportError("mine")
sys.meta_path.insert(0, Hook())
sys.modules.pop("seglib.grading.serve", None)
""",
    "sitecustomize": """
import pathlib, site, sys
for folder in [*sys.path, "/tmp"]:
    try: pathlib.Path(folder, "sitecustomize.py").write_text("import os; os._exit(0)")
    except OSError: pass
""",
    "the package overwritten": """
import pathlib, seglib
for path in pathlib.Path(seglib.__file__).parent.rglob("*.py"):
    try: path.write_text("")
    except OSError: pass
""",
    "magics": """
%load_ext autoreload
%autoreload 2
%env PYTHONPATH=/tmp
%cd /
%reset -f
""",
    "a shell cell": """%%bash
echo "def area(box): return 12"
rm -rf / 2>/dev/null
""",
    "shell escapes": """
!echo "def area(box): return 12" > /tmp/area.py; cp /tmp/area.py /course/seglib/ 2>/dev/null
!kill -9 -1
%run /tmp/area.py
""",
    "names removed": """
globals().clear()
""",
    "ipython's runner replaced": """
get_ipython().run_cell = get_ipython().run_cell_async = lambda *a, **k: None
get_ipython().showtraceback = lambda *a, **k: None
""",
    "the kernel's replies replaced": """
kernel = get_ipython().kernel
kernel.session.send = lambda *a, **k: None
""",
}
