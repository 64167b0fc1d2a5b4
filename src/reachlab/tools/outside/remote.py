"""A LangChain tool whose work is done elsewhere: arguments travel as the policy wrote them, text comes back.

``reachlab.tools.mcp`` and ``outside.isolated`` make these. What does the work is a ``Remote``: opened once an
episode and handed over as an argument the model never sees, or shared by the process. Called without an executor
(``tool.invoke``), a tool that keeps state per episode opens one for that call and closes it.

Not covered: results that are not text; streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from copy import deepcopy
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self, get_args

from langchain_core.tools import BaseTool, InjectedToolArg, ToolException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from reachlab import Json
from reachlab.errors import BadValue, ToolFault, UnknownName
from reachlab.tools.episodic import PerEpisode
from reachlab.tools.outside.shared import borrowed

HIDDEN = "reachlab_remote"
"""The argument that carries what an episode has opened."""
PROBLEM_CHARS = 200


Timeouts = Literal["fault", "observation"]
"""Who is to blame for a call that takes too long: the harness, or the policy's arguments."""


def checked_timeouts(channel: object) -> Timeouts:
    if channel not in get_args(Timeouts):
        raise UnknownName("channel of timeouts", str(channel), get_args(Timeouts))
    return channel  # type: ignore[return-value]


class Late(ToolFault):
    """A call took too long, and was stopped. ``told`` is what a policy may read of it."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.told = f"stopped after {seconds:g} s"


class Remote(Protocol):
    """Does the work. ``call`` raises ToolException for what the policy caused, Late when it stopped a call that took
    too long (the next one works again), and ToolFault for anything else."""

    def call(self, name: str, arguments: Mapping[str, Any]) -> str: ...
    def close(self) -> None: ...


class Validator(Protocol):
    """What of jsonschema's validators is used here."""

    def iter_errors(self, instance: Any) -> Any: ...


class JsonArguments(BaseModel):
    """Arguments that a JSON schema describes; subclasses carry one. Extra names are the schema's business."""

    model_config = ConfigDict(extra="allow")
    declared: ClassVar[Json] = {"type": "object", "properties": {}}
    validator: ClassVar[Validator | None] = None

    @model_validator(mode="before")
    @classmethod
    def _fit(cls, arguments: Any) -> Any:
        if cls.validator is None or not isinstance(arguments, Mapping):
            return arguments
        shown = {name: value for name, value in arguments.items() if name != HIDDEN}
        problems = sorted(cls.validator.iter_errors(shown), key=lambda error: [str(part) for part in error.path])
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, [_detail(error) for error in problems])
        return arguments

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> Json:
        return deepcopy(cls.declared)


def json_arguments(name: str, schema: Mapping[str, Any], validator: Validator | None) -> type[JsonArguments]:
    """The model of a tool's arguments from its JSON schema; *validator* is held to it, None checks nothing."""
    if HIDDEN in schema.get("properties", {}):
        raise BadValue(f"arguments of tool {name!r}", HIDDEN, "any other name: this one is taken")
    whole = {"type": "object", "properties": {}, **schema}
    return type(f"{name}_arguments", (JsonArguments,), {"declared": whole, "validator": validator})


class RemoteTool(BaseTool):
    """One tool of a ``Remote``."""

    remote_name: str
    """What the other side calls it."""
    opener: Callable[..., Any] = Field(exclude=True, repr=False)
    """Opens a ``Remote``; tools with equal openers share one within an episode (or the process)."""
    shared: bool = False
    timeouts: Timeouts = "fault"
    shown: type[BaseModel] = Field(exclude=True, repr=False)
    """The arguments the model sees."""

    @classmethod
    def make(
        cls, *, shown: type[BaseModel], opener: Callable[..., Remote], shared: bool, seeded: bool = False, **fields: Any
    ) -> Self:
        """With *seeded*, the opener takes a seed of the episode."""
        marker = InjectedToolArg() if shared else PerEpisode(opener, seeded)
        hidden: Any = {HIDDEN: (Annotated[Any, marker], None)}
        whole = create_model(shown.__name__, __base__=shown, **hidden)
        return cls(shown=shown, args_schema=whole, opener=opener, shared=shared, **fields)

    @property
    def tool_call_schema(self) -> Any:
        return self.shown

    def _parse_input(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> str | dict[str, Any]:
        """Checked, but handed on as written: the other side has the types, and LangChain's way of reading the
        values back would take an argument called ``schema`` or ``copy`` for a method of the model."""
        if isinstance(tool_input, str):
            raise BadValue(f"input of tool {self.name!r}", tool_input, "a dictionary of its arguments")
        whole: Any = self.args_schema
        whole.model_validate(tool_input)
        return tool_input

    def _run(self, /, *args: Any, **arguments: Any) -> str:
        try:
            return self._ask(arguments)
        except Late as late:
            if self.timeouts == "fault":
                raise
            raise ToolException(late.told) from late

    def _ask(self, arguments: dict[str, Any]) -> str:
        remote: Remote | None = arguments.pop(HIDDEN, None)
        if remote is not None:
            return remote.call(self.remote_name, arguments)
        with borrowed(self.opener) if self.shared else closing(self.opener()) as lent:
            return str(lent.call(self.remote_name, arguments))


def _detail(error: Any) -> InitErrorDetails:
    """One complaint of a JSON schema as pydantic tells its own: where, and what."""
    text = error.message if len(error.message) <= PROBLEM_CHARS else error.message[: PROBLEM_CHARS - 1] + "…"
    kind = PydanticCustomError("json_schema", "{problem}", {"problem": text})
    return InitErrorDetails(type=kind, loc=tuple(error.path), input=None)
