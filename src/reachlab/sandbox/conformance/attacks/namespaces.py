"""Mounts, roots and namespaces: the doors that lead out of a container, or to more of the kernel."""

from reachlab.sandbox.conformance.attacks.making import maker

_namespace = maker("namespaces", raw=True)

_CLONE = """
import signal
value, error = {call}
if value == 0:
    os._exit(0)
if value > 0:
    os.waitpid(value, 0x40000000)
    through(value)
else:
    denied(errno.errorcode.get(error, error))
"""

ATTACKS = (
    _namespace("unshare-user", "makes a user namespace, in which it is root", 'probe("unshare", 0x10000000)',
               needs="user namespaces"),
    _namespace("unshare-mount", "makes a mount namespace", 'probe("unshare", 0x00020000)', needs="root"),
    _namespace("unshare-all", "makes a user namespace together with all others",
               'probe("unshare", 0x10000000 | 0x00020000 | 0x40000000 | 0x20000000 | 0x08000000 | 0x04000000)',
               needs="user namespaces"),
    _namespace("unshare-shell", "the same from the shell", "unshare -Ur true && echo THRO''UGH", language="shell",
               needs="user namespaces, and the program unshare"),
    _namespace("clone-user", "starts a child in a user namespace",
               _CLONE.format(call='syscall("clone", 0x10000000 | 17, 0, 0, 0, 0)'), needs="user namespaces"),
    _namespace("clone3-user", "the same by the call whose arguments a filter cannot see", _CLONE.format(
        call='syscall("clone3", ctypes.create_string_buffer((0x10000000).to_bytes(8, "little") + bytes(24)'
             ' + (17).to_bytes(8, "little") + bytes(24)), 64)'), needs="user namespaces"),
    _namespace("join", "joins the namespaces of another process", """
for pid in sorted(pids(), key=lambda pid: pid == os.getpid()):
    for kind in ("net", "mnt", "pid", "ipc", "uts"):
        try:
            file = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        except OSError as error:
            denied(f"{kind} of {pid}: {error.strerror}")
            continue
        value, error = syscall("setns", file, 0)
        os.close(file)
        if value >= 0:
            through(f"{kind} of {pid}")
            raise SystemExit
        denied(errno.errorcode.get(error, error))
""", needs="root"),
    _namespace("mount", "mounts a file system", """
os.makedirs("m", exist_ok=True)
if probe("mount", b"tmpfs", b"m", b"tmpfs", 0, None) >= 0:
    syscall("umount2", b"m", 2)
""", needs="root"),
    _namespace("mount-proc", "mounts /proc anew", """
os.makedirs("m", exist_ok=True)
if probe("mount", b"proc", b"m", b"proc", 0, None) >= 0:
    syscall("umount2", b"m", 2)
""", needs="root"),
    _namespace("mount-over", "binds a folder over another", """
os.makedirs("m", exist_ok=True)
os.makedirs("n", exist_ok=True)
if probe("mount", b"n", b"m", None, 4096, None) >= 0:
    syscall("umount2", b"m", 2)
""", needs="root"),
    _namespace("mount-shell", "mounts from the shell",
               "mkdir -p m && mount -t tmpfs none m && echo THRO''UGH; umount m", language="shell", needs="root"),
    _namespace("unmount", "takes a mount away that hides something", """
probe("umount2", b"/nonexistent", 2, past=(errno.ENOENT, errno.EINVAL))
""", needs="root"),
    _namespace("mount-context", "opens a file system by the new mount calls", 'probe("fsopen", b"tmpfs", 0)',
               needs="root"),
    _namespace("mount-tree", "copies the tree of mounts", 'probe("open_tree", -100, b"/", 1)', needs="root"),
    _namespace("pivot-root", "changes the root of all (from a folder that is no mount)",
               'os.makedirs("m", exist_ok=True)\nprobe("pivot_root", b"m", b"m", past=(errno.EINVAL, errno.EBUSY))',
               needs="root"),
    _namespace("chroot", "changes its own root, and climbs out of the one it had", """
os.makedirs("m", exist_ok=True)
probe("chroot", b"m")
""", needs="root"),
)  # fmt: skip
