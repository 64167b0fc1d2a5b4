"""The model can follow the schema it is shown, and cannot write what is hidden from it."""

from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tools import BaseTool, InjectedToolArg, StructuredTool
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, model_serializer

from reachlab import ToolCall, ToolResult
from reachlab.errors import BadValue
from reachlab.tools import PerEpisode, ToolExecutor, check_tool, prepare
from reachlab.tools.soundness import made_up


class Aliased(BaseModel):
    """An alias, and nothing else accepted."""

    size: int = Field(alias="howBig", ge=0)
    tags: list[str] = Field(default_factory=lambda: ["new"], validation_alias=AliasChoices(AliasPath("a", 0), "marks"))


class Generated(BaseModel):
    model_config = ConfigDict(alias_generator=str.upper)
    size: int
    tags: list[str] = []


class ByName(BaseModel):
    model_config = ConfigDict(alias_generator=str.upper, validate_by_name=True, validate_by_alias=True)
    size: int
    tags: list[str] = []


class Hidden(BaseModel):
    """A hidden argument that has an alias too."""

    size: int = Field(alias="howBig")
    tags: Annotated[Any, PerEpisode(lambda: ["hidden"])] = Field(alias="secret")


class Injected(BaseModel):
    size: int = Field(alias="howBig")
    tags: Annotated[Any, InjectedToolArg] = Field(default=("kept",), validation_alias=AliasChoices("s", "secret"))


def made(schema: type[BaseModel], **options: Any) -> BaseTool:
    def show(size: int, tags: list[str]) -> str:
        return f"{size} {list(tags)}"

    return StructuredTool.from_function(show, name="show", description="Show.", args_schema=schema, **options)


def ask(tool: BaseTool, arguments: dict[str, Any]) -> ToolResult:
    return ToolExecutor([tool]).execute([ToolCall("show", arguments)])[0]


@pytest.mark.parametrize("callbacks", [[], [BaseCallbackHandler()]], ids=["fast", "slow"])
@pytest.mark.parametrize(
    ("schema", "names", "told"),
    [
        (Aliased, ["howBig", "marks"], "1 ['new']"),
        (Generated, ["SIZE", "TAGS"], "1 []"),
        (ByName, ["SIZE", "TAGS"], "1 []"),
        (Hidden, ["howBig"], "1 ['hidden']"),
        (Injected, ["howBig"], "1 ['kept']"),
    ],
)
def test_what_follows_the_shown_schema_is_answered(
    schema: type[BaseModel], names: list[str], told: str, callbacks: list[Any]
) -> None:
    tool = made(schema, callbacks=callbacks)
    shown = prepare(tool).schema["function"]["parameters"]
    assert list(shown["properties"]) == names and shown["required"] == names[:1]
    assert ask(tool, made_up(tool)) == ToolResult(told)
    assert prepare(tool).direct is None or not callbacks
    assert ToolExecutor([tool]).check(ToolCall("show", {})) == ask(tool, {})
    assert ask(tool, {}).text == f"Error: show: {names[0]}: Field required"
    assert [f.promise for f in check_tool(tool) if f.status == "problem"] == []


@pytest.mark.parametrize("name", ["tags", "secret", "s"])
def test_a_hidden_argument_is_refused_under_every_name(name: str) -> None:
    for schema in (Injected,) if name == "s" else (Hidden, Injected):
        told = ToolResult(f"Error: show takes no argument {name!r}", is_error=True)
        assert ask(made(schema), {"howBig": 1, name: ["mine"]}) == told


def test_an_argument_that_has_no_single_name_is_an_error_that_says_so() -> None:
    class Path(BaseModel):
        size: int = Field(validation_alias=AliasPath("sizes", 0))
        tags: list[str] = []

    with pytest.raises(BadValue, match=r"alias of argument 'size' of tool 'show'.*allowed: one name"):
        prepare(made(Path))


def test_models_that_serialize_in_their_own_way_take_the_slow_path() -> None:
    class Own(BaseModel):
        size: int
        tags: list[str] = []

        @model_serializer
        def _some(self) -> dict[str, Any]:
            return {"size": self.size}

    class Conditional(BaseModel):
        size: int
        tags: list[str] = Field(default=[], exclude_if=lambda tags: tags == [])

    for schema in (Own, Conditional):
        tool = made(schema)
        assert prepare(tool).direct is None


def test_a_bare_json_schema_with_unknown_types_accepts_what_it_cannot_judge() -> None:
    schema = {"title": "show", "type": "object", "properties": {"size": {"type": "date"}, "tags": True}}
    tool = StructuredTool(name="show", description="S.", args_schema=schema, func=lambda size, tags: f"{size} {tags}")
    assert ask(tool, {"size": "today", "tags": 1}) == ToolResult("today 1")
