"""What one run leaves for the next: nothing, unless both belong to one session."""

from reachlab.sandbox.conformance.attacks.making import in_session, maker

_state = maker("state", raw=True)

_KEEP = 'open("{path}", "w").write("x")'
_FIND = 'os.path.exists("{path}") and through("{path}")'


def _left(path: str) -> tuple[str, str]:
    return _KEEP.format(path=path), _FIND.format(path=path)


ATTACKS = (
    _state("file", "a file in the working directory", *_left("left-@mark@")),
    _state("file-shell", "the same from the shell", "echo x > left-@mark@",
           "[ -e left-@mark@ ] && echo THRO''UGH; true", language="shell"),
    _state("tmp", "a file in /tmp", *_left("/tmp/@mark@")),
    _state("shm", "a file in /dev/shm", *_left("/dev/shm/@mark@"), needs="/dev/shm"),
    _state("home", "a file in its home directory", *_left("@home@/@mark@"), needs="a home that can be written to"),
    _state("variable", "a variable", "secret_left = 1", '"secret_left" in globals() and through()'),
    _state("module", "a module that shadows one of the standard library",
           'open("this.py", "w").write("LEFT = True")\nimport json\njson.LEFT = True',
           'import json, this\n(hasattr(this, "LEFT") or hasattr(json, "LEFT")) and through()'),
    _state("bytecode", "a start-up file of the interpreter", """
import site
for folder in (".", site.getusersitepackages(), *sys.path):
    try:
        open(os.path.join(folder or ".", "usercustomize@mark@.py"), "w").close()
        break
    except OSError as error:
        denied(f"{folder}: {error.strerror}")
""", """
import site
for folder in (".", site.getusersitepackages(), *sys.path):
    path = os.path.join(folder or ".", "usercustomize@mark@.py")
    if os.path.exists(path):
        through(path)
        os.unlink(path)
"""),
    _state("system-v", "a System V segment", 'syscall("shmget", @shm_key@, 4096, 0o1666)',
           'syscall("shmget", @shm_key@, 0, 0)[0] >= 0 and through()'),
    _state("message-queue", "a message queue", 'syscall("mq_open", b"@mark@", 0o102, 0o666, None)', """
if syscall("mq_open", b"@mark@", 2, 0, None)[0] >= 0:
    syscall("mq_unlink", b"@mark@")
    through()
""", needs="message queues"),
    _state("key", "a key in the user's keyring", 'syscall("add_key", b"user", b"@mark@", b"x", 1, -4)', """
key, error = syscall("keyctl", 10, -4, b"user", b"@mark@", 0)
if key >= 0:
    syscall("keyctl", 9, key, -4)
    through()
else:
    denied(errno.errorcode.get(error))
""", needs="keys"),
    _state("umask", "a mask and a working directory of the process",
           'os.makedirs("deep", exist_ok=True)\nos.chdir("deep")\nopen("umask-@mark@", "w").close()',
           'os.path.exists("deep/umask-@mark@") and through("the folder is still there")'),
    _state("session-to-run", "files and variables of a session, seen by a run of its own",
           in_session("a", 'kept_by_session = 1\nopen("kept-@mark@", "w").close()'),
           '("kept_by_session" in globals() or os.path.exists("kept-@mark@")) and through()'),
    _state("run-to-session", "the other way round", 'kept_by_run = 1\nopen("kept-@mark@", "w").close()',
           in_session("a", '("kept_by_run" in globals() or os.path.exists("kept-@mark@")) and through()')),
    _state("session-variable", "a variable of one session, seen by another that is open too",
           in_session("a", "mine = 1"), in_session("b", '"mine" in globals() and through()')),
    _state("session-file", "a file of one session, seen by another that is open too",
           in_session("a", 'open("mine-@mark@", "w").close()\nopen("/tmp/@mark@", "w").close()'), in_session("b", """
for path in ("mine-@mark@", "/tmp/@mark@"):
    os.path.exists(path) and through(path)
""")),
    _state("closed-session", "what a closed session held, seen by the next",
           in_session("a", 'gone = 1\nopen("gone-@mark@", "w").close()', closes=True),
           in_session("b", '("gone" in globals() or os.path.exists("gone-@mark@")) and through()')),
    _state("session-daemon", "a process of a closed session", in_session("a", """
import time
if os.fork() == 0:
    os.setsid()
    time.sleep(15)
    os._exit(0)
""", closes=True)),
)  # fmt: skip
