"""More memory than the limit allows, by every road there is. Bounded to about 300 MB."""

from reachlab.sandbox.conformance.attacks.making import maker

_memory = maker("memory", raw=True)

_WRITE = """
for _ in range(300):
    os.write(file, b"x" * (1 << 20))
time.sleep(.3)
through("300 MB")
"""

ATTACKS = (
    _memory("allocate", "takes 320 MB, of 128", """
import time
held = []
for _ in range(40):
    held.append(b"x" * (8 << 20))
time.sleep(.3)
through("320 MB")
"""),
    _memory("map", "maps 320 MB and touches each page", """
import mmap, time
held = mmap.mmap(-1, 320 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(0, 320 << 20, 4096):
    held[page] = 1
time.sleep(.3)
through("320 MB")
"""),
    _memory("children", "eight children of 40 MB each, all below the limit", """
import time
(told, tell), (hold, release) = os.pipe(), os.pipe()
for _ in range(8):
    if os.fork() == 0:
        os.close(release)
        held = b"x" * (40 << 20)
        os.write(tell, b".")
        os.read(hold, 1)
        os._exit(0)
os.close(tell)
for _ in range(8):
    if not os.read(told, 1):
        raise SystemExit("a child is gone")
time.sleep(.3)
through("320 MB in children")
"""),
    _memory("burst", "children that take 40 MB each and are gone before a slow watch looks", """
(told, tell), (hold, release) = os.pipe(), os.pipe()
for _ in range(10):
    if os.fork() == 0:
        os.close(release)
        os.close(told)
        os.read(hold, 1)
        held = b"x" * (40 << 20)
        os.write(tell, b".")
        __import__("time").sleep(.25)
        os._exit(0)
os.close(tell)
os.close(release)
count = 0
while data := os.read(told, 10):
    count += len(data)
if count == 10:
    through("400 MB at once")
"""),
    _memory("shared", "320 MB in a shared mapping that no single process keeps", """
import mmap, time
held = [mmap.mmap(-1, 40 << 20) for _ in range(8)]
for block in held:
    if os.fork() == 0:
        for page in range(0, 40 << 20, 4096):
            block[page] = 1
        os._exit(0)
    if os.wait()[1]:
        raise SystemExit("a child is gone")
time.sleep(.3)
through("320 MB, shared")
"""),
    _memory("system-v", "a System V segment that nobody has mapped any more", """
import time
segment, error = syscall("shmget", @shm_key@, 300 << 20, 0o1666)
if segment < 0:
    raise SystemExit(errno.errorcode.get(error))
address, error = syscall("shmat", segment, None, 0)
if address == -1:
    raise SystemExit(errno.errorcode.get(error))
ctypes.memset(address, 1, 300 << 20)
syscall("shmdt", ctypes.c_void_p(address))
time.sleep(.3)
syscall("shmctl", segment, 0, None)
through("300 MB")
"""),
    _memory("break", "moves the end of its data segment by 300 MB, past what mmap would count", """
import time
_libc.sbrk.restype = ctypes.c_void_p
start = _libc.sbrk(ctypes.c_ssize_t(300 << 20))
if start in (None, ctypes.c_void_p(-1).value):
    raise SystemExit("no")
ctypes.memset(start, 1, 300 << 20)
time.sleep(.3)
through("300 MB")
"""),
    _memory("anonymous-file", "300 MB in a file without a name (memfd)", """
import time
file, error = syscall("memfd_create", b"x", 0)
if file < 0:
    raise SystemExit(errno.errorcode.get(error))
""" + _WRITE),
    _memory("shm-folder", "300 MB in /dev/shm", """
import time
file = os.open("/dev/shm/@mark@", os.O_RDWR | os.O_CREAT)
os.unlink("/dev/shm/@mark@")
""" + _WRITE, needs="/dev/shm"),
)  # fmt: skip
