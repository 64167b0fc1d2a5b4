"""Finding out what a server offers, and the best policy that can be had of it.

::

    connect("http://127.0.0.1:8000/v1#model")       # openai:http://127.0.0.1:8000/v1#model on the command line

**Token mode**, where ``/completions`` takes token ids, gives ids and log-probabilities, and the model's tokenizer can
be loaded: sessions as of a model of one's own. **Chat mode** otherwise: ``langchain_openai.ChatOpenAI`` as a
``ChatModelPolicy`` (extra ``openai``). How its tools are called (``calls``):

- ``raw`` on vLLM: it renders tools and results by the model's template and sends turns as they were sampled. Episodes
  are those of token mode, but for turns that are encoded anew whenever they are sent back.
- ``native``: the server parses calls (vLLM needs ``--enable-auto-tool-choice --tool-call-parser``) and takes them out
  of the text. Their own spelling is lost, what its parser cannot read comes as text, and the template renders earlier
  calls its own way: a template that leaves ``tool_calls`` out never shows the model what it called.
- ``text``: described in a system message, for models that were not trained on a format of their own.

Not covered: servers that need other secrets than one key, from the environment.
"""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import urldefrag, urlsplit

from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase

from reachlab import Json, Message, Prompt
from reachlab.errors import BadValue, MissingExtra, PolicyFault, TemplateError, UnknownName
from reachlab.policies.chat import ChatTemplate
from reachlab.policies.chat_model.messages import Calls
from reachlab.policies.chat_model.policy import ChatModelPolicy
from reachlab.policies.chat_model.retry import Retry
from reachlab.policies.endpoint.client import Client
from reachlab.policies.endpoint.completions import UNBENT, asking, completion, tokenised
from reachlab.policies.endpoint.policy import EndpointPolicy

Mode = Literal["auto", "tokens", "chat"]
FORM = "http://HOST:PORT/v1#MODEL"
HELLO = Prompt((Message("user", "1"),))
NOOP: Json = {"name": "noop", "description": "Does nothing.", "parameters": {"type": "object", "properties": {}}}
UNLIMITED = 2**62
_log = logging.getLogger(__name__)
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")


class Offer(NamedTuple):
    """One model that a server lists."""

    id: str
    root: str
    """Where its weights and tokenizer come from, as the server says; else its id."""
    positions: int
    """Tokens that it takes in all; 0 if it does not say."""
    owner: str


class _Unfit(Exception):
    """Why token mode cannot be had."""


def connect(
    address: str,
    *,
    mode: Mode = "auto",
    tokenizer: str = "",
    calls: Calls = "auto",
    concurrency: int = 64,
    attempts: int = Retry.attempts,
    seconds: float = Retry.seconds,
    key_variable: str = "OPENAI_API_KEY",
) -> EndpointPolicy | ChatModelPolicy:
    """The policy that *address*, ``URL#MODEL``, offers; without ``#MODEL`` the only one that the server has.

    *tokenizer*: a folder or hub name, by default the model's. *key_variable*: the environment variable with the key.
    """
    if mode not in get_args(Mode):
        raise UnknownName("mode of an endpoint", mode, get_args(Mode))
    if concurrency < 1:
        raise BadValue("concurrency", concurrency, ">= 1")
    url, model = split(address)
    retry = Retry(attempts=attempts, seconds=seconds)
    client = Client(url, os.environ.get(key_variable, ""), retry, concurrency)
    offer = chosen(client, address, model)
    name = f"openai:{url}#{offer.id}"
    if mode != "chat":
        try:
            return _tokens(name, client, offer, tokenizer)
        except _Unfit as unfit:
            if mode == "tokens":
                raise BadValue("mode", mode, f"'chat' with {name}: {unfit}") from unfit
            _log.warning("%s: chat mode, for token mode cannot be had: %s", name, unfit)
    return _chat(name, client, offer, calls)


def split(address: str) -> tuple[str, str]:
    """URL and model of an address. Raises BadValue where it is not of the form."""
    url, model = urldefrag(address)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise BadValue("endpoint", address, FORM)
    return url.rstrip("/"), model


def offers(client: Client, address: str) -> list[Offer]:
    """The models that the server lists."""
    try:
        listed = client.get("/models").get("data")
    except PolicyFault as error:
        raise BadValue("endpoint", address, f"{FORM} of a server that lists its models ({error})") from error
    rows = [row for row in listed if isinstance(row, dict) and row.get("id")] if isinstance(listed, list) else []
    if not rows:
        raise BadValue("endpoint", address, f"{FORM} of a server that lists its models (this one lists none)")
    return [
        Offer(str(r["id"]), str(r.get("root") or r["id"]), _count(r.get("max_model_len")), str(r.get("owned_by")))
        for r in rows
    ]


def chosen(client: Client, address: str, model: str) -> Offer:
    """The model asked for, among those that the server lists."""
    found = offers(client, address)
    if not model and len(found) == 1:
        return found[0]
    for offer in found:
        if offer.id == model:
            return offer
    raise UnknownName("model", model, [offer.id for offer in found], f"They are what {client.url} offers; say #MODEL.")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _tokens(name: str, client: Client, offer: Offer, tokenizer: str) -> EndpointPolicy:
    """Token mode, tried out once. Raises _Unfit where it cannot be had."""
    places = [tokenizer] if tokenizer else list(dict.fromkeys([offer.id, offer.root]))
    loaded, stops = _load(places)
    try:
        template = ChatTemplate(loaded)
        text, ids = template.prompt_text(HELLO), template.prompt_ids(HELLO)
    except TemplateError as error:
        raise _Unfit(str(error)) from error
    body = asking(offer.id, ids, seed=0, max_tokens=1, stop=sorted(stops))
    try:
        completion(client.post("/completions", body), 1)
        read = tokenised(client.post("/completions", {**body, "prompt": text, "add_special_tokens": False}))
    except PolicyFault as error:
        raise _Unfit(f"its /completions does not take and give token ids with log-probabilities ({error})") from error
    if read is not None and read != ids:
        allowed = f"the tokenizer of {offer.id} (the server reads {text!r} as {read}, this one as {ids})"
        raise BadValue("tokenizer", loaded.name_or_path, allowed)
    return EndpointPolicy(name, client, offer.id, loaded, stops, offer.positions or UNLIMITED)


def _load(places: list[str]) -> tuple[PreTrainedTokenizerBase, frozenset[int]]:
    """The first tokenizer that is at hand, else the first that the hub has, with the ends of a turn.

    The hub is asked for ``owner/name`` alone: an alias that the server made up would be looked for there for minutes
    where there is no way out.
    """
    reasons = []
    for here in (True, False):
        for place in places:
            if here or _HUB_NAME.fullmatch(place):
                try:
                    found = AutoTokenizer.from_pretrained(place, local_files_only=here)
                    return found, _stops(place, found, here)
                except (OSError, ValueError) as error:
                    reasons.append(f"{place}: {str(error).strip().partition(chr(10))[0]}")
    raise _Unfit(f"no tokenizer can be loaded ({'; '.join(reasons)}); say where it is with the option tokenizer")


def _stops(place: str, tokenizer: PreTrainedTokenizerBase, here: bool) -> frozenset[int]:
    """Every end-of-sequence token of the tokenizer and the generation config."""
    configured: Any = None
    with suppress(OSError, ValueError):
        configured = GenerationConfig.from_pretrained(place, local_files_only=here).eos_token_id
    more = configured if isinstance(configured, list) else [configured]
    return frozenset(int(i) for i in (tokenizer.eos_token_id, *more) if i is not None)


def _chat(name: str, client: Client, offer: Offer, calls: Calls) -> ChatModelPolicy:
    try:
        chat_openai: Any = import_module("langchain_openai").ChatOpenAI
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "langchain_openai", "openai") from error
    # Another server may refuse what it does not know; vLLM takes what is left out from the model's generation config.
    more = {**UNBENT, "skip_special_tokens": False} if offer.owner == "vllm" else {}
    model = chat_openai(
        base_url=client.url,
        model=offer.id,
        api_key=client.key or "none",
        temperature=UNBENT["temperature"],
        extra_body=more or None,
        logprobs=_takes(client, offer, {"logprobs": True}) > 0 or None,
        max_retries=0,  # the policy tries again itself
        timeout=client.retry.seconds,
        use_responses_api=False,
    )
    if calls == "auto":
        calls = _calls(client, offer)
    return ChatModelPolicy(model, name, calls, concurrency=client.connections, retry=client.retry)


def _calls(client: Client, offer: Offer) -> Calls:
    """How the server's tools can be called: raw on vLLM, if the template shows tools that are not to be parsed."""
    tools: Json = {"tools": [{"type": "function", "function": NOOP}]}
    without, shown = _takes(client, offer, {}), _takes(client, offer, {**tools, "tool_choice": "none"})
    if offer.owner == "vllm" and 0 < without < shown:
        return "raw"
    return "native" if _takes(client, offer, tools) else "text"


def _takes(client: Client, offer: Offer, more: Json) -> int:
    """Tokens of a short chat with *more* in the request, at least 1; 0 where the server refuses it."""
    body: Json = {"model": offer.id, "messages": [{"role": "user", "content": "1"}], "max_tokens": 1}
    with suppress(PolicyFault):
        usage = client.post("/chat/completions", {**body, **more}).get("usage")
        return max(1, _count(usage.get("prompt_tokens")) if isinstance(usage, dict) else 1)
    return 0
