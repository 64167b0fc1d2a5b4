"""The learner on larger models: chunks, memory, precision, recomputed activations, limits."""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reachlab import TokenKind, Transcript
from reachlab.errors import BadValue, MissingExtra, PolicyFault, UnknownName
from reachlab.policies import adapters
from reachlab.policies.config import AdapterConfig, ImportanceConfig, LearnerConfig, Limits
from reachlab.policies.gradients import out_of_memory
from reachlab.policies.huggingface import TINY, HuggingFacePolicy, load
from reachlab.policies.learner import Diverged, Learner
from reachlab.policies.scoring import batches

from .test_learner import gold, sample, student_of


def gradient(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def accumulated(base: HuggingFacePolicy, data: list[Transcript], config: LearnerConfig) -> torch.Tensor:
    learner = Learner(student_of(base).model, base.model, config)
    learner.gradients.accumulate(data, [1.0 - i % 3 for i in range(len(data))], config.beta)
    return gradient(learner.model)


@pytest.fixture
def drawn(base: HuggingFacePolicy) -> list[Transcript]:
    return [t for _, t in sample(base, 12, 0)] + [gold(base, "12345"[:n]) for n in range(1, 5)]


def test_padding_is_bounded_and_every_transcript_is_read_once() -> None:
    lengths = np.random.default_rng(0).integers(2, 60, 200)
    made = [Transcript(np.ones(n, int), np.full(n, TokenKind.POLICY, np.uint8), np.zeros(n)) for n in lengths]
    counts = {}
    for most in (1.0, 0.2, 0.0):
        chunks = list(batches(made, (TokenKind.POLICY,), torch.device("cpu"), 256, most))
        assert sorted(i for c in chunks for i in c.index) == list(range(200))
        assert all(c.ids_B_T.numel() <= 256 for c in chunks)
        waste = [1 - float(c.mask_B_T.sum()) / c.ids_B_T.numel() for c in chunks]
        assert max(waste) <= most
        counts[most] = len(chunks)
    assert counts[1.0] < counts[0.2] < counts[0.0]


def test_chunks_change_no_gradient(base: HuggingFacePolicy, drawn: list[Transcript]) -> None:
    whole = accumulated(base, drawn, LearnerConfig(beta=0.1, chunk_tokens=10_000))
    for settings in ({"chunk_tokens": 1}, {"chunk_tokens": 80, "max_padding": 0.05}):
        torch.testing.assert_close(accumulated(base, drawn, LearnerConfig(beta=0.1, **settings)), whole)


def test_recomputed_activations_change_no_gradient(base: HuggingFacePolicy, drawn: list[Transcript]) -> None:
    calls = []
    student = student_of(base)
    learner = Learner(student.model, base.model, LearnerConfig(beta=0.1, gradient_checkpointing=True))
    for layer in student.model.model.layers:
        layer.self_attn.register_forward_hook(lambda *_: calls.append(1))
    with learner._checkpointing():
        learner.gradients.accumulate(drawn, [1.0 - i % 3 for i in range(len(drawn))], 0.1)
    torch.testing.assert_close(gradient(student.model), accumulated(base, drawn, LearnerConfig(beta=0.1)))
    assert len(calls) == 2 * len(student.model.model.layers)  # forward, and again in the backward pass
    assert not any(m.training for m in student.model.modules())  # and samples as before
    assert sample(student, 4, 1)[0][0] == sample(base, 4, 1)[0][0]


def test_recomputed_activations_are_not_kept(base: HuggingFacePolicy, drawn: list[Transcript]) -> None:
    kept = dict.fromkeys((False, True), 0)
    for recompute in kept:
        learner = Learner(student_of(base).model, base.model, LearnerConfig(gradient_checkpointing=recompute))

        def keep(tensor: torch.Tensor, recompute: bool = recompute) -> torch.Tensor:
            kept[recompute] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            learner.update(drawn, [1.0] * len(drawn))
    assert kept[True] < 0.5 * kept[False]


def test_a_model_that_cannot_recompute_is_refused(base: HuggingFacePolicy) -> None:
    student = student_of(base)
    student.model.model.layers[0].dropout = 0.1
    with pytest.raises(BadValue, match="no dropout"):
        Learner(student.model, base.model, LearnerConfig(gradient_checkpointing=True))


def test_bfloat16_products_on_float32_weights(base: HuggingFacePolicy, drawn: list[Transcript]) -> None:
    exact = accumulated(base, drawn, LearnerConfig(beta=0.1))
    rough = accumulated(base, drawn, LearnerConfig(beta=0.1, precision="bfloat16"))
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert float(torch.cosine_similarity(rough, exact, dim=0)) > 0.99


class Crowded:
    """A forward pass that fails above so many tokens, but for the first *spared* ones: their gradient is there then."""

    def __init__(self, model: Any, most: int, spared: int = 0) -> None:
        self.forward, self.most, self.spared, self.failures = model.forward, most, spared, 0
        self.shapes: list[tuple[int, int]] = []

    def __call__(self, *, input_ids: torch.Tensor, **rest: Any) -> Any:
        self.shapes.append((input_ids.shape[0], input_ids.shape[1]))
        if input_ids.numel() > self.most and len(self.shapes) > self.spared:
            self.failures += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB")
        return self.forward(input_ids=input_ids, **rest)


def test_a_chunk_that_does_not_fit_is_halved_for_good(
    base: HuggingFacePolicy, drawn: list[Transcript], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = LearnerConfig(beta=0.1, chunk_tokens=100)
    roomy, tight = student_of(base), student_of(base)
    crowded = Crowded(tight.model, 60, spared=1)
    monkeypatch.setattr(tight.model, "forward", crowded)
    weights = [1.0 - i % 3 for i in range(len(drawn))]
    learners = [Learner(s.model, base.model, config) for s in (roomy, tight)]
    easy, hard = (learner.update(drawn, weights) for learner in learners)
    assert crowded.failures > 0 and hard.chunk_tokens <= 60 < easy.chunk_tokens
    assert hard.loss == pytest.approx(easy.loss, rel=1e-5) and hard.grad_norm == pytest.approx(easy.grad_norm, rel=1e-4)
    failures = crowded.failures
    learners[1].update(drawn, weights)
    assert crowded.failures == failures  # it remembers
    learners[1].save(tmp_path)
    again = Learner(student_of(base).model, base.model, config)
    again.restore(tmp_path)
    assert again.gradients.chunk_tokens == hard.chunk_tokens


def test_one_transcript_that_does_not_fit_says_what_to_do(
    base: HuggingFacePolicy, drawn: list[Transcript], monkeypatch: pytest.MonkeyPatch
) -> None:
    student = student_of(base)
    crowded = Crowded(student.model, 5)
    monkeypatch.setattr(student.model, "forward", crowded)
    learner = Learner(student.model, base.model, LearnerConfig())
    with pytest.raises(PolicyFault, match="gradient_checkpointing.*bfloat16"):
        learner.update(drawn, [1.0] * len(drawn))
    assert crowded.shapes[-1][0] == 1 and crowded.failures < 8
    assert all(p.grad is None for p in student.model.parameters())


def test_no_room_for_the_optimizer_says_what_to_do(base: HuggingFacePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    learner = Learner(student_of(base).model, base.model, LearnerConfig())
    monkeypatch.setattr(learner.optimizer, "step", full)
    with pytest.raises(PolicyFault, match="train an adapter"):
        learner.update([gold(base, "7")], [1.0])


def test_other_errors_are_not_mistaken_for_memory(base: HuggingFacePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("shapes do not match")

    student = student_of(base)
    monkeypatch.setattr(student.model, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        Learner(student.model, base.model, LearnerConfig()).update([gold(base, "7")], [1.0])
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60)
    assert out_of_memory(refused.value)
    assert out_of_memory(MemoryError()) and not out_of_memory(ValueError("no"))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(max_kl=0.05), "max_kl 0.05"), (Limits(min_entropy=0.5), "min_entropy 0.5")],
    ids=["kl", "entropy"],
)
def test_a_limit_stops_before_the_weights_are_touched(base: HuggingFacePolicy, limits: Limits, reason: str) -> None:
    student = student_of(base)
    learner = Learner(student.model, base.model, LearnerConfig(learning_rate=1e-3, beta=0.0, limits=limits))
    with pytest.raises(Diverged, match=reason):
        for _ in range(30):
            before = copy.deepcopy(student.model)
            learner.update([gold(base, "7")] * 4, [1.0] * 4)
    assert 1 < learner.updates < 30
    for a, b in zip(before.parameters(), student.model.parameters(), strict=True):
        assert torch.equal(a, b) and b.grad is None


def test_limits_count_what_is_no_number_as_passed() -> None:
    nan = float("nan")
    assert Limits().broken(nan, nan) == ""
    assert "max_kl" in Limits(max_kl=1.0).broken(nan, 1.0) and "min_entropy" in Limits(min_entropy=1.0).broken(0.0, nan)
    assert Limits(max_kl=1.0, min_entropy=0.1).broken(0.9, 0.2) == ""


def test_settings_survive_json() -> None:
    config = LearnerConfig(
        adapter=AdapterConfig(rank=4, targets=("q_proj", "v_proj")), importance=ImportanceConfig("sequence", 3.0),
        limits=Limits(max_kl=20.0), precision="bfloat16",
    )  # fmt: skip
    assert LearnerConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert LearnerConfig(**json.loads(json.dumps(asdict(LearnerConfig())))) == LearnerConfig()


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"precision": "fp8"}, BadValue),
        ({"max_padding": 1.5}, BadValue),
        ({"chunk_tokens": 0}, BadValue),
        ({"adapter": {"rnk": 4}}, UnknownName),
        ({"adapter": {"rank": 0}}, BadValue),
        ({"adapter": {"targets": "q_proj"}}, BadValue),
        ({"limits": {"max_kl": -1.0}}, BadValue),
    ],
    ids=str,
)
def test_bad_settings_are_named(bad: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        LearnerConfig(**bad)


def test_a_base_is_loaded_in_the_dtype_that_is_asked_for() -> None:
    assert load(str(TINY)).model.dtype == torch.float32
    assert load(str(TINY), dtype="bfloat16").model.dtype == torch.bfloat16
    with pytest.raises(UnknownName, match="float32"):
        load(str(TINY), dtype="float23")


def test_without_peft_the_extra_is_named(base: HuggingFacePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"reachlab\[lora\]"):
        adapters.adapt(base.model, AdapterConfig())
