"""A transcript shows what was said and how it ended, and nothing a policy writes can steer the terminal."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from reachlab import Cost, Episode, Message, Scores, StopReason, ToolCall, Transcript, World
from reachlab.studies.transcript import as_json, meaning, render

CALL = '<tool_call>{"name": "search", "arguments": {"query": "rami [bold]"}}</tool_call>'


def episode() -> Episode:
    return Episode(
        task="lexicon-test-7",
        task_seed=7,
        split="test",
        stratum="digits=4 hops=1",
        world=World.LIVE,
        seed=11,
        messages=(
            Message("user", "What is rami's code?"),
            Message("assistant", f"Let me look. {CALL}"),
            Message("tool", "rami's code is 4711."),
            Message("assistant", "4711"),
        ),
        calls=(ToolCall("search", {"query": "rami [bold]"}), ToolCall("", {}, "the call is not valid JSON")),
        reward=1.0,
        stop=StopReason.ANSWERED,
        detail="",
        cost=Cost(prompt=12, policy=34, observation=56, turns=2, calls=1, verifier_calls=1),
        transcript=Transcript(np.array([1, 2, 3]), np.array([0, 1, 2], dtype=np.uint8), np.array([0.0, -0.5, 0.0])),
        scores=Scores(1.25, 0.0, 0.25, 1.0, 1.5, 13.5),
    )


def shown(made: Episode, *answers: str, color: bool = False) -> str:
    console = Console(width=120, force_terminal=color, color_system="truecolor" if color else None)
    with console.capture() as capture:
        console.print(render(made, answers))
    return capture.get()


def test_everything_said_is_shown_in_order() -> None:
    text = shown(episode(), "4711", "04711")
    said = ("What is rami's code?", "Let me look.", CALL, "rami's code is 4711.", "reward")
    places = [text.index(part) for part in said]
    assert places == sorted(places)
    for part in ("lexicon-test-7", "live", "digits=4 hops=1", "12 prompt, 34 policy, 56 observation", "2 turns, 1 call",
                 "4711 | 04711", "spent 1.25 nats", "13.5 bits", "the call is not valid JSON"):  # fmt: skip
        assert part in text
    assert "gold answer" not in shown(episode())


def test_calls_are_highlighted_and_only_they() -> None:
    text = shown(episode(), color=True)
    yellow = "\x1b[33m"
    assert f"Let me look. {yellow}<tool_call>" in text
    assert text.count(yellow) == 2  # the call, and the malformed call among the facts


@pytest.mark.parametrize("stop", list(StopReason))
def test_stop_reasons_are_explained(stop: StopReason) -> None:
    said = meaning(stop)
    assert len(said) > 15 and said.endswith(".") and "\n" not in said
    text = " ".join(shown(replace(episode(), stop=stop, detail="why")).split())
    assert f"{stop} (why): {said}" in text
    assert len({meaning(other) for other in StopReason}) == len(StopReason)


def test_control_characters_and_markup_are_text() -> None:
    rude = replace(episode(), messages=(Message("assistant", "a\x1b[2J\x07b [red]c[/red]\r"),))
    text = shown(rude, color=True)
    assert "\x1b[2J" not in text and "\x07" not in text and "\r" not in text
    assert "[red]c[/red]" in text and "␛[2J" in text


def test_json_holds_the_episode() -> None:
    made = json.loads(json.dumps(as_json(episode(), ["4711"]), allow_nan=False))
    assert made["messages"][1] == {"role": "assistant", "content": f"Let me look. {CALL}"}
    assert (made["stop"], made["stop_meaning"]) == ("answered", meaning(StopReason.ANSWERED))
    assert made["answers"] == ["4711"] and made["reward"] == 1.0 and made["world"] == "live"
    assert made["calls"][1]["problem"] == "the call is not valid JSON"
    kinds = ["prompt", "policy", "observation"]
    assert made["transcript"] == {"ids": [1, 2, 3], "kinds": kinds, "logprobs": [0, -0.5, 0]}
    assert made["scores"]["bits"] == 13.5 and made["cost"]["observation"] == 56
    assert as_json(replace(episode(), scores=None))["scores"] is None
