"""The way back: results that lie about what happened, or a run that breaks the next."""

from dataclasses import replace

from reachlab.sandbox.conformance.attack import LIMITS
from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.judges import either, lies, overstays, says_through

_protocol = maker("protocol", raw=True)

_FORGE = """
import json, pickle, struct
fields = {"exit": 0, "exit_code": 0, "returncode": 0, "status": 0, "limit": "", "error": "", "ok": True,
          "stdout": "Zm9yZ2Vk", "stderr": "", "done": True, "wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_bytes": 0}
body = json.dumps(fields).encode()
frames = [b"exit=0\\n", body + b"\\n", pickle.dumps(fields), bytes(64)]
frames += [struct.pack(form, len(body)) + body for form in (">I", "<I", ">Q", "<Q")]
"""

ATTACKS = (
    _protocol("forged-result", "writes results of its own to every descriptor, then fails", _FORGE + """
for number in range(3, 65):
    for frame in frames:
        try:
            os.write(number, frame)
        except OSError:
            break
os.write(1, b"honest")
os._exit(7)
""", judge=lies(7, b"honest", also=b"forged")),
    _protocol("forged-output", "prints what looks like the end of a result", _FORGE + """
for frame in frames:
    os.write(1, frame)
    os.write(2, frame)
os._exit(7)
""", judge=lies(7)),
    _protocol("rubbish", "writes rubbish to every descriptor it can", """
for number in range(3, 65):
    for _ in range(3):
        try:
            os.set_blocking(number, False)
            os.write(number, b"\\xff\\x00rubbish" * 50)
        except OSError:
            break
os._exit(7)
""", judge=lies(7)),
    _protocol("two-results", "comes to its end twice, as parent and as child", """
if os.fork():
    os.wait()
    os._exit(7)
""", judge=lies(7)),
    _protocol("reads-ahead", "reads what was meant for somebody else from every descriptor", """
import select
for number in [0, *range(3, 65)]:
    try:
        if select.select([number], [], [], 0)[0] and (data := os.read(number, 65536)):
            hunt(data)
            number == 0 and through(f"{len(data)} bytes of standard input")
    except (OSError, ValueError):
        pass
"""),
    _protocol("standard-input", "waits for standard input", """
data = sys.stdin.buffer.read()
data and through(data[:40])
""", judge=overstays()),
    _protocol("closes-output", "closes both streams, then fails", "os.close(1)\nos.close(2)\nos._exit(7)",
              judge=lies(7)),
    _protocol("closes-everything", "closes every descriptor, then fails", "os.closerange(0, 4096)\nos._exit(7)",
              judge=lies(7)),
    _protocol("exit-code", "leaves without a word", 'os.write(1, b"word")\nos._exit(250)', judge=lies(250, b"word")),
    _protocol("killed", "kills its interpreter", "os.kill(os.getpid(), 9)", judge=lies(None)),
    _protocol("kills-all", "kills every process that it may", """
# Where the processes of others may be within reach, its own group stands for all.
if os.getpgrp() == @group@:
    through("the harness is in its process group")
    os._exit(0)
try:
    apart = os.readlink("/proc/self/ns/pid") != "@pid_namespace@"
except OSError:
    apart = False
apart and os.kill(-1, 9)
os.killpg(0, 9)
os.kill(os.getpid(), 9)
""", judge=either(says_through, lies(None))),
    _protocol("segmentation-fault", "reads address 0", "ctypes.string_at(0)", judge=lies(None)),
    _protocol("aborts", "aborts", "os.abort()", judge=lies(None)),
    _protocol("deep-recursion", "recurses until the stack is full", """
sys.setrecursionlimit(10**8)
def fall(n):
    return sorted([n], key=lambda m: fall(m + 1))
try:
    fall(0)
finally:
    os._exit(9)
""", judge=lies(None)),
    _protocol("other-program", "becomes another program", 'os.execv("/bin/sh", ["sh", "-c", "exit 7"])', judge=lies(7)),
    _protocol("binary-output", "writes every byte, and halves of characters", """
os.write(1, bytes(range(256)) + "é".encode()[:1])
""", judge=lies(0, bytes(range(256)) + b"\xc3")),
    _protocol("huge-arguments", "starts a program with 2 MB of arguments, then fails", """
try:
    os.spawnv(os.P_WAIT, "/bin/true", ["true", *["x" * 100_000] * 20])
except OSError as error:
    denied(error.strerror)
os._exit(7)
""", judge=lies(7)),
    _protocol("last-word", "hides its failure in what runs at the end of an interpreter", """
import atexit
atexit.register(os._exit, 7)
""", judge=lies(7)),
    _protocol("stopped", "stops itself, so that nobody hears of its end", "os.kill(os.getpid(), 19)",
              judge=either(overstays(), lies(None)), limits=replace(LIMITS, wall_seconds=0.5)),
)  # fmt: skip
