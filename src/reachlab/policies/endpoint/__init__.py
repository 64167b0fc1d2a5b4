"""Models behind OpenAI-compatible servers (vLLM, and others) as policies: ``connect("URL#MODEL")``.

Command: ``reachlab episode lexicon --policy openai:http://127.0.0.1:8000/v1#model``. Not covered: starting a server.
"""

from reachlab.policies.endpoint.connect import connect
from reachlab.policies.endpoint.policy import EndpointPolicy

__all__ = ["EndpointPolicy", "connect"]
