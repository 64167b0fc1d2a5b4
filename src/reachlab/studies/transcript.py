"""An episode as a transcript a person can read, and as JSON.

Command: ``reachlab episode lexicon --world live``.
Not covered: other call formats than Hermes in the highlighting.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from reachlab import CallFormat, Episode, Json, Message, StopReason, TokenKind
from reachlab.tools.hermes import Hermes

ROLES = {"system": "dim", "user": "bold blue", "assistant": "bold green", "tool": "bold magenta"}
VISIBLE = {code: 0x2400 + code if code < 32 else 0xFFFD for code in [*range(9), *range(11, 32), *range(127, 160)]}
"""Control characters as pictures: what a policy writes must not steer the reader's terminal."""


def render(
    episode: Episode, answers: Sequence[str] = (), offered: Sequence[str] = (), calls: CallFormat | None = None
) -> RenderableType:
    """Roles, calls highlighted, tool results, then how it ended and what it cost. *answers* are the gold ones,
    *offered* the names of the tools."""
    stratum = [_shown(episode.stratum)] if episode.stratum else []
    head = Rule(Text(" · ".join([_shown(episode.task), str(episode.world), *stratum, f"seed {episode.seed}"])))
    turns = [part for message in episode.messages for part in _message(message, calls or Hermes())]
    return Group(head, *turns, Rule(), _facts(episode, answers, offered))


def as_json(episode: Episode, answers: Sequence[str] = (), offered: Sequence[str] = ()) -> Json:
    """Everything the episode holds, as plain JSON types; ``stop_meaning`` explains the stop reason."""
    plain = ("task", "task_seed", "split", "stratum", "seed", "reward", "detail", "seconds")
    transcript = episode.transcript
    return {
        **{name: getattr(episode, name) for name in plain},
        "world": str(episode.world),
        "stop": str(episode.stop),
        "stop_meaning": meaning(episode.stop),
        "answers": list(answers),
        "offered": list(offered),
        "messages": [message._asdict() for message in episode.messages],
        "calls": [{"name": c.name, "arguments": dict(c.arguments), "problem": c.problem} for c in episode.calls],
        "cost": asdict(episode.cost),
        "scores": asdict(episode.scores) if episode.scores else None,
        "transcript": {
            "ids": transcript.ids.tolist(),
            "kinds": [TokenKind(kind).name.lower() for kind in transcript.kinds.tolist()],
            "logprobs": transcript.logprobs.tolist(),
        },
    }


def meaning(stop: StopReason) -> str:
    """What the documentation of the enum's member says; empty where the source is not at hand."""
    return _meanings().get(stop.name, "")


@lru_cache(maxsize=1)
def _meanings() -> dict[str, str]:
    """Strings below the members of StopReason: Python keeps no docstrings of enum members, its source does."""
    try:
        body = ast.parse(inspect.getsource(StopReason)).body[0]
    except (OSError, SyntaxError):
        return {}
    assert isinstance(body, ast.ClassDef)
    out: dict[str, str] = {}
    for member, after in zip(body.body, body.body[1:], strict=False):
        target = member.targets[0] if isinstance(member, ast.Assign) else None
        said = after.value if isinstance(after, ast.Expr) else None
        if isinstance(target, ast.Name) and isinstance(said, ast.Constant):
            out[target.id] = " ".join(str(said.value).split())
    return out


def _message(message: Message, calls: CallFormat) -> list[RenderableType]:
    body = Text(_shown(message.content) or "(empty)", style="" if message.content else "dim")
    if message.role == "assistant":
        for start, end in calls.spans(message.content):
            body.stylize("yellow", start, end)
    if message.role == "tool":
        body.stylize("magenta")
    return [Text(message.role, style=ROLES.get(message.role, "bold")), Padding(body, (0, 0, 1, 2))]


def _facts(episode: Episode, answers: Sequence[str], offered: Sequence[str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    cost, solved = episode.cost, episode.reward > 0
    grid.add_row("reward", Text(f"{episode.reward:g}", style="green" if solved else "red"))
    if answers:
        grid.add_row("gold answer", Text(" | ".join(_shown(answer) for answer in answers)))
    grid.add_row("tools offered", Text(", ".join(map(_shown, offered)) or "none"))
    detail = f" ({_shown(episode.detail)})" if episode.detail else ""
    grid.add_row("stopped", Text(f"{episode.stop}{detail}: {meaning(episode.stop)}".removesuffix(": ")))
    grid.add_row("tokens", f"{cost.prompt} prompt, {cost.policy} policy, {cost.observation} observation")
    grid.add_row("used", f"{_count(cost.turns, 'turn')}, {_count(cost.calls, 'call')}")
    for call in episode.calls:
        if call.problem:
            grid.add_row("malformed call", Text(_shown(call.problem), style="yellow"))
    if episode.scores is not None:
        scores = episode.scores
        grid.add_row("against the base", f"spent {scores.spent:.3g} nats, imported {scores.bits:.3g} bits")
    return grid


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _shown(text: str) -> str:
    """One visible character for each character, so that the spans of calls stay where they are."""
    return text.translate(VISIBLE)
