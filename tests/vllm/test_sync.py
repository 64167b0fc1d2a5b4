"""Weights from the learner to the engine: what trains is what samples, or the run stops."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from reachlab import TokenKind, World
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import PolicyFault
from reachlab.policies.config import LearnerConfig
from reachlab.policies.huggingface import HuggingFacePolicy, load
from reachlab.policies.learner import Learner
from reachlab.policies.vllm import build, sync
from reachlab.policies.vllm import load as load_vllm
from reachlab.policies.vllm.engine import VllmEngine
from reachlab.policies.vllm.settings import Settings
from reachlab.studies.rollout import rollout
from tests.policies.conftest import qwen_tokenizer
from tests.vllm.test_session import teacher_forced

FAMILY = Lexicon()
TASKS = [FAMILY.task("train", i) for i in range(64)]


def student_of(policy: HuggingFacePolicy) -> HuggingFacePolicy:
    return policy.with_model(copy.deepcopy(policy.model), "student")


def gap(policy: HuggingFacePolicy, reference: HuggingFacePolicy | None = None) -> float:
    """Greatest difference between sampled log-probabilities and those of the reference's transformers weights."""
    episodes = rollout(policy, FAMILY, TASKS, World.LIVE, list(range(64)))
    worst = 0.0
    for transcript in (e.transcript for e in episodes):
        apart = np.abs(teacher_forced(reference or policy, transcript) - transcript.logprobs)
        worst = max(worst, float(apart[transcript.kinds == TokenKind.POLICY].max()))
    return worst


def train(student: HuggingFacePolicy, base: HuggingFacePolicy, rate: float = 1e-2) -> None:
    episodes = rollout(base, FAMILY, TASKS, World.LIVE, list(range(64)))
    learner = Learner(student.model, base.model, LearnerConfig(learning_rate=rate, warmup=1))
    learner.update([e.transcript for e in episodes], [1.0 if e.success else -0.1 for e in episodes])


def test_one_engine_serves_the_base_its_students_and_later_loads(policy: HuggingFacePolicy) -> None:
    assert load_vllm("tiny").engine is policy.engine
    assert student_of(policy).engine is policy.engine


def test_the_engine_follows_the_learner(policy: HuggingFacePolicy, base: HuggingFacePolicy, engine: VllmEngine) -> None:
    student = student_of(policy)
    for _ in range(3):
        train(student, base)
        assert gap(student) < 1e-3
    assert gap(student, policy) > 0.1  # it did move
    assert gap(policy) < 1e-3
    before = engine.syncs
    assert gap(policy) < 1e-3
    assert engine.syncs == before  # and nothing is taken over twice


def test_weights_loaded_from_a_folder(policy: HuggingFacePolicy, base: HuggingFacePolicy, tmp_path: Path) -> None:
    student = student_of(policy)
    train(student, base)
    student.model.save_pretrained(tmp_path)
    student.tokenizer.save_pretrained(tmp_path)
    trained = policy.with_model(load(str(tmp_path)).model, "trained")
    assert gap(trained) < 1e-3
    assert gap(trained, policy) > 1e-2


def test_a_write_that_pytorch_does_not_count_is_noticed(policy: HuggingFacePolicy) -> None:
    student = student_of(policy)
    assert gap(student) < 1e-3
    for parameter in student.model.parameters():
        parameter.data.mul_(1.1)
    assert gap(student) < 1e-3


def test_a_sync_that_does_nothing_stops_the_run(
    policy: HuggingFacePolicy, base: HuggingFacePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gap(policy) < 1e-3
    student = student_of(policy)
    train(student, base)
    with monkeypatch.context() as patched:
        patched.setattr(sync, "push", lambda llm, weights: None)
        for _ in range(2):  # and goes on stopping it
            with pytest.raises(PolicyFault, match="does not compute what transformers computes"):
                gap(student)
    assert gap(student) < 1e-3


def test_half_of_the_weights_is_not_enough(policy: HuggingFacePolicy, base: HuggingFacePolicy) -> None:
    student = student_of(policy)
    train(student, base)
    whole, push = sync.whole, sync.push
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sync, "push", lambda llm, weights: push(llm, dict(list(whole(student.model).items())[::2])))
        with pytest.raises(PolicyFault, match="was not given"):
            gap(student)
    assert gap(student) < 1e-3


@pytest.fixture
def packed() -> Iterator[HuggingFacePolicy]:
    """An engine as vLLM builds it by default on a processor: linear layers compute with copies of their weights."""
    from vllm import _custom_ops  # type: ignore[import-not-found, unused-ignore]

    policy = load_vllm("tiny")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(build, "_keep_plain_weights", lambda: None)
        patched.setattr(_custom_ops, "_supports_onednn", True)
        policy.engine = engine = VllmEngine(str(policy.model.name_or_path), Settings(cache_bytes=2**26))
        yield policy
    engine.close()


def test_the_default_route_on_a_processor_is_caught(packed: HuggingFacePolicy) -> None:
    with pytest.raises(PolicyFault, match="vLLM does not (take|compute)"):
        gap(packed)


def test_adapters_are_swapped_without_touching_the_base(policy: HuggingFacePolicy, engine: VllmEngine) -> None:
    from reachlab.policies.adapters import adapt
    from reachlab.policies.config import AdapterConfig

    student = policy.with_model(adapt(policy.model, AdapterConfig(rank=4)), "adapted")
    for _ in range(2):
        with torch.no_grad():
            for name, parameter in student.model.named_parameters():
                if "lora_" in name:
                    parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        assert gap(student) < 1e-3
    assert gap(student, policy) > 0.1
    assert gap(policy) < 1e-3
    before = engine.syncs
    assert gap(student) < 1e-3 and gap(policy) < 1e-3
    assert engine.syncs == before  # both are there, side by side


def test_an_engine_that_dies_while_it_takes_weights_over_stops_the_run(
    policy: HuggingFacePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object) -> float:
        raise RuntimeError("can't allocate memory")

    student = student_of(policy)
    with monkeypatch.context() as patched:
        patched.setattr(sync, "agree", out_of_memory)
        with pytest.raises(PolicyFault, match="can't allocate memory"):
            gap(student)
    assert gap(student) < 1e-3


def test_a_model_as_a_user_brings_one(tmp_path: Path) -> None:
    """Qwen3: grouped-query attention, norms of queries and keys, untied embeddings, a template of another style."""
    tokenizer = qwen_tokenizer()
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 32}
    heads: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False}
    ends: dict[str, Any] = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = Qwen3Config(vocab_size=len(tokenizer), max_position_embeddings=1024, **sizes, **heads, **ends)
    Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    brought = load_vllm(str(tmp_path), cache_bytes=2**26)
    assert gap(brought) < 1e-3
    student = student_of(brought)
    with torch.no_grad():
        for parameter in student.model.parameters():
            parameter.mul_(1.2)
    assert gap(student) < 1e-3 < gap(student, brought)
    assert isinstance(brought.engine, VllmEngine)
    brought.engine.close()
