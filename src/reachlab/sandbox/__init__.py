"""Runs code the policy wrote: no network, no host files, limits on time, memory, processes, files and output.

===========  ==============================================================================
jail         the default: embedded, standard library only, as root and as a plain user
docker       a Docker engine (extra ``docker``), also with gVisor's runsc
unconfined   no isolation at all: for positive controls
conformance  the attacks that a backend must stop, each with a positive control
===========  ==============================================================================

``reachlab.Sandbox`` is the Protocol; backends register under the kind ``sandboxes`` of ``reachlab.registry``. Nothing
survives an episode. Commands: ``reachlab sandbox check``, ``reachlab sandbox run``, ``reachlab doctor``.
Not covered: a kernel of one's own (the host's is shared, but for gVisor); what each backend cannot promise stands in
its own docstring.
"""

from reachlab import Sandbox, SandboxLimits, SandboxResult, SandboxSession

__all__ = ["Sandbox", "SandboxLimits", "SandboxResult", "SandboxSession"]
