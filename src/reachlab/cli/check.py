"""``check-tool`` and ``check-env``: what is wrong with a tool or a family of one's own, and what to do about it.

Not covered: making one (``cli.new``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reachlab.cli import console
from reachlab.cli.commands import DialOption, JsonOption, app, options_of
from reachlab.errors import BadValue

if TYPE_CHECKING:
    from reachlab.findings import Finding

CallOption = Annotated[
    list[str] | None, typer.Option("--call", help="Arguments it must answer, as JSON. Repeatable. Default: made up.")
]
OptionOption = Annotated[
    list[str] | None, typer.Option("--option", help="Option it is built with, name=JSON. Repeatable.")
]
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

            examples = [_arguments(text) for text in call or ()]
            found = [finding for one in _tools(tool, options_of(option)) for finding in checked(one, examples)]
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
        _show(found, as_json)


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

    named = resolve("tools", name)
    made = named if isinstance(named, BaseTool) and not options else Spec(name, options).build("tools")
    tools = list(made) if isinstance(made, Sequence) else [made]
    if not all(isinstance(tool, BaseTool) for tool in tools):
        raise BadValue("tool", name, "a LangChain BaseTool, or what makes one")
    return tools


def _arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except ValueError as error:
        raise BadValue("--call", text, f"a JSON object ({error})") from error
    if not isinstance(arguments, dict):
        raise BadValue("--call", text, "a JSON object of arguments")
    return arguments


def _show(found: list[Finding], as_json: bool) -> None:
    problems = sum(f.status == "problem" for f in found)
    if as_json:
        console.print_json({"schema": "reachlab.findings/1", "findings": [asdict(f) for f in found]})
    else:
        for finding in found:
            told = f"{finding.promise}{': ' if finding.detail else ''}{finding.detail}"
            console.say(told, label=f"{finding.status:8}", style=_STYLES[finding.status])
            if finding.fix and finding.status == "problem":
                console.say(f"{'':9}to fix: {finding.fix}")
        console.say(f"{problems} broken" if problems else "sound")
    if problems:
        raise typer.Exit(console.BROKEN_PROMISE)
