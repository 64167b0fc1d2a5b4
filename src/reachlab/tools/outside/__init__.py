"""Tools that work outside this process: what MCP servers and isolated tools share.

==========  ==========================================================================
isolated    any tool in a worker process of its own, which a late call ends
remote      a LangChain tool over something that is called from afar
shared      one of a thing per process, for threads and after a fork
background  the one event loop of this process, on a thread
supervise   ends a process with all its descendants, and when its parent dies
worker      the library's end of a worker process; ``worker_main`` is the other end
frames      messages between the two
==========  ==========================================================================

Not covered: code that a policy writes (``reachlab.sandbox``); what works outside is trusted, only its faults are not.
"""
