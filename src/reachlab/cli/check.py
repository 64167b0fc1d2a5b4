"""``check-tool`` and ``check-env``: what is wrong with a tool or a family of one's own, and what to do about it.

Not covered: making one (``cli.new``).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachlab.cli import console
from reachlab.cli.commands import DialOption, JsonOption, app, options_of
from reachlab.errors import BadValue, UnknownName

if TYPE_CHECKING:
    from reachlab.findings import Finding

_CALL = "Arguments it must answer, as JSON. Repeatable. For one of several: {\"name\": TOOL, \"arguments\": {...}}."
CallOption = Annotated[list[str] | None, typer.Option("--call", help=f"{_CALL} Default: made up.")]
OptionOption = Annotated[
    list[str] | None, typer.Option("--option", help="Option it is built with, name=JSON. Repeatable.")
]
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_RESULTS = (str, int, float, bool, dict, "str", "int", "float", "bool", "dict")
_STYLES = {"ok": "green", "problem": "bold red", "note": "cyan", "skipped": "yellow"}


@app.command("check-tool")
def check_tool(
    tool: Annotated[str, typer.Argument(help="Name of the registry, or module:attribute.")],
    call: CallOption = None,
    option: OptionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call a tool the way episodes do, and say what to fix.

    The same checks for a test of your own: reachlab.tools.soundness.check_tool.
    Exit code 4 if a promise is broken.

    Example: reachlab check-tool my_package:weather --call '{"city": "Rome"}'
    """
    with console.explained():
        with console.working("checking"):
            from reachlab.tools.soundness import check_tool as checked

            tools = _tools(tool, options_of(option))
            examples = _examples([_arguments(text) for text in call or ()], tools)
            found = {one.name: checked(one, examples[one.name]) for one in tools}
        _show(found, as_json)


@app.command("check-env")
def check_env(
    family: Annotated[str, typer.Argument(help="Name of the registry, or module:attribute.")],
    dial: DialOption = None,
    policy: Annotated[str, typer.Option(help="Whose transcripts are looked at; none to leave that out.")] = "tiny",
    as_json: JsonOption = False,
) -> None:
    """Play a family with scripted policies in all six worlds, and say what to fix.

    Seeds, splits, the stated optimum and bound, closed really closed, shuffled
    really uninformative, snapshots, the time limit, Gymnasium's own check.
    The same for a test of your own: reachlab.envs.soundness.check_family.
    Exit code 4 if a promise is broken.

    Example: reachlab check-env my_package:MyFamily --dial size=3
    """
    with console.explained():
        with console.working("checking"):
            from reachlab.envs.soundness import check_family
            from reachlab.registry import Spec

            built = Spec(family, options_of(dial)).build("families")
            found = check_family(built) if policy == "none" else _with_policy(built, policy)
        _show({family: found}, as_json)


def _with_policy(family: Any, policy: str) -> list[Finding]:
    from reachlab.policies.huggingface import HuggingFacePolicy
    from reachlab.registry import Spec
    from reachlab.studies.soundness import check_with_policy

    actor = Spec(policy).build("policies")
    if not isinstance(actor, HuggingFacePolicy):
        raise BadValue("policy", policy, "a Hugging Face causal language model, or none")
    return check_with_policy(family, actor)


def _tools(name: str, options: dict[str, Any]) -> list[Any]:
    from langchain_core.tools import BaseTool

    from reachlab.registry import Spec, resolve
    from reachlab.tools.prepared import as_tool

    named = resolve("tools", name)
    is_made = isinstance(named, BaseTool | Sequence) or _is_plain(named)
    made = named if is_made and not options else Spec(name, options).build("tools")
    return [as_tool(one) for one in (made if isinstance(made, Sequence) and not isinstance(made, str) else [made])]


def _is_plain(named: Any) -> bool:
    """Whether *named* is a function that answers, rather than one that makes a tool: it says so, or needs arguments
    that are no options."""
    from reachlab.tools.outside.isolated import makes_tools

    if not inspect.isfunction(named) or makes_tools(named):
        return False
    needs = any(p.default is p.empty for p in inspect.signature(named).parameters.values() if p.kind not in _VARIADIC)
    return needs or named.__annotations__.get("return") in _RESULTS


def _examples(given: list[dict[str, Any]], tools: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """For each tool, the arguments that are for it: those that name it, and those that name none."""
    found: dict[str, list[dict[str, Any]]] = {tool.name: [] for tool in tools}
    for call in given:
        own = any(set(call) <= set(tool.args) for tool in tools)
        if set(call) != {"name", "arguments"} or not isinstance(call["arguments"], dict) or own:
            for examples in found.values():
                examples.append(call)
        elif call["name"] in found:
            found[call["name"]].append(call["arguments"])
        else:
            raise UnknownName("tool of --call", str(call["name"]), found)
    return found


def _arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise BadValue("--call", text, f"a JSON object ({error})") from error
    if not isinstance(arguments, dict):
        raise BadValue("--call", text, "a JSON object of arguments")
    return arguments


def _show(found: Mapping[str, list[Finding]], as_json: bool) -> None:
    """The findings of each of what was checked, under its name where there are several."""
    problems = sum(f.status == "problem" for findings in found.values() for f in findings)
    if as_json:
        listed = [{"of": name, **asdict(f)} for name, findings in found.items() for f in findings]
        console.print_json({"schema": "reachlab.findings/1", "findings": listed})
    else:
        for name, findings in found.items():
            if len(found) > 1:
                console.say("", label=f"{name}:")
            for finding in findings:
                _say(finding)
        console.say(f"{problems} broken" if problems else "sound")
    if problems:
        raise typer.Exit(console.BROKEN_PROMISE)


def _say(finding: Finding) -> None:
    told = f"{finding.promise}{': ' if finding.detail else ''}{finding.detail}"
    console.say(told, label=f"{finding.status:8}", style=_STYLES[finding.status])
    if finding.fix and finding.status == "problem":
        console.say(f"{'':9}to fix: {finding.fix}")
