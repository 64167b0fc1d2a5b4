"""The environment and the memory of whoever started the sandbox."""

from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.judges import leaks

_environment = maker("environment")

ATTACKS = (
    _environment(
        "variables", "prints its environment", "hunt(b'|'.join(os.environb.values()))", judge=leaks("environment")
    ),
    _environment(
        "shell", "the same from the shell", "env; export -p; set", judge=leaks("environment"), language="shell"
    ),
    _environment(
        "proc-self", "reads its environment in /proc", 'peek("/proc/self/environ")', judge=leaks("environment")
    ),
    _environment(
        "proc-parent", "reads its parent's environment", 'peek(f"/proc/{os.getppid()}/environ")',
        judge=leaks("environment"),
    ),
    _environment(
        "proc-first", "reads the environment of process 1 (in a namespace: of its maker) and of its ancestors",
        """
peek("/proc/1/environ")
ancestor = os.getppid()
while ancestor > 1:
    peek(f"/proc/{ancestor}/environ", quiet=True)
    ancestor = int(open(f"/proc/{ancestor}/stat").read().rpartition(")")[2].split()[1])
""", judge=leaks("environment"),
    ),
    _environment(
        "proc-any", "reads the environment of every process it sees",
        'for pid in pids():\n    peek(f"/proc/{pid}/environ", quiet=True)', judge=leaks("environment", "neighbour"),
    ),
    _environment(
        "own-memory", "searches its own memory: a fork of the harness would hold its secrets",
        """
import ctypes
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # a process may not look at itself unless it can be dumped
memory = os.open("/proc/self/mem", os.O_RDONLY)
for line in open("/proc/self/maps"):
    span, rights, *_ = line.split()
    start, end = (int(part, 16) for part in span.split("-"))
    if rights[0] == "r" and end - start < 1 << 28 and "[v" not in line:
        try:
            hunt(os.pread(memory, end - start, start))
        except (OSError, OverflowError):
            pass
""", judge=leaks("environment", "heap"),
    ),
    _environment(
        "own-objects", "searches the objects of its own interpreter",
        """
import gc
for thing in gc.get_objects():
    for value in gc.get_referents(thing):
        for text in list(value.values()) if isinstance(value, dict) else [value]:
            if isinstance(text, (str, bytes)):
                hunt(text.encode(errors="replace") if isinstance(text, str) else text)
""", judge=leaks("environment", "heap"),
    ),
)  # fmt: skip
