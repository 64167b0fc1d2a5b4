"""More processes, time, output and files than the limits allow. Bounded, so that the control does no harm.

What is taken is held for 0.3 s (memory and disk too): a watch that looks at it every now and then is a fair way.
"""

from dataclasses import replace

from reachlab.sandbox.conformance.attack import LIMITS
from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.judges import floods, overstays

_resource = maker("resources")
_WALL = replace(LIMITS, wall_seconds=0.5)
_CPU = replace(LIMITS, wall_seconds=10.0, cpu_seconds=0.7)
_FLOOD = replace(LIMITS, output_bytes=64 * 2**10)

ATTACKS = (
    _resource("fork-bomb", "60 processes at once, of 16", """
children, (hold, release) = [], os.pipe()
for _ in range(60):
    child = os.fork()
    if child == 0:
        os.close(release)
        os.read(hold, 1)
        os._exit(0)
    children.append(child)
__import__("time").sleep(.3)
through(f"{len(children)} processes")
"""),
    _resource("fork-bomb-shell", "60 processes at once, from the shell", """
jobs="" count=0
trap 'kill $jobs' EXIT
while [ $count -lt 60 ]; do sleep 30 & jobs="$jobs $!" count=$((count + 1)); done
sleep 0.3
for job in $jobs; do kill -0 $job || exit 1; done
echo THRO''UGH
""", language="shell"),
    _resource("fork-tree", "processes that double, to 64 of 16", """
root, (told, tell), (hold, release) = os.getpid(), os.pipe(), os.pipe()
for _ in range(6):
    os.fork()
os.write(tell, b".")
os.close(tell)
if os.getpid() != root:
    os.close(release)
    os.read(hold, 1)
    os._exit(0)
count = 0
while data := os.read(told, 100):
    count += len(data)
__import__("time").sleep(.3)
count >= 64 and through("64 processes")
"""),
    _resource("thread-bomb", "100 threads at once, of 16", """
import threading
threading.stack_size(1 << 16)
release = threading.Event()
threads = [threading.Thread(target=release.wait, daemon=True) for _ in range(100)]
try:
    for thread in threads:
        thread.start()
    __import__("time").sleep(.3)
    through("100 threads")
finally:
    release.set()
"""),
    _resource("cpu", "computes for longer than the CPU limit", """
import time
while time.process_time() < 2:
    pass
through("2 s of CPU")
""", limits=_CPU),
    _resource("cpu-children", "spreads its computing over children", """
import time
children = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        while time.process_time() < .6:
            pass
        os._exit(0)
    children.append(child)
if all(os.waitpid(child, 0)[1] == 0 for child in children):
    through("3 s of CPU")
""", limits=_CPU),
    _resource("cpu-relay", "computes in one child after the other", """
import time
for _ in range(5):
    child = os.fork()
    if child == 0:
        while time.process_time() < .5:
            pass
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(1)
through("2.5 s of CPU")
""", limits=_CPU),
    _resource("cpu-orphans", "computes in orphans that nobody waits for, one after the other", """
import time
receive, send = os.pipe()
for number in range(16):
    if os.fork():
        os._exit(0) if number else None
        break
    while time.process_time() < .15:
        pass
else:
    os.write(send, b"done")
    os._exit(0)
os.close(send)
if os.read(receive, 4) == b"done":
    through("2.4 s of CPU")
""", limits=_CPU),
    _resource("sleep", "sleeps for longer than the wall limit", "import time\ntime.sleep(1.5)\nthrough()",
              judge=overstays(), limits=_WALL),
    _resource("sleep-shell", "the same from the shell", "sleep 1.5; echo THRO''UGH", judge=overstays(), limits=_WALL,
              language="shell"),
    _resource("flood-output", "more output than the limit", 'for _ in range(64): os.write(1, b"x" * 65536)',
              judge=floods, limits=_FLOOD),
    _resource("flood-errors", "more error output than the limit", 'for _ in range(64): os.write(2, b"x" * 65536)',
              judge=floods, limits=_FLOOD),
    _resource("flood-both", "floods both streams in turn", """
for _ in range(64):
    os.write(1, b"x" * 65536)
    os.write(2, b"y" * 65536)
""", judge=floods, limits=_FLOOD),
    _resource("flood-children", "floods both streams from several processes", """
for _ in range(4):
    if os.fork() == 0:
        for _ in range(16):
            os.write(1, b"x" * 65536)
            os.write(2, b"y" * 65536)
        os._exit(0)
for _ in range(4):
    os.wait()
""", judge=floods, limits=_FLOOD),
    _resource("flood-shell", "floods from the shell", "yes abcdefghijklmnop | head -c 4000000", judge=floods,
              limits=_FLOOD, language="shell"),
    _resource("files", "2,000 files, of 256", """
made = []
try:
    os.makedirs("many", exist_ok=True)
    for number in range(2000):
        open(f"many/{number}", "w").close()
        made.append(f"many/{number}")
    __import__("time").sleep(.3)
    through("2,000 files")
finally:
    for name in made:
        os.unlink(name)
"""),
    _resource("folders", "2,000 folders and links, of 256", """
made = 0
try:
    for made in range(1000):
        os.mkdir(f"d{made}")
        os.symlink("x", f"l{made}")
    __import__("time").sleep(.3)
    through("2,000 inodes")
finally:
    for number in range(made + 1):
        os.path.isdir(f"d{number}") and os.rmdir(f"d{number}")
        os.path.lexists(f"l{number}") and os.unlink(f"l{number}")
"""),
    _resource("descriptors", "opens 5,000 files at once", """
import resource
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(5000)]
through("5,000 descriptors")
""", needs="a hard limit on descriptors above 5,000"),
    _resource("raise-limits", "raises the limits it was given", """
import resource
for name in ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_NPROC"):
    kind = getattr(resource, name)
    soft, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(kind, (soft, hard + 1))
        resource.setrlimit(kind, (soft, hard))
        through(f"{name} above {hard}")
""", needs="root"),
)  # fmt: skip
