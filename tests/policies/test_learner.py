"""The one learner: its loss, its KL, what it refuses, and going on from a checkpoint."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from reachlab import ActRequest, Message, Prompt, TokenKind, Transcript
from reachlab.errors import BadValue, PolicyFault
from reachlab.policies.advantages import advantages, mixed
from reachlab.policies.config import LearnerConfig
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.learner import Learner
from reachlab.policies.scoring import imported_bits

PROMPT = Prompt((Message("user", "What is rami's code? Length: 1. Reply with the code only."),))


def student_of(base: HuggingFacePolicy) -> HuggingFacePolicy:
    return base.with_model(copy.deepcopy(base.model), "student")


def sample(policy: HuggingFacePolicy, count: int, seed: int) -> list[tuple[str, Transcript]]:
    session = policy.session()
    handles = session.start([PROMPT] * count, [seed * count + i for i in range(count)])
    return [(turn.text, session.transcript(h)) for h, turn in session.act([ActRequest(h, 8) for h in handles])]


def gold(policy: HuggingFacePolicy, answer: str) -> Transcript:
    return policy.template.transcript(PROMPT, [answer], [])


def probability(policy: HuggingFacePolicy, answer: str) -> float:
    return float(policy.exact_success([PROMPT], [[answer]], 8)[0])


def test_supervised_learning_finds_the_answer(base: HuggingFacePolicy) -> None:
    student = student_of(base)
    learner = Learner(student.model, base.model, LearnerConfig(learning_rate=1e-3, beta=0.0))
    losses = [learner.update([gold(base, "7")] * 4, [1.0] * 4).loss for _ in range(12)]
    assert losses[-1] < 0.2 * losses[0]
    assert probability(student, "7") > 0.8 > 0.2 > probability(base, "7")


def test_policy_gradient_climbs_a_bandit_and_the_kl_penalty_holds_it_back(base: HuggingFacePolicy) -> None:
    """Reward 1 for one digit of ten. The optimum of E[r] - beta KL is the tilt: a high beta must end lower."""
    found = {}
    for beta in (0.01, 2.0):
        student = student_of(base)
        learner = Learner(student.model, base.model, LearnerConfig(learning_rate=1e-3, beta=beta))
        for step in range(20):
            drawn = sample(student, 64, step)
            rewards = np.array([[float(text == "7") for text, _ in drawn]])
            if mixed(rewards):
                learner.update([t for _, t in drawn], advantages(rewards)[0].tolist())
        found[beta] = probability(student, "7")
    assert found[0.01] > 0.6
    p0 = probability(base, "7")
    tilted = p0 * np.exp(1 / 2.0) / (p0 * np.exp(1 / 2.0) + 1 - p0)
    assert abs(found[2.0] - tilted) < 0.08


def test_reported_kl_is_the_kl_of_the_two_distributions(base: HuggingFacePolicy) -> None:
    student = student_of(base)
    with torch.no_grad():
        for weight in student.model.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    t = gold(base, "7")
    at = np.flatnonzero(t.kinds == TokenKind.POLICY) - 1
    with torch.inference_mode():
        logp, logq = (
            torch.log_softmax(m.model(torch.from_numpy(t.ids)[None]).logits[0, at].double(), -1)
            for m in (student, base)
        )
    by_hand = float((logp.exp() * (logp - logq)).sum())
    assert by_hand > 0.01
    scores = student.score(base, [t])[0]
    assert scores.kl.sum() == pytest.approx(by_hand, rel=1e-3)
    assert (scores.kl[t.kinds != TokenKind.POLICY] == 0).all()
    update = Learner(student.model, base.model, LearnerConfig(beta=0.1)).update([t], [0.0])
    assert update.kl == pytest.approx(by_hand, rel=1e-3)
    assert base.score(base, [t])[0].kl.sum() == 0


def test_k3_estimates_the_same_kl(base: HuggingFacePolicy) -> None:
    student = student_of(base)
    fit = Learner(student.model, base.model, LearnerConfig(learning_rate=3e-4, beta=0.0))
    for _ in range(4):
        fit.update([gold(base, "7")] * 4, [1.0] * 4)
    drawn = [t for _, t in sample(student, 1024, 0)]
    kls = {}
    for estimator in ("exact", "k3"):
        learner = Learner(copy.deepcopy(student.model), base.model, LearnerConfig(beta=0.1, estimator=estimator))
        kls[estimator] = learner.update(drawn, [0.0] * len(drawn)).kl
    assert kls["exact"] > 0.02
    assert kls["k3"] == pytest.approx(kls["exact"], rel=0.3)


def test_a_kl_target_moves_beta_towards_it(base: HuggingFacePolicy) -> None:
    student = student_of(base)
    learner = Learner(student.model, base.model, LearnerConfig(beta=0.1, kl_target=0.5))
    learner.update([gold(base, "7")], [0.0])
    assert learner.beta < 0.1  # no KL yet: the penalty is relaxed


def test_only_policy_tokens_learn(base: HuggingFacePolicy) -> None:
    t = gold(base, "7")
    silent = Transcript(t.ids, np.full_like(t.kinds, TokenKind.PROMPT), t.logprobs)
    student = student_of(base)
    update = Learner(student.model, base.model, LearnerConfig(beta=0.0)).update([silent], [1.0])
    assert update.loss == 0 and update.grad_norm == 0


def test_divergence_stops_before_the_weights_are_touched(base: HuggingFacePolicy) -> None:
    student = student_of(base)
    learner = Learner(student.model, base.model, LearnerConfig(beta=0.0))
    with pytest.raises(PolicyFault, match="diverged"):
        learner.update([gold(base, "7")], [float("nan")])
    assert all(torch.isfinite(p).all() for p in student.model.parameters())


def test_a_restored_learner_goes_on_exactly(base: HuggingFacePolicy, tmp_path: Path) -> None:
    config = LearnerConfig(kl_target=0.3)
    data = [gold(base, d) for d in "789"]
    whole, first = student_of(base), student_of(base)
    straight = Learner(whole.model, base.model, config)
    half = Learner(first.model, base.model, config)
    for learner, steps in ((straight, 6), (half, 3)):
        for _ in range(steps):
            learner.update(data, [1.0, 0.5, -0.5])
    half.save(tmp_path)
    second = student_of(base)
    resumed = Learner(second.model, base.model, config)
    resumed.restore(tmp_path)
    for _ in range(3):
        resumed.update(data, [1.0, 0.5, -0.5])
    assert resumed.beta == straight.beta
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "bad",
    [{"estimator": "k1"}, {"learning_rate": 0.0}, {"beta": -1.0}, {"kl_target": 0.0}],
    ids=lambda b: next(iter(b)),
)
def test_bad_settings_are_named(bad: dict[str, float]) -> None:
    with pytest.raises(BadValue, match="allowed"):
        LearnerConfig(**bad)  # type: ignore[arg-type]


def test_advantages_against_hand_worked_groups() -> None:
    rewards = np.array([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [1.0, np.nan, 0.0, np.nan]])
    group = advantages(rewards)
    assert group.tolist() == [[0.75, -0.25, -0.25, -0.25], [0, 0, 0, 0], [0.5, 0, -0.5, 0]]
    assert advantages(rewards, "leave-one-out")[0].tolist() == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
    assert advantages(rewards, "group-scaled")[2].tolist() == [1, 0, -1, 0]
    assert mixed(rewards) == 2
    assert mixed(np.array([[np.nan, np.nan], [0.0, 0.0]])) == 0
    with pytest.raises(BadValue, match="leave-one-out"):
        advantages(rewards, "gae")


def test_imported_bits_of_a_known_observation(base: HuggingFacePolicy) -> None:
    """The base guesses codes uniformly, so four fresh digits carry 13.3 bits, and the name it asked for few."""
    from reachlab import ToolResult

    prompt = Prompt((Message("user", "What is rami's code? Length: 4. Reply with the code only."),), TOOLS)
    call = '<tool_call>{"name": "search", "arguments": {"query": "rami\'s code"}}</tool_call>'
    t = base.template.transcript(prompt, [call, "4821"], [[ToolResult("rami's code is 4821.")]])
    assert 12.5 < imported_bits(t, base.score(base, [t])[0]) < 16


TOOLS = ({"type": "function", "function": {"name": "search", "description": "", "parameters": {}}},)


def test_scores_that_are_no_numbers_are_faults_not_zero_nats(base: HuggingFacePolicy) -> None:
    from reachlab import StopReason, World
    from reachlab.envs.lexicon import Lexicon
    from reachlab.studies.rollout import rollout
    from reachlab.studies.scoring import score_episodes

    broken = student_of(base)
    with torch.no_grad():
        broken.model.get_output_embeddings().weight.fill_(float("nan"))
    family = Lexicon()
    episodes = rollout(base, family, [family.task("test", 0)], World.CLOSED, [0])
    [scored] = score_episodes(base, broken, episodes)
    assert scored.stop is StopReason.FAULT and scored.reward == 0 and not scored.success
