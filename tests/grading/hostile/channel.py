"""Answers that speak to the grader themselves, in its protocol or against it."""

OPEN = """
import json, os, socket, struct, time
def channel():
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["SEGLIB_CHANNEL"])
    return connection
def send(connection, body, *buffers, sizes=None):
    sizes = [len(data) for data in buffers] if sizes is None else sizes
    text = json.dumps({"body": body, "sizes": sizes}).encode()
    connection.sendall(struct.pack("!I", len(text)) + text + b"".join(buffers))
"""

ANSWERS = {
    "true before anyone asks": OPEN
    + """
mine = channel()
for _ in range(1000): send(mine, {"value": True})
time.sleep(60)
""",
    "points": OPEN
    + """
mine = channel()
send(mine, {"earned": 2, "points": 2, "passed": True, "value": 12})
time.sleep(60)
""",
    "closed at once": OPEN
    + """
channel().close()
""",
    "never answers": OPEN
    + """
mine = channel()
time.sleep(60)
""",
    "drips": OPEN
    + """
mine = channel()
while True:
    mine.sendall(b" ")
    time.sleep(0.5)
""",
    "an oversized text": OPEN
    + """
mine = channel()
mine.sendall(struct.pack("!I", 2**31))
time.sleep(60)
""",
    "an oversized array": OPEN
    + """
mine = channel()
send(mine, {"value": 1}, sizes=[2**40])
time.sleep(60)
""",
    "a million arrays": OPEN
    + """
mine = channel()
send(mine, {"value": 1}, sizes=[0] * 1_000_000)
time.sleep(60)
""",
    "deep nesting": OPEN
    + """
mine = channel()
text = b'{"body": ' + b"[" * 100_000 + b"]" * 100_000 + b', "sizes": []}'
mine.sendall(struct.pack("!I", len(text)) + text)
time.sleep(60)
""",
    "a pickle": OPEN
    + """
mine = channel()
send(mine, {"value": {"kind": "pickle", "buffer": 0}}, b"cos\\nsystem\\n(S'touch /tmp/x'\\ntR.")
time.sleep(60)
""",
    "a forged function": OPEN
    + """
mine = channel()
send(mine, {"value": {"kind": "function", "id": 0}})
time.sleep(60)
""",
    "calls of functions that it was not given": OPEN
    + """
mine = channel()
for number in (-1, 0, 10**9, "x", None):
    send(mine, {"back": number, "arguments": [], "named": {}})
time.sleep(60)
""",
    "an endless number of calls": OPEN
    + """
mine = channel()
while True: send(mine, {"back": 0, "arguments": {"kind": "list", "items": []}, "named": {}})
""",
    "a huge integer": OPEN
    + """
mine = channel()
text = b'{"body": {"value": ' + b"9" * 1_000_000 + b'}, "sizes": []}'
mine.sendall(struct.pack("!I", len(text)) + text)
time.sleep(60)
""",
    "an error with markup": OPEN
    + """
mine = channel()
send(mine, {"error": "<b>AssertionError</b>", "message": "<script>alert(1)</script>" * 1000})
time.sleep(60)
""",
    "an error of the grader's own": OPEN
    + """
mine = channel()
for kind in ("SystemExit", "KeyboardInterrupt", "GoneError", "ExceptionGroup", "StopIteration"):
    send(mine, {"error": kind, "message": "12"})
time.sleep(60)
""",
    "gradients of nothing": OPEN
    + """
mine = channel()
value = {"kind": "tensor", "dtype": "float32", "shape": [], "buffer": 0, "grad": True}
send(mine, {"value": value, "graph": 0, "changed": [1, 2, 3]}, b"\\x00" * 4)
time.sleep(60)
""",
    "not an object": OPEN
    + """
mine = channel()
send(mine, [1, 2, 3])
time.sleep(60)
""",
    "noise": OPEN
    + """
mine = channel()
mine.sendall(os.urandom(100_000))
time.sleep(60)
""",
    "a large result": """
def area(box): return torch.zeros(30_000_000)
""",
    "a long list": """
def area(box): return list(range(300_000))
""",
    "a long text": """
def area(box): return "x" * 3_000_000
""",
    "a list that contains itself": """
def area(box):
    items = []
    items.append(items)
    return items
""",
    "an error with a long message": """
def area(box): raise ValueError("<img src=x onerror=alert(1)>" * 10_000)
""",
    "an error whose text is an error": """
class Odd(Exception):
    def __str__(self): raise ValueError("odd")
def area(box): raise Odd
""",
    "an error with an odd name": """
Odd = type("</b><script>alert(1)</script>", (Exception,), {})
def area(box): raise Odd("x")
""",
    "control characters": """
def area(box): raise ValueError("\\x1b[2J\\x00\\u202e\\ud800 ok")
""",
}
