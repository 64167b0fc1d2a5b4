"""The tiny base behind vLLM's own server: token mode and chat mode say what transformers says, and a dead server is a
fault. Where vLLM and langchain-openai are installed: ``python -m pytest -m vllm tests/vllm_server``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from reachlab import Episode, Family, Policy, Prompt, StopReason, TokenKind, ToolResult, World
from reachlab.envs.arithmetic import Arithmetic
from reachlab.envs.lexicon import Lexicon
from reachlab.measure.intervals import clopper_pearson
from reachlab.policies.chat_model import ChatModelPolicy, Retry
from reachlab.policies.endpoint import EndpointPolicy, connect
from reachlab.policies.endpoint.policy import EndpointSession
from reachlab.policies.huggingface import TINY, HuggingFacePolicy, tiny
from reachlab.studies.rollout import rollout

pytestmark = pytest.mark.vllm
FAMILIES: dict[str, Family] = {"lexicon": Lexicon(), "arithmetic": Arithmetic()}
EPISODES = 240
FLAGS = "--dtype float32 --enforce-eager --kv-cache-memory-bytes 268435456 --served-model-name base"
PARSER = "--enable-auto-tool-choice --tool-call-parser hermes"
SETTINGS = {"TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[bytes]
    url: str

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "log"
    module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(TINY)]
    command = [*module, "--host", "127.0.0.1", "--port", str(port), *FLAGS.split(), *PARSER.split()]
    environment = {**os.environ, **SETTINGS, "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
    served = Served(process, f"http://127.0.0.1:{port}/v1")
    try:
        ready(served, log)
        yield served
    finally:
        if process.poll() is None:
            served.kill()


def ready(served: Served, log: Path) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end and served.process.poll() is None:
        try:
            httpx.get(f"{served.url}/models", timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.5)
    pytest.fail(f"vLLM's server did not come up:\n{log.read_text()[-2000:]}")


@lru_cache(maxsize=1)
def base() -> HuggingFacePolicy:
    torch.set_num_threads(1)
    return tiny()


def tokens(server: Served) -> EndpointPolicy:
    policy = connect(server.url)
    assert isinstance(policy, EndpointPolicy)
    return policy


def chat(server: Served) -> ChatModelPolicy:
    pytest.importorskip("langchain_openai")
    policy = connect(f"{server.url}#base", mode="chat")
    assert isinstance(policy, ChatModelPolicy) and policy.calls == "raw"
    return policy


def play(policy: Policy, family: Family, world: World, count: int = EPISODES, seed: int = 0) -> list[Episode]:
    tasks = [family.task("test", i % 60) for i in range(count)]
    return rollout(policy, family, tasks, world, range(seed, seed + count))


def agree(first: list[Episode], second: list[Episode]) -> bool:
    """Whether 99.9 % intervals of the two success rates meet."""
    one, other = (clopper_pearson(sum(e.success for e in part), len(part), alpha=0.0005) for part in (first, second))
    return one.low <= other.high and other.low <= one.high


@pytest.mark.parametrize("mode", [tokens, chat], ids=["tokens", "chat"])
@pytest.mark.parametrize("world", [World.LIVE, World.CLOSED])
@pytest.mark.parametrize("name", FAMILIES)
def test_success_is_that_of_transformers(
    server: Served, name: str, world: World, mode: Callable[[Served], Policy]
) -> None:
    family = FAMILIES[name]
    found, known = play(mode(server), family, world), play(base(), family, world, seed=1000)
    assert not any(e.stop.is_fault for e in found)
    assert agree(found, known), [np.mean([e.success for e in part]) for part in (found, known)]
    assert world is World.CLOSED or sum(e.success for e in found) > 0.15 * EPISODES


@pytest.mark.parametrize("name", FAMILIES)
def test_log_probabilities_are_those_of_transformers(server: Served, name: str) -> None:
    policy, family = tokens(server), FAMILIES[name]
    episodes = play(policy, family, World.LIVE, 60) + play(policy, family, World.ORACLE, 20)
    transcripts = [e.transcript for e in episodes]
    for transcript, theirs, own in zip(
        transcripts, policy.score(policy, transcripts), base().score(base(), transcripts), strict=True
    ):
        sampled = transcript.kinds == TokenKind.POLICY
        assert np.abs(transcript.logprobs - own.logprobs)[sampled].max() < 1e-3
        assert np.abs(theirs.logprobs - own.logprobs).max() < 1e-3


def test_chat_mode_gives_the_same_log_probabilities_and_counts(server: Served) -> None:
    for episode in play(chat(server), FAMILIES["lexicon"], World.CLOSED, 20):
        prompt, said = Prompt(episode.messages[:-1]), episode.messages[-1].content
        transcript = base().template.transcript(prompt, [said], [])
        own = base().score(base(), [transcript])[0].logprobs
        assert (transcript.kinds == episode.transcript.kinds).all()
        assert np.abs(own - episode.transcript.logprobs).max() < 1e-3


def test_seeds_fix_what_is_said(server: Served) -> None:
    policy = tokens(server)
    runs = [[e.transcript.ids.tolist() for e in play(policy, FAMILIES["lexicon"], World.LIVE, 40)] for _ in range(2)]
    same = np.mean([a == b for a, b in zip(*runs, strict=True)])
    assert same >= 0.95  # rounding depends on what else is in a batch


def test_the_server_imagines_as_the_base_does(server: Served) -> None:
    policy, family = tokens(server), FAMILIES["lexicon"]
    tasks = [family.task("test", i) for i in range(40)]
    episodes = rollout(policy, family, tasks, World.IMAGINED, range(40), imaginer=policy.imaginer())
    assert not any(e.stop.is_fault for e in episodes)
    assert sum("code is" in m.content for e in episodes for m in e.messages if m.role == "tool") >= 10


def test_native_calls_lose_what_the_template_does_not_render(server: Served) -> None:
    """The server takes the call out of the turn; the tiny base's template shows no ``tool_calls``, so the model never
    sees what it asked. Why chat mode prefers raw calls."""
    pytest.importorskip("langchain_openai")
    policy = connect(f"{server.url}#base", mode="chat", calls="native")
    assert isinstance(policy, ChatModelPolicy)
    native = play(policy, FAMILIES["arithmetic"], World.LIVE)
    assert any(e.calls for e in native) and not any(e.stop.is_fault for e in native)
    assert not agree(native, play(base(), FAMILIES["arithmetic"], World.LIVE))


def test_a_server_that_is_killed_half_way_is_a_fault(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last test: the server is gone after it."""
    policy, count = tokens(server), 0
    policy.client.retry = Retry(attempts=2, first=0.05, seconds=10)
    append = EndpointSession.append

    def killing(session: EndpointSession, handle: int, results: Sequence[ToolResult]) -> None:
        nonlocal count
        count += 1
        if count == 10:
            server.kill()
        append(session, handle, results)

    monkeypatch.setattr(EndpointSession, "append", killing)
    episodes = play(policy, FAMILIES["lexicon"], World.LIVE, 60)
    faults = [e for e in episodes if e.stop is StopReason.FAULT]
    assert faults and all(e.reward == 0 and "attempts" in e.detail for e in faults)
    assert any(e.cost.calls for e in faults)
