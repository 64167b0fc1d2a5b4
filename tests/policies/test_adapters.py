"""Adapters: the base's weights are shared and stay, gradients are those of the dense product."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reachlab import TokenKind, World
from reachlab.envs.lexicon import Lexicon
from reachlab.errors import BadValue
from reachlab.policies import adapters
from reachlab.policies.advantages import advantages
from reachlab.policies.config import AdapterConfig, LearnerConfig
from reachlab.policies.huggingface import TINY, HuggingFacePolicy, load
from reachlab.policies.learner import Learner
from reachlab.policies.scoring import batches, logprobs
from reachlab.studies.rollout import rollout

from .test_learner import gold, sample

pytest.importorskip("peft", reason="extra lora")

SMALL = AdapterConfig(rank=4, alpha=8.0)


def adapted(base: HuggingFacePolicy, config: AdapterConfig = SMALL, moved: float = 0.0) -> HuggingFacePolicy:
    """The base with an adapter; *moved* gives it random values of that size instead of the base's behaviour."""
    student = base.with_model(adapters.adapt(base.model, config, seed=3), "student")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trained(student) if moved else []:
            parameter.copy_(moved * torch.randn(parameter.shape, generator=generator))
    return student


def trained(policy: HuggingFacePolicy) -> list[torch.nn.Parameter]:
    return [p for p in policy.model.parameters() if p.requires_grad]


def said(policy: HuggingFacePolicy, answers: str = "789") -> torch.Tensor:
    """(N, V) log-probabilities on gold answers."""
    [batch] = batches([gold(policy, a) for a in answers], (TokenKind.POLICY,), policy.model.device)
    with torch.inference_mode():
        return logprobs(policy.model, batch)


def test_a_fresh_adapter_says_what_the_base_says_on_the_same_tensors(base: HuggingFacePolicy) -> None:
    before = [p.detach().clone() for p in base.model.parameters()]
    student = adapted(base)
    assert torch.equal(said(student), said(base))
    ours, theirs = ({p.data_ptr() for p in m.parameters()} for m in (student.model, base.model))
    assert theirs < ours
    kept = sum(p.numel() for p in trained(student))
    assert 0 < kept < 0.1 * sum(p.numel() for p in base.model.parameters())
    learner = Learner(student.model, base.model, LearnerConfig(learning_rate=1e-2, beta=0.0))
    for _ in range(3):
        learner.update([gold(base, "7")], [1.0])
    assert (said(student) - said(base)).abs().max() > 0.1
    for old, new in zip(before, base.model.parameters(), strict=True):
        assert torch.equal(old, new) and new.requires_grad and new.grad is None


def test_switched_off_it_is_the_base(base: HuggingFacePolicy) -> None:
    student = adapted(base, moved=0.1)
    assert (said(student) - said(base)).abs().max() > 0.1
    with adapters.switched_off(student.model):
        assert (said(student) - said(base)).abs().max() < 1e-6
    assert (said(student) - said(base)).abs().max() > 0.1


def test_one_model_can_be_both_student_and_reference(base: HuggingFacePolicy) -> None:
    """The base within the adapted model gives the same KL, gradient and weights as a base of its own."""
    config = LearnerConfig(learning_rate=1e-3, beta=0.5)
    alone, beside = adapted(base, moved=0.1), adapted(base, moved=0.1)
    data = [gold(base, a) for a in "789"]
    for _ in range(3):
        one = Learner(alone.model, alone.model, config).update(data, [1.0, -0.5, 0.2])
        two = Learner(beside.model, base.model, config).update(data, [1.0, -0.5, 0.2])
        assert one.kl > 0.01 and one == two
    for a, b in zip(trained(alone), trained(beside), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(BadValue, match="unless the model has an adapter"):
        Learner(base.model, base.model, config)


def test_its_gradient_is_that_of_the_dense_product(base: HuggingFacePolicy) -> None:
    """With W' = W + s B A: dL/dB = s dL/dW' A^T and dL/dA = s B^T dL/dW'."""
    student = adapted(base, moved=0.05)
    dense = copy.deepcopy(base.model)
    pairs = {}
    module: Any
    for name, module in student.model.named_modules():
        if hasattr(module, "lora_A"):
            pairs[name.removeprefix("base_model.model.")] = (
                module.lora_A["default"].weight, module.lora_B["default"].weight
            )  # fmt: skip
    scale = SMALL.alpha / SMALL.rank
    with torch.no_grad():
        for name, (a, b) in pairs.items():
            dense.get_parameter(f"{name}.weight").add_(scale * b @ a)
    config = LearnerConfig(beta=0.3, max_norm=1e9)
    data = [gold(base, a) for a in "789"]
    for model in (student.model, dense):
        Learner(model, base.model, config).gradients.accumulate(data, [1.0, -0.5, 0.2], config.beta)
    assert len(pairs) == 7 * base.model.config.num_hidden_layers
    for name, (a, b) in pairs.items():
        whole = dense.get_parameter(f"{name}.weight").grad
        assert a.grad is not None and b.grad is not None and whole is not None and whole.abs().max() > 0
        torch.testing.assert_close(b.grad, scale * whole @ a.T, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(a.grad, scale * b.T @ whole, rtol=1e-3, atol=1e-5)


def test_only_the_adapter_is_kept_and_goes_back_on_the_base(base: HuggingFacePolicy, tmp_path: Path) -> None:
    student = adapted(base, moved=0.1)
    adapters.save(student.model, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [adapters.CONFIG, adapters.WEIGHTS]
    assert (tmp_path / adapters.WEIGHTS).stat().st_size < 0.2 * (TINY / "model.safetensors").stat().st_size
    assert adapters.is_adapter(tmp_path) and not adapters.is_adapter(TINY)
    back = base.with_model(adapters.attach(base.model, tmp_path), "back")
    assert torch.equal(said(back), said(student))
    assert not trained(back)
    assert {p.data_ptr() for p in base.model.parameters()} < {p.data_ptr() for p in back.model.parameters()}


def test_the_folder_of_an_adapter_is_a_policy_and_a_base(base: HuggingFacePolicy, tmp_path: Path) -> None:
    student = adapted(base, moved=0.1)
    adapters.save(student.model, tmp_path / "first")
    merged = load(str(tmp_path / "first"))
    assert (said(merged) - said(student)).abs().max() < 1e-4
    assert all(p.requires_grad for p in merged.model.parameters())
    assert not adapters.adapted(merged.model)
    second = adapted(merged, moved=0.05)
    adapters.save(second.model, tmp_path / "second")
    assert adapters.base_of(tmp_path / "second") == str(tmp_path / "first")
    assert (said(load(str(tmp_path / "second"))) - said(second)).abs().max() < 1e-4


def test_its_first_values_follow_the_seed_and_no_global_generator(base: HuggingFacePolicy) -> None:
    state = torch.random.get_rng_state()
    same, again, other = (
        [p.detach().clone() for p in adapters.adapt(base.model, SMALL, seed).parameters() if p.requires_grad]
        for seed in (1, 1, 2)
    )
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(same, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(same, other, strict=True))


def test_a_restored_adapter_goes_on_exactly(base: HuggingFacePolicy, tmp_path: Path) -> None:
    config = LearnerConfig(learning_rate=1e-2, beta=0.1, kl_target=0.3)
    data = [gold(base, d) for d in "789"]
    whole, first, second = adapted(base), adapted(base), adapted(base, moved=0.3)
    straight, half = (Learner(s.model, base.model, config) for s in (whole, first))
    for learner, steps in ((straight, 6), (half, 3)):
        for _ in range(steps):
            learner.update(data, [1.0, 0.5, -0.5])
    half.save(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    resumed = Learner(second.model, base.model, config)
    resumed.restore(tmp_path)
    for _ in range(3):
        resumed.update(data, [1.0, 0.5, -0.5])
    assert (resumed.beta, resumed.updates) == (straight.beta, straight.updates)
    for a, b in zip(trained(whole), trained(second), strict=True):
        assert torch.equal(a, b)


def test_a_bfloat16_base_keeps_a_float32_adapter(base: HuggingFacePolicy) -> None:
    half = load(str(TINY), dtype="bfloat16")
    assert half.model.dtype == torch.bfloat16
    student = adapted(half)
    assert {p.dtype for p in trained(student)} == {torch.float32}
    learner = Learner(student.model, half.model, LearnerConfig(learning_rate=1e-2, beta=0.1))
    losses = [learner.update([gold(half, "7")] * 2, [1.0] * 2).loss for _ in range(8)]
    assert losses[-1] < 0.5 * losses[0]
    assert all(text == "7" for text, _ in sample(student, 8, 0))
    with pytest.raises(BadValue, match="round away"):
        Learner(copy.deepcopy(half.model), half.model, LearnerConfig())
    assert (said(half) - said(base)).abs().max() < 0.2


def test_what_cannot_be_is_named(base: HuggingFacePolicy, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="some of .*q_proj"):
        adapters.adapt(base.model, AdapterConfig(targets=("query",)))
    narrow = copy.deepcopy(base.model.config)
    narrow.hidden_size, narrow.intermediate_size, narrow.head_dim = 32, 64, 8
    other = type(base.model)(narrow)
    adapters.save(adapters.adapt(other, SMALL), tmp_path)
    with pytest.raises(BadValue, match="a folder with an adapter of"):
        adapters.attach(base.model, tmp_path)
    written = json.loads((tmp_path / adapters.CONFIG).read_text())
    (tmp_path / adapters.CONFIG).write_text(json.dumps({**written, "base_model_name_or_path": None}))
    with pytest.raises(BadValue, match="base_model_name_or_path"):
        load(str(tmp_path))
    (tmp_path / adapters.CONFIG).write_text("{")
    with pytest.raises(BadValue, match="can be read"):
        load(str(tmp_path))


@pytest.mark.smoke
def test_an_adapter_learns_to_search(base: HuggingFacePolicy) -> None:
    """Reinforcement learning through the adapter alone, live: success well above the base's within 15 updates."""
    family = Lexicon()
    student = base.with_model(adapters.adapt(base.model, AdapterConfig()), "student")
    learner = Learner(student.model, base.model, LearnerConfig(learning_rate=5e-3, beta=0.02))
    found = []
    for step in range(15):
        tasks = [family.task("train", step * 8 + i // 16) for i in range(128)]
        episodes = rollout(student, family, tasks, World.LIVE, [step * 128 + i for i in range(128)])
        rewards = np.array([e.reward for e in episodes])
        learner.update([e.transcript for e in episodes], advantages(rewards.reshape(8, 16)).ravel().tolist())
        found.append(float(rewards.mean()))
    assert np.mean(found[-3:]) > np.mean(found[:2]) + 0.25, found
