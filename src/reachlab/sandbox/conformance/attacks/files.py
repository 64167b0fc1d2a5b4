"""Files of the host: reading what is there, changing it, leaving something."""

from reachlab.sandbox.conformance.attacks.making import maker
from reachlab.sandbox.conformance.judges import harms, leaks

_file = maker("files")

ATTACKS = (
    _file("read", "reads a file of the host by its path", 'peek("@secret@")', judge=leaks("file")),
    _file("read-shell", "the same from the shell", 'cat "@secret@"', judge=leaks("file"), language="shell"),
    _file(
        "read-home", "reads a file in the home directory", 'peek("@home_secret@")', judge=leaks("home"),
        needs="a home directory that can be written to",
    ),
    _file("read-shm", "reads a file in /dev/shm", 'peek("@shm_secret@")', judge=leaks("shm"), needs="/dev/shm"),
    _file(
        "traversal", "climbs out of the working directory with ..", 'peek("../" * 40 + "@secret@".lstrip("/"))',
        judge=leaks("file"),
    ),
    _file(
        "symbolic-link", "reads through a symbolic link of its own",
        'os.path.lexists("s") and os.unlink("s")\nos.symlink("@secret@", "s")\npeek("s")', judge=leaks("file"),
    ),
    _file(
        "hard-link", "gives a file of the host a second name and reads that",
        'os.path.lexists("h") and os.unlink("h")\nos.link("@secret@", "h")\npeek("h")', judge=leaks("file"),
    ),
    _file("proc-self-root", "reads through /proc/self/root", 'peek("/proc/self/root@secret@")', judge=leaks("file")),
    _file(
        "proc-any-root", "reads through the root directory of every process it sees",
        'for pid in pids():\n    pid != os.getpid() and peek(f"/proc/{pid}/root@secret@", quiet=True)',
        judge=leaks("file"),
    ),
    _file(
        "proc-any-cwd", "reads through the working directory of every process it sees",
        'for pid in pids():\n    peek(f"/proc/{pid}/cwd/secret.txt", quiet=True)', judge=leaks("file"),
    ),
    _file(
        "proc-any-descriptor", "reads the open files of every other process it sees", """
for pid in pids():
    if pid != os.getpid():
        for number in range(3, 64):
            if os.path.isfile(f"/proc/{pid}/fd/{number}"):
                peek(f"/proc/{pid}/fd/{number}", quiet=True)
""", judge=leaks("held"),
    ),
    _file(
        "inherited-descriptor", "reads every descriptor it was started with", """
for number in range(3, 256):
    try:
        os.set_blocking(number, False)
        hunt(os.pread(number, 4096, 0))
    except OSError:
        pass
""", judge=leaks("descriptor"),
    ),
    _file(
        "inherited-directory", "climbs to the root from every directory it holds open", """
for number in range(3, 256):
    try:
        file = os.open("../" * 40 + "@secret@".lstrip("/"), os.O_RDONLY, dir_fd=number)
        hunt(os.read(file, 4096))
    except OSError:
        pass
""", judge=leaks("file"),
    ),
    _file("append", "appends to a file of the host", 'open("@writable@", "a").write("more")', judge=harms),
    _file("create", "puts a file into a directory of the host", 'open("@drop@/left", "w").write("x")', judge=harms),
    _file(
        "create-anywhere", "leaves a file in any directory it can write to", """
for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run", "@home@", "/"):
    try:
        open(f"{folder}/@mark@", "w").write("x")
    except OSError as error:
        denied(f"{folder}: {error.strerror}")
""", judge=harms,
    ),
    _file("delete", "deletes a file of the host", 'os.unlink("@writable@")', judge=harms),
    _file("rename", "moves a file of the host away", 'os.rename("@writable@", "@folder@/moved")', judge=harms),
    _file("truncate-shell", "empties a file of the host", ': > "@writable@"', judge=harms, language="shell"),
    _file(
        "replace-by-link", "puts a link in the place of a file that the harness reads",
        'os.unlink("@reward@")\nos.symlink("/etc/passwd", "@reward@")', judge=harms,
    ),
    _file(
        "write-inherited", "writes to every file it was started with", """
for number in range(3, 256):
    try:
        if os.readlink(f"/proc/self/fd/{number}").endswith("ledger.txt"):
            os.write(number, b"forged")
    except OSError:
        pass
""", judge=harms,
    ),
    _file(
        "standard-library", "changes the times of a file of the host's standard library",
        'os.utime("@stdlib@", ns=(10**9, os.stat("@stdlib@").st_mtime_ns))', judge=harms,
        needs="a standard library that the user may write to",
    ),
    _file(
        "shadow", "reads the password hashes", 'through(len(open("/etc/shadow").read()))', needs="root",
    ),
    _file(
        "block-device", "reads a disk of the host", """
for folder, _, names in os.walk("/dev"):
    for name in names:
        path = os.path.join(folder, name)
        if os.path.exists(path) and os.stat(path).st_mode & 0o170000 == 0o060000 and os.stat(path).st_size == 0:
            try:
                through(f"{path} {len(open(path, 'rb').read(16))}")
            except OSError as error:
                denied(f"{path}: {error.strerror}")
""", needs="root, and a disk",
    ),
    _file(
        "kernel-settings", "opens settings of the kernel for writing", """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        through(path)
    except OSError as error:
        denied(f"{path}: {error.strerror}")
""", needs="root",
    ),
    _file(
        "kernel-memory", "opens the kernel's memory or log", """
for path in ("/proc/kcore", "/dev/mem", "/dev/kmsg", "/dev/port"):
    try:
        os.close(os.open(path, os.O_RDONLY))
        through(path)
    except OSError as error:
        denied(f"{path}: {error.strerror}")
""", needs="root",
    ),
)  # fmt: skip
