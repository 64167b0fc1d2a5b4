"""The embedded jail: policy-written Python and shell, isolated with the standard library and the kernel alone.

    with closing(Jail(preimport=("numpy",))) as jail:
        print(jail.run("print(6 * 7)", SandboxLimits()).stdout)

As root and as a plain user. The tier is the first whose canary comes back; every result names it:

- ``jail-A``: user, mount, pid, network, ipc and uts namespaces around a minimal read-only root, a sized tmpfs as the
  only writable place, nobody's uid, no capabilities, a seccomp filter, rlimits, a watchdog on the total; where it may
  make them, control groups that cap memory in total and processes (``Jail.cgroups`` says so, or why not).
- ``jail-B``: Landlock, seccomp, rlimits and the watchdog, where namespaces are denied (a default Docker container).
- ``unsafe-C``: rlimits and the watchdog only; refused unless ``allow_unsafe=True``.

Not promised: the kernel is shared, so a kernel bug is a way out. Without control groups memory in total is watched
every 25 ms, not capped: a run of many processes can exceed it for that long (each process alone is capped). With them
it is capped, and what is written with it, 16 MB and 1 MB a process above the limits: room for the kernel's own. Version
2 of control groups has not been run so far. The processor time of children that nobody waits for is seen only while
they run. In a session the caps of each process are those of its first run; the watchdog applies each run's own. B shows
which host paths exist and counts files and bytes by looking, so that they can be exceeded for milliseconds; as root it
needs an interpreter that other users can read. Where namespaces are denied only below a process that has left root
(Ubuntu's AppArmor rule), B is used. Python's standard output is flushed line by line: what was printed before a limit
ended the run is in the result, but for a line without an end.
Not run so far: arm64; its numbers and filter are tested against the kernel's table.
"""

from reachlab.sandbox.jail.jail import Jail

__all__ = ["Jail"]
