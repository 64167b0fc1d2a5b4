"""Chat models as policies: any LangChain ``BaseChatModel``, by native tool calls or by text.

``ChatModelPolicy(model)`` in Python, ``chat:module:attribute`` by name; ``ScriptedChatModel`` needs no provider.
Not covered: gradients, KL and exact p0; the arms that need them are not available to such a policy.
"""

from reachlab.policies.chat_model.policy import ChatModelPolicy, load
from reachlab.policies.chat_model.retry import Retry
from reachlab.policies.chat_model.scripted import ScriptedChatModel

__all__ = ["ChatModelPolicy", "Retry", "ScriptedChatModel", "load"]
