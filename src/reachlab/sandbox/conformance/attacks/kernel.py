"""Parts of the kernel that a policy's code never needs, and that let others out before.

Calls that would hurt the host as root have arguments that fail after the permission check: that failure counts.
"""

from reachlab.sandbox.conformance.attacks.making import maker

_kernel = maker("kernel", raw=True)

ATTACKS = (
    _kernel("io-uring", "sets up an io_uring", 'probe("io_uring_setup", 4, ctypes.create_string_buffer(120))',
            needs="io_uring"),
    _kernel("memfd", "makes an executable file without a name", 'probe("memfd_create", b"x", 0)'),
    _kernel("keyctl", "asks for the session's keys", 'probe("keyctl", 0, -3, 1)', needs="keys"),
    _kernel("add-key", "puts a key into the kernel", 'probe("add_key", b"user", b"@mark@", b"x", 1, -2)', needs="keys"),
    _kernel("bpf", "loads a BPF map", """
import struct
probe("bpf", 0, ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1) + bytes(112)), 128)
""", needs="root, or BPF for everyone"),
    _kernel("userfaultfd", "handles its own page faults", 'probe("userfaultfd", 1)', needs="userfaultfd"),
    _kernel("perf-event", "opens a performance counter", """
import struct
event = struct.pack("IIQQQQQ", 1, 112, 0, 0, 0, 0, 1 << 5 | 1 << 6) + bytes(64)
probe("perf_event_open", ctypes.create_string_buffer(event), 0, -1, -1, 0)
""", needs="performance counters"),
    _kernel("kexec", "loads another kernel", 'probe("kexec_load", 0, 0, None, 0x8000, past=(errno.EINVAL,))',
            needs="root"),
    _kernel("module", "loads a kernel module",
            'probe("init_module", b"", 0, b"", past=(errno.ENOEXEC, errno.EINVAL, errno.EFAULT))', needs="root"),
    _kernel("reboot", "restarts the machine (with a wrong magic number)",
            'probe("reboot", 1, 2, 3, None, past=(errno.EINVAL,))', needs="root"),
    _kernel("swap", "turns on swapping to a file that is not there",
            'probe("swapon", b"/nonexistent", 0, past=(errno.ENOENT,))', needs="root"),
    _kernel("accounting", "turns on accounting to a file that is not there",
            'probe("acct", b"/nonexistent", past=(errno.ENOENT,))', needs="root"),
    _kernel("host-name", "sets the host name to what it is", """
name = os.uname().nodename.encode()
probe("sethostname", name, len(name))
""", needs="root"),
    _kernel("kernel-log", "reads the kernel's log", 'probe("syslog", 10, None, 0)',
            needs="root, or an open kernel log"),
    _kernel("fanotify", "watches the whole file system", 'probe("fanotify_init", 0, 0)', needs="root"),
    _kernel("ports", "takes the machine's input and output ports", 'probe("iopl", 3)', needs="root on x86"),
    _kernel("personality", "turns address randomisation off for what it starts",
            'probe("personality", 0x0040000)', needs="a system without a filter of its own"),
    _kernel("file-handle", "opens a file by its number, past all paths", """
handle, mount = ctypes.create_string_buffer(b"\\x80" + bytes(135), 136), ctypes.c_int()
value, error = syscall("name_to_handle_at", -100, b"/", handle, ctypes.byref(mount), 0)
if value < 0:
    denied(f"name_to_handle_at: {errno.errorcode.get(error)}")
else:
    probe("open_by_handle_at", os.open("/", os.O_RDONLY), handle, 0)
""", needs="root, and a file system with handles"),
    _kernel("device-node", "makes a device node and opens it", """
import stat
try:
    os.mknod("node", stat.S_IFCHR | 0o666, os.makedev(1, 11))
    try:
        os.close(os.open("node", os.O_RDONLY | os.O_NONBLOCK))
        through("the kernel's log, by a node of its own")
    finally:
        os.unlink("node")
except OSError as error:
    denied(error.strerror)
""", needs="root"),
    _kernel("32-bit-calls", "makes a call by the 32-bit door, which has other numbers", """
import mmap, platform
if platform.machine() != "x86_64":
    absent("no such door")
else:
    rights, kind = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    page = mmap.mmap(-1, 4096, flags=kind, prot=rights)
    # push rbx; mov eax, 136 (personality); mov ebx, 0x0040000; int 0x80; pop rbx; ret
    page.write(b"\\x53\\xb8\\x88\\0\\0\\0\\xbb\\0\\0\\4\\0\\xcd\\x80\\x5b\\xc3")
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    value = call()
    through(value) if value >= 0 else denied(errno.errorcode.get(-value, value))
""", needs="x86 with 32-bit calls"),
    _kernel("x32-calls", "makes a call with the x32 bit, which some filters forget", """
value, error = _libc.syscall(ctypes.c_long(0x40000000 | NUMBERS["personality"]), ctypes.c_long(0x0040000)), 0
through(value) if value >= 0 else absent(errno.errorcode.get(ctypes.get_errno()))
""", needs="x86 with x32 calls"),
)  # fmt: skip
