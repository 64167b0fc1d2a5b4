"""Outliving the run.

What is left behind stays for 15 s, long after the harness has looked on the slowest machine; the harness ends it then.
"""

from reachlab import SandboxLimits
from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.judges import harms, overstays

_daemon = maker("daemons")
_SHORT = SandboxLimits(wall_seconds=0.5, cpu_seconds=3.0)

ATTACKS = (
    _daemon("orphan", "leaves a child behind", """
import time
if os.fork() == 0:
    time.sleep(15)
    os._exit(0)
""", judge=harms),
    _daemon("own-session", "leaves a grandchild in a session of its own, with nothing open", """
import time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 64)
        time.sleep(15)
    os._exit(0)
os.wait()
""", judge=harms),
    _daemon("shell-background", "leaves a shell behind", """
nohup sh -c ': @mark@; sleep 8; sleep 7' >/dev/null 2>&1 &
setsid sh -c ': @mark@; sleep 8; sleep 7' >/dev/null 2>&1 &
sleep 0.2
""", judge=harms, language="shell"),
    _daemon("holds-output", "leaves a child that holds the output open", """
import time
if os.fork() == 0:
    time.sleep(15)
    os._exit(0)
print("done", flush=True)
os._exit(0)
""", judge=overstays()),
    _daemon("ignores-signals", "ignores every signal it can and outstays the wall limit", """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
time.sleep(1.5)
through("alive after the limit")
""", judge=overstays(), limits=_SHORT),
    _daemon("ignores-signals-shell", "the same from the shell", """
trap '' HUP INT QUIT TERM USR1 USR2
sleep 1.5
echo THRO''UGH
""", judge=overstays(), limits=_SHORT, language="shell"),
    _daemon("hops", "passes on from child to child, so that no process id stays", """
import signal, time
end = time.monotonic() + 15
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    while time.monotonic() < end:
        if os.fork():
            os._exit(0)
        time.sleep(.05)
    os._exit(0)
""", judge=harms),
    _daemon("late-word", "writes to the output after the run is over", """
import time
if os.fork() == 0:
    os.setsid()
    for _ in range(150):
        time.sleep(.1)
        os.write(1, b"late ")
    os._exit(0)
os._exit(0)
""", judge=harms),
    _daemon("outlasts-the-limit", "leaves children in many sessions, then runs into the wall limit", """
import time
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
        time.sleep(15)
        os._exit(0)
time.sleep(1.5)
""", judge=harms, limits=_SHORT),
    _daemon("renames-itself", "hides behind another name and arguments in a child", """
import ctypes, time
if os.fork() == 0:
    ctypes.CDLL(None).prctl(15, b"kworker/0:1", 0, 0, 0)
    os.setsid()
    os.execv("/bin/sh", ["[kworker/0:1]", "-c", "sleep 15; : @mark@"])
time.sleep(.2)
""", judge=harms),
)  # fmt: skip
