"""Truncated importance ratios against closed forms, and what they do to an update."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reachlab import TokenKind, Transcript
from reachlab.errors import BadValue, UnknownName
from reachlab.policies.config import ImportanceConfig, LearnerConfig
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.importance import ratios
from reachlab.policies.learner import Learner, Update

from .test_learner import sample, student_of

LEARNER = torch.log(torch.tensor([0.5, 0.2, 0.9, 0.4]))
SAMPLER = torch.log(torch.tensor([0.25, 0.4, 0.1, 0.4])).double()
ROWS = torch.tensor([0, 0, 3, 3])


def test_token_ratios() -> None:
    found = ratios(LEARNER.requires_grad_(), SAMPLER, ROWS, ImportanceConfig("token", cap=2.5))
    assert found.units_U.tolist() == pytest.approx([2.0, 0.5, 9.0, 1.0])
    assert found.weights_N.tolist() == pytest.approx([2.0, 0.5, 2.5, 1.0])
    assert found.truncated == 1
    assert not found.weights_N.requires_grad and found.weights_N.dtype == LEARNER.dtype


def test_sequence_ratios_are_products_over_the_transcript() -> None:
    found = ratios(LEARNER, SAMPLER, ROWS, ImportanceConfig("sequence", cap=2.5))
    assert found.units_U.tolist() == pytest.approx([1.0, 9.0])
    assert found.weights_N.tolist() == pytest.approx([1.0, 1.0, 2.5, 2.5])
    assert found.truncated == 1
    nothing = ratios(LEARNER[:0], SAMPLER[:0], ROWS[:0], ImportanceConfig("sequence"))
    assert len(nothing.weights_N) == len(nothing.units_U) == nothing.truncated == 0


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_untruncated_ratios_make_other_samples_unbiased(level: str) -> None:
    """Two tokens drawn by q; the mean of ratio times reward is the mean reward under p."""
    p, q = np.array([0.7, 0.2, 0.1]), np.array([0.3, 0.3, 0.4])
    drawn = np.random.default_rng(0).choice(3, size=(40_000, 2), p=q)
    learner, sampler = (torch.from_numpy(np.log(x[drawn]).ravel()) for x in (p, q))
    rows = torch.arange(40_000).repeat_interleave(2)
    weights = ratios(learner, sampler, rows, ImportanceConfig(level, cap=1e6)).weights_N.numpy().reshape(-1, 2)
    last = weights[:, 1] * (drawn[:, 1] == 0) if level == "token" else weights[:, 0] * (drawn[:, 1] == 0)
    assert last.mean() == pytest.approx(p[0], abs=0.03)
    assert (drawn[:, 1] == 0).mean() == pytest.approx(q[0], abs=0.01)


def shifted(transcript: Transcript, nats: float) -> Transcript:
    """As if another engine had sampled it, which gave each token so much more."""
    policy = transcript.kinds == TokenKind.POLICY
    return Transcript(transcript.ids, transcript.kinds, transcript.logprobs + nats * policy)


def updated(base: HuggingFacePolicy, data: list[Transcript], config: LearnerConfig) -> tuple[Update, torch.Tensor]:
    """What an update says, and the gradient that it stepped on."""
    student = student_of(base)
    learner = Learner(student.model, base.model, config)
    learner.gradients.accumulate(data, [1.0, -0.5] * (len(data) // 2), 0.0)
    gradient = torch.cat([p.grad.flatten() for p in learner.trained if p.grad is not None])
    learner.optimizer.zero_grad(set_to_none=True)
    return learner.update(data, [1.0, -0.5] * (len(data) // 2)), gradient


def test_the_learners_own_samples_have_ratio_one(base: HuggingFacePolicy) -> None:
    data = [t for _, t in sample(base, 8, 0)]
    plain, straight = updated(base, data, LearnerConfig(beta=0.0))
    assert plain.ratio is None and plain.truncated is None
    for level in ("token", "sequence"):
        corrected, same = updated(base, data, LearnerConfig(beta=0.0, importance=ImportanceConfig(level)))
        assert corrected.ratio == pytest.approx(1.0, abs=1e-5) and corrected.truncated == 0
        torch.testing.assert_close(same, straight, rtol=1e-4, atol=1e-5)


def test_samples_of_a_surer_engine_weigh_less_and_of_a_less_sure_one_at_most_the_cap(base: HuggingFacePolicy) -> None:
    data = [t for _, t in sample(base, 8, 0)]
    _, straight = updated(base, data, LearnerConfig(beta=0.0))
    config = LearnerConfig(beta=0.0, importance=ImportanceConfig("token", cap=1.5))
    update, gradient = updated(base, [shifted(t, 0.4) for t in data], config)
    assert update.ratio == pytest.approx(np.exp(-0.4), rel=1e-4) and update.truncated == 0
    torch.testing.assert_close(gradient, np.exp(-0.4) * straight, rtol=1e-3, atol=1e-5)
    update, gradient = updated(base, [shifted(t, -1.0) for t in data], config)
    assert update.ratio == pytest.approx(np.e, rel=1e-4) and update.truncated == 1
    torch.testing.assert_close(gradient, 1.5 * straight, rtol=1e-3, atol=1e-5)


def test_bad_settings_are_named() -> None:
    with pytest.raises(UnknownName, match="'token'"):
        ImportanceConfig("tokens")
    with pytest.raises(BadValue, match=">= 1"):
        ImportanceConfig(cap=0.5)
