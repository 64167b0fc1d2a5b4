"""Other processes: seeing, signalling, tracing them; reading their memory."""

from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.judges import harms, leaks

_process = maker("processes", raw=True)

ATTACKS = (
    _process("list", "reads the arguments of every process it sees",
             'for pid in pids():\n    peek(f"/proc/{pid}/cmdline", quiet=True)', judge=leaks("arguments")),
    _process("list-shell", "the same from the shell", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; ps -ef",
             judge=leaks("arguments"), language="shell"),
    _process("kill", "kills a process of the host", "os.kill(@victim@, 9)", judge=harms),
    _process("kill-shell", "the same from the shell", "kill -9 @victim@", judge=harms, language="shell"),
    _process("stop", "stops a process of the host", "os.kill(@victim@, 19)", judge=harms),
    _process("kill-by-handle", "kills a process of the host through a pidfd", """
handle, error = syscall("pidfd_open", @victim@, 0)
denied(error) if handle < 0 else probe("pidfd_send_signal", handle, 9, None, 0)
""", judge=harms, needs="pidfd"),
    _process("kill-parent", "kills the process that started it", """
import time
parent = os.getppid()
if parent == @harness@:
    os.kill(parent, 0)
    through("the parent is the harness, which it may signal")
elif parent > 1:
    os.kill(parent, 9)
    end = time.monotonic() + 2
    while os.getppid() == parent and time.monotonic() < end:
        time.sleep(.01)
    if os.getppid() != parent:
        time.sleep(2)
        through("the parent is gone, this goes on")
"""),
    _process("trace", "attaches to a process of the host as a debugger", """
probe("ptrace", 16, @victim@, 0, 0)
os.waitpid(@victim@, 0x40000000 | os.WNOHANG)
syscall("ptrace", 17, @victim@, 0, 0)
""", needs="tracing of processes of the same user"),
    _process("trace-child", "lets itself be traced", """
child = os.fork()
if child == 0:
    value, error = syscall("ptrace", 0, 0, 0, 0)
    os._exit(0 if value >= 0 else 1)
through() if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 else denied()
"""),
    _process("memory-file", "reads the memory of a process of the host in /proc", """
memory = os.open("/proc/@victim@/mem", os.O_RDONLY)
for line in open("/proc/@victim@/maps"):
    start, end = (int(part, 16) for part in line.split()[0].split("-"))
    if "rw" in line.split()[1]:
        try:
            hunt(os.pread(memory, end - start, start))
        except OSError:
            pass
""", judge=leaks("heap"), needs="tracing of processes of the same user"),
    _process("memory-call", "the same with process_vm_readv", """
for line in open("/proc/@victim@/maps"):
    start, end = (int(part, 16) for part in line.split()[0].split("-"))
    if "rw" in line.split()[1]:
        data = ctypes.create_string_buffer(end - start)
        here = (ctypes.c_size_t * 2)(ctypes.addressof(data), end - start)
        there = (ctypes.c_size_t * 2)(start, end - start)
        value, error = syscall("process_vm_readv", @victim@, here, 1, there, 1, 0)
        hunt(data.raw) if value > 0 else denied(errno.errorcode.get(error, error))
""", judge=leaks("heap"), needs="tracing of processes of the same user"),
    _process("steal-descriptor", "takes an open file from a process of the host", """
handle, error = syscall("pidfd_open", @victim@, 0)
taken, error = syscall("pidfd_getfd", handle, @victim_descriptor@, 0)
hunt(os.pread(taken, 4096, 0)) if taken >= 0 else denied(errno.errorcode.get(error, error))
""", judge=leaks("held"), needs="tracing of processes of the same user"),
    _process("settings", "changes the limits, the processors and the priority of a process of the host", """
import resource
target = @victim@
for change in (
    lambda: resource.prlimit(target, resource.RLIMIT_CORE, resource.prlimit(target, resource.RLIMIT_CORE)),
    lambda: os.sched_setaffinity(target, os.sched_getaffinity(target)),
    lambda: os.setpriority(os.PRIO_PROCESS, target, os.getpriority(os.PRIO_PROCESS, target)),
):
    try:
        change()
        through("it obeys")
    except OSError as error:
        denied(error.strerror)
"""),
    _process("priority", "raises its own priority", """
try:
    os.nice(-5)
    through("nice -5")
except OSError as error:
    denied(error.strerror)
""", needs="root"),
    _process("real-time", "takes a real-time scheduling class", """
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    through("SCHED_FIFO")
except OSError as error:
    denied(error.strerror)
""", needs="root"),
    _process("setuid-programs", "starts programs that run as root whoever starts them", """
import subprocess, time
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for name in ("su", "passwd", "chsh", "newgrp", "gpasswd", "mount", "sudo"):
    for folder in ("/bin", "/usr/bin"):
        path = f"{folder}/{name}"
        if os.path.exists(path) and os.stat(path).st_mode & 0o4000:
            child = subprocess.Popen([path], stdin=-1, stdout=-3, stderr=-3)
            time.sleep(.05)
            try:
                users = re.search(r"Uid:(.*)", open(f"/proc/{child.pid}/status").read())[1].split()
                users[1] == "0" and through(path)
            except OSError as error:
                denied(error.strerror)
            child.kill()
""", needs="programs with the setuid bit"),
    _process("become-root", "takes user 0 and looks for capabilities", """
for change in (os.setgid, os.setuid):
    try:
        change(0)
    except OSError as error:
        denied(error.strerror)
held = int(re.search(r"CapEff:\\s*(\\w+)", open("/proc/self/status").read())[1], 16)
through(hex(held)) if held else denied("no capability")
""", needs="root"),
)  # fmt: skip
