"""Runs code the policy wrote. So far only the contract: no backend is built yet.

``reachlab.Sandbox`` is the Protocol: no network, no host files, limits on time, memory, processes and output; nothing
survives an episode. Backends register under the kind ``sandboxes`` of ``reachlab.registry``.
"""

from reachlab import Sandbox, SandboxLimits, SandboxResult, SandboxSession

__all__ = ["Sandbox", "SandboxLimits", "SandboxResult", "SandboxSession"]
