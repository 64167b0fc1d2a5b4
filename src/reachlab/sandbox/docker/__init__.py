"""Runs code in hardened containers of a Docker engine, through the ``docker`` SDK (extra ``docker``).

    with Docker() as sandbox:
        print(sandbox.run("print(6 * 7)", SandboxLimits()).stdout)

No network, a read-only root, one sized tmpfs to write to, no capabilities, nobody's uid, no new privileges, a seccomp
profile that lists what is allowed, control groups for memory, processes and processor. One worker is process 1 of each
warm container; each run is a fresh child of it. Between two runs every other process is killed and the tmpfs emptied;
a container where that fails, or whose limits do not fit, is replaced. A session is one container's interpreter.

A container ends when its worker's input does, so with the process that started it, whatever killed that; the engine
then removes it. ``sweep``, done whenever a sandbox starts, removes what was made and not yet started at that moment.

Not promised: the kernel is shared (``runtime="runsc"`` puts another one between). The worker shares the uid and the
control group with the code: it is process 1 and not dumpable, so that nothing inside can signal, read or trace it, but
memory beyond the limit can end it, which is reported as the limit ``memory`` without the run's output. Bytes written
are memory of the container beside ``memory_bytes``. There is no /dev/shm, so no multiprocessing locks. Whoever may
speak to the engine is root on its machine. Engines that discard memory or process limits are refused.
"""

from reachlab.sandbox.docker.owners import sweep
from reachlab.sandbox.docker.sandbox import Docker

__all__ = ["Docker", "sweep"]
