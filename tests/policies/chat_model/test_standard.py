"""LangChain's own standard suites (``langchain-tests``) over ``ScriptedChatModel``.

The suite asks a provider's model to call tools sensibly; the script here does so by the tools' schemas.
"""

import re
from collections.abc import Sequence
from inspect import iscoroutinefunction
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage

from reachlab import Json
from reachlab.policies.chat_model import ScriptedChatModel

units: Any = pytest.importorskip("langchain_tests.unit_tests", exc_type=ImportError)
integrations: Any = pytest.importorskip("langchain_tests.integration_tests", exc_type=ImportError)

for found in vars(integrations.ChatModelIntegrationTests).values():
    if iscoroutinefunction(found):  # the suite leaves it to its user to say who runs them
        pytest.mark.anyio(found)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def caller(messages: Sequence[BaseMessage], tools: Sequence[Json], rng: np.random.Generator) -> AIMessage | str:
    """Calls the first tool once with what the question says, then answers; without tools it answers."""
    if not tools or messages[-1].type == "tool":
        return "It is so, I would say."
    function, asked = tools[0]["function"], str(messages[-1].text)
    number = re.search(r"\d+", asked)
    values = {"integer": int(number[0]) if number else 3, "string": asked}
    properties = function["parameters"].get("properties", {})
    arguments = {key: values.get(shape.get("type"), asked) for key, shape in properties.items()}
    return AIMessage("", tool_calls=[{"name": function["name"], "args": arguments, "id": "call-1"}])


class TestScriptedUnits(units.ChatModelUnitTests):  # type: ignore[misc]
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ScriptedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"script": caller}


class TestScriptedIntegration(integrations.ChatModelIntegrationTests):  # type: ignore[misc]
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ScriptedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"script": caller}

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "another"
