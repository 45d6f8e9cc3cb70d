"""Every kind of attack and accident that the grader must survive, and the entries that try it.

Names are those of `hostile.answers()`, "broken: " and a name of `broken.NOTEBOOKS`, or the test of
something that happens to files before a notebook is read.
"""

from __future__ import annotations

SUBMISSIONS = "tests.grading.test_submissions"

KINDS: dict[str, tuple[str, ...]] = {
    "checks deleted": ("broken: checks removed",),
    "checks edited": ("broken: checks edited", "broken: points raised"),
    "stored outputs forged": ("broken: outputs forged",),
    "allclose patched": ("patching: allclose always true",),
    "pytest patched": ("patching: pytest replaced",),
    "seglib patched": ("patching: serve replaced", "patching: the packer replaced"),
    "sys.modules patched": ("patching: the grader's modules replaced",),
    "__eq__ patched": ("patching: tensors equal everything", "patching: a float subclass"),
    "__array__ patched": ("patching: an object with __array__",),
    "tensor subclasses": ("patching: a tensor subclass",),
    "the channel written to": ("channel: points", "channel: noise", "channel: closed at once"),
    "replies forged": ("channel: true before anyone asks", "channel: a pickle"),
    "replies oversized": ("channel: an oversized array", "channel: a long text"),
    "frames searched": ("searching: frames",),
    "gc searched": ("searching: the garbage collector", "searching: texts of checks in memory"),
    "tags that expect errors or skip": ("broken: tags of nbval", "broken: a comment that skips"),
    "os._exit": ("processes: os._exit", "processes: os._exit in the function"),
    "sys.exit": ("processes: sys.exit", "processes: sys.exit in the function"),
    "endless loops in Python": ("processes: an endless loop in the function",),
    "endless loops in C": ("processes: an endless loop in C",),
    "fork bomb": ("processes: a fork bomb", "processes: a thread bomb"),
    "memory hog": ("processes: a memory hog", "processes: a memory hog in many processes"),
    "disk filler": ("processes: a disk filler",),
    "endless printing": ("processes: endless printing past the kernel",),
    "sockets": ("searching: the network", "searching: sockets of the system"),
    "reading the master": ("searching: masters on the disk", "searching: the solution on the disk"),
    "reading the environment": ("searching: the environment",),
    "reading /proc": ("searching: other processes", "searching: through /proc/1/root"),
    "reading other submissions": ("searching: other submissions",),
    "killing the parent": ("processes: kills its parent", "processes: kills everything"),
    "threads that outlive the cell": ("processes: a thread that outlives the cell",),
    "processes that outlive the cell": ("processes: a process that outlives the cell",),
    "atexit": ("processes: atexit",),
    "import hooks": ("patching: an import hook",),
    "sitecustomize": ("patching: sitecustomize",),
    "% magics": ("patching: magics", "patching: a shell cell"),
    "! magics": ("patching: shell escapes",),
    "writing into the package": ("patching: the package overwritten",),
    "signals": ("processes: signals that are ignored", "processes: an alarm"),
    "not JSON": ("broken: not JSON", "broken: binary", "broken: cut off"),
    "wrong nbformat": ("broken: format 3", "broken: cells that are a dictionary"),
    "duplicate ids": ("broken: two cells with one id",),
    "missing ids": ("broken: no ids",),
    "huge outputs": ("broken: huge outputs", "processes: huge outputs"),
    "widget state bombs": ("broken: widget state", "processes: a widget bomb"),
    "Unicode tricks in ids": ("broken: ids that only look alike", "channel: control characters"),
    "Unicode tricks in names": (f"{SUBMISSIONS}:test_unusual_names_give_plain_file_names",),
    "symbolic links": (f"{SUBMISSIONS}:test_links_are_not_followed",),
    "zips with .. in paths": (f"{SUBMISSIONS}:test_archives_are_read_without_unpacking",),
    "another assignment": ("broken: another assignment",),
    "another student's copy": ("tests.grading.test_reports:test_a_class_is_written",),
}
