"""Any LangChain chat model as a policy.

::

    ChatModelPolicy(ChatOpenAI(model="..."))                     # in Python
    reachlab episode lexicon --policy chat:mymodels:model        # an instance, a class or a function, by name

Temperature and the like are the model's own; reach is defined at temperature 1. What a handle samples depends on its
seed where the model has a field for it, and as far as the provider keeps to it. No gradients, no KL: ``scores`` is
False. Not covered: imagined observations, which need a model that continues raw text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_args

from langchain_core.language_models import BaseChatModel
from pydantic import AliasChoices, ValidationError

from reachlab import CallFormat
from reachlab.errors import BadValue, ReachlabError, UnknownName
from reachlab.policies.chat_model.messages import Calls
from reachlab.policies.chat_model.retry import Retry, told
from reachlab.policies.chat_model.session import ChatModelSession
from reachlab.registry import resolve

HERMES = "reachlab.tools.hermes:Hermes"
"""The call format that environments read by default, by name: policies and tools share only the contracts."""
OWN = ("calls", "call_format", "concurrency", "attempts", "seconds")
"""Options that are the policy's and not the model's."""


@dataclass(frozen=True)
class ChatModelPolicy:
    """``reachlab.Policy`` over a chat model."""

    chat_model: BaseChatModel
    name: str = ""
    """By default the model's own."""
    calls: Calls = "auto"
    """``native``: through ``bind_tools``. ``text``: described in a system message. ``raw``: bound with the choice
    ``none``, for servers that render tools by the model's own template and send the turn as it was sampled. ``auto``:
    native where it can."""
    call_format: str | CallFormat = HERMES
    """What turns hold for the environment: that of its interactions, or ``module:attribute``."""
    concurrency: int = 16
    """Requests in flight."""
    retry: Retry = field(default_factory=Retry)
    scores: bool = field(default=False, init=False)
    """Whether log-probabilities of given tokens and KL can be had."""

    def __post_init__(self) -> None:
        if not isinstance(self.chat_model, BaseChatModel):
            allowed = "a langchain_core BaseChatModel (what bind() returns is none: set its fields instead)"
            raise BadValue("chat model", type(self.chat_model).__name__, allowed)
        if self.calls not in get_args(Calls):
            raise UnknownName("kind of calls", str(self.calls), get_args(Calls))
        if self.concurrency < 1:
            raise BadValue("concurrency", self.concurrency, ">= 1")
        can = type(self.chat_model).bind_tools is not BaseChatModel.bind_tools
        if self.calls in ("native", "raw") and not can:
            raise BadValue("calls", self.calls, f"'text' or 'auto': {type(self.chat_model).__name__} has no bind_tools")
        object.__setattr__(self, "name", self.name or _name(self.chat_model))
        if self.calls == "auto":
            object.__setattr__(self, "calls", "native" if can else "text")

    def session(self) -> ChatModelSession:
        known = self.call_format
        found: CallFormat = resolve("tools", known)() if isinstance(known, str) else known
        return ChatModelSession(self.chat_model, self.name, self.calls, found, self.concurrency, self.retry)


def load(
    target: str,
    *,
    calls: Calls = "auto",
    call_format: str = HERMES,
    concurrency: int = 16,
    attempts: int = Retry.attempts,
    seconds: float = Retry.seconds,
    **options: Any,
) -> ChatModelPolicy:
    """The chat model that *target* (``module:attribute``) names: an instance, or what is called with *options*."""
    found = resolve("policies", target)
    if isinstance(found, BaseChatModel):
        for option in options:
            raise UnknownName(f"option of chat:{target}", option, OWN, "What it names is made already.")
    elif callable(found):
        found = _made(target, found, options)
    retry = Retry(attempts=attempts, seconds=seconds)
    return ChatModelPolicy(found, f"chat:{target}", calls, call_format, concurrency, retry)


def _made(target: str, factory: Any, options: dict[str, Any]) -> Any:
    if isinstance(factory, type) and issubclass(factory, BaseChatModel):
        _check(target, factory, options)
    try:
        return factory(**options)
    except ReachlabError:
        raise
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise BadValue(f"options of chat:{target}", options, f"what the model takes ({wrong})") from error
    except Exception as error:  # a missing key, an option that nothing takes
        raise BadValue(f"options of chat:{target}", options, f"what the model takes ({told(error)})") from error


def _check(target: str, model: type[BaseChatModel], options: dict[str, Any]) -> None:
    """Pydantic drops what it does not know without a word: a misspelt option names its nearest match instead."""
    if model.model_config.get("extra") == "allow":
        return
    known = {*OWN, *model.model_fields}
    for info in model.model_fields.values():
        alias = info.validation_alias or info.alias
        known |= {str(a) for a in (alias.choices if isinstance(alias, AliasChoices) else [alias]) if a}
    for option in options:
        if option not in known:
            raise UnknownName(f"option of chat:{target}", option, known)


def _name(model: BaseChatModel) -> str:
    """``ChatOpenAI:gpt-x``: the class, and which of its models."""
    told = [str(getattr(model, n)) for n in ("model_name", "model", "model_id") if getattr(model, n, None)]
    return ":".join([type(model).__name__, *told[:1]])
