"""Scores of episodes against the base: spent nats by token class, log-ratio form, imported bits (DESIGN 1).

Token classes: ``call`` inside a tool call, ``answer`` after any ``</think>`` of the final turn, ``reasoning`` else.
Not covered: policies without full log-probabilities (their ledger says `not available`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reachlab import CallFormat, Episode, Scores, StopReason, TokenKind
from reachlab.policies.huggingface import HuggingFacePolicy
from reachlab.policies.scoring import imported_bits
from reachlab.tools.hermes import Hermes

THOUGHT_END = "</think>"
REASONING, CALL, ANSWER = range(3)


def score_episodes(
    policy: HuggingFacePolicy,
    base: HuggingFacePolicy,
    episodes: Sequence[Episode],
    call_format: CallFormat | None = None,
) -> list[Episode]:
    """The episodes with their ``scores``; the base against itself spends exactly 0.

    An episode whose scores are not finite is a fault: it must not count as one that spent nothing.
    """
    known = call_format or Hermes()
    scored = []
    for episode, tokens in zip(episodes, policy.score(base, [e.transcript for e in episodes]), strict=True):
        sampled = episode.transcript.kinds == TokenKind.POLICY
        kl = tokens.kl[sampled]
        classes = token_classes(policy, episode, known) if policy is not base else np.zeros(len(kl), dtype=int)
        by_class = np.bincount(classes, weights=kl, minlength=3)
        scores = Scores(
            spent=float(kl.sum()),
            spent_reasoning=float(by_class[REASONING]),
            spent_call=float(by_class[CALL]),
            spent_answer=float(by_class[ANSWER]),
            log_ratio=float((tokens.logprobs - tokens.base_logprobs)[sampled].sum()),
            bits=imported_bits(episode.transcript, tokens),
        )
        if not np.isfinite([scores.spent, scores.log_ratio, scores.bits]).all() and not episode.stop.is_fault:
            stop, detail = StopReason.FAULT, "its scores were not numbers"
            episode = replace(episode, reward=0.0, stop=stop, detail=detail)
        scored.append(replace(episode, scores=scores))
    return scored


def token_classes(policy: HuggingFacePolicy, episode: Episode, call_format: CallFormat) -> np.ndarray:
    """(N,) class of each policy token of the episode."""
    sampled = episode.transcript.kinds == TokenKind.POLICY
    starts = np.flatnonzero(sampled & ~np.concatenate([[False], sampled[:-1]]))
    classes = []
    for start in starts:
        stop = start + int(np.argmin(np.append(sampled[start:], False)))
        classes.append(_turn_classes(policy, episode.transcript.ids[start:stop], call_format))
    return np.concatenate(classes) if classes else np.zeros(0, dtype=int)


def _turn_classes(policy: HuggingFacePolicy, ids: np.ndarray, call_format: CallFormat) -> np.ndarray:
    ended = len(ids) > 0 and int(ids[-1]) in policy.stop_ids
    said = ids[: len(ids) - ended]
    text = policy.template.decode(said.tolist())
    spans = call_format.spans(text)
    thought = text.rfind(THOUGHT_END)
    if spans == [(0, len(text))]:
        return np.full(len(ids), CALL)
    if not spans and thought < 0:
        return np.full(len(ids), ANSWER)
    classes = np.full(len(text) + 1, REASONING)
    if not spans:
        classes[thought + len(THOUGHT_END) :] = ANSWER
    for begin, end in spans:
        classes[begin:end] = CALL
    ends = [len(policy.template.decode(said[: n + 1].tolist())) for n in range(len(said))]
    of_tokens = classes[np.maximum(np.array(ends, dtype=int) - 1, 0)]
    return np.append(of_tokens, of_tokens[-1:]) if ended else of_tokens
