"""Any LangChain chat model as a policy: it calls tools natively, and its results go back as the messages it waits for.

Run it: ``python examples/chat_model.py``. The model here is a script, so no provider is asked. With one (and its
package) put ``ChatOpenAI(model=...)`` in its place, or name it: ``reachlab episode lexicon --policy
chat:langchain_openai:ChatOpenAI?model=NAME``; a server of your own is ``openai:http://127.0.0.1:8000/v1#MODEL``. Such
policies have no weights: nothing is trained, and what they spend in nats is not available.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage

from reachlab import Json, World
from reachlab.envs.lexicon import Lexicon
from reachlab.policies.chat_model import ChatModelPolicy, ScriptedChatModel
from reachlab.studies.rollout import rollout


def script(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> AIMessage | str:
    """Asks for what the question is about, then says the last word of what it read; without tools it guesses."""
    said = str(messages[-1].text)
    if messages[-1].type == "tool" and (code := re.search(r"is (\d+)\.", said)):
        return code[1]
    if tools and messages[-1].type == "human":
        asked = re.search(r"What is (.+)\?", said)
        query = {"query": asked[1] if asked else said}
        return AIMessage("I look it up.", tool_calls=[{"name": "search", "args": query, "id": "call-1"}])
    return f"{rng.integers(10_000):04d}"


def main() -> None:
    family = Lexicon(digits=(4,), hops=(1,))
    tasks = [family.task("test", seed) for seed in range(40)]
    policy = ChatModelPolicy(ScriptedChatModel(script=script), concurrency=8)
    for world in (World.CLOSED, World.SHUFFLED, World.LIVE):
        episodes = rollout(policy, family, tasks, world, range(len(tasks)))
        tokens = np.mean([episode.cost.tokens for episode in episodes])
        print(f"{world:9} success {np.mean([e.success for e in episodes]):.2f}, {tokens:.0f} tokens an episode")
    for message in episodes[0].messages:
        print(f"{message.role:9} {message.content}")


if __name__ == "__main__":
    main()
