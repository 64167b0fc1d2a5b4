"""Throughput with the tiny base: episodes per second against plain ``generate``, and learner steps per second.

Command: ``python benchmarks/throughput.py [--repeats 7] [--json]``. One thread a process; medians with the range over
the repeats, and the ratio within each repeat, since absolute numbers mean little across machines. The row ``on N
processes`` is how a study runs: every processor samples its own batches.

``session`` is reachlab's own: equal prompts encoded once, the cache kept across turns, finished rows dropped.
``generate`` is what one writes with transformers: left-padded batches, ``model.generate`` for each turn, the whole
transcript encoded again. Both play the same Lexicon tasks live through the same interaction core.
Not covered: several processes, models of real size (see the policies issue).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import Any

import torch

from reachlab import Task, World
from reachlab.envs.core import Interaction
from reachlab.envs.lexicon import Lexicon
from reachlab.policies.config import LearnerConfig
from reachlab.policies.huggingface import HuggingFacePolicy, tiny
from reachlab.policies.learner import Learner
from reachlab.studies.rollout import rollout

EPISODES = 256
FAMILY = Lexicon()


def tasks() -> list[Task]:
    """Sixteen tasks, sixteen episodes each: a training batch."""
    return [FAMILY.task("train", i // 16) for i in range(EPISODES)]


def by_session(policy: HuggingFacePolicy, seed: int) -> float:
    episodes = rollout(policy, FAMILY, tasks(), World.LIVE, [seed * EPISODES + i for i in range(EPISODES)])
    return sum(e.reward for e in episodes)


def by_generate(policy: HuggingFacePolicy, seed: int) -> float:
    """Turn by turn, everything encoded again."""
    torch.manual_seed(seed)
    tokenizer = policy.tokenizer
    generate: Any = policy.model.generate  # annotated as a tensor by its mixins
    tokenizer.padding_side = "left"
    running = [Interaction(FAMILY, task, World.LIVE) for task in tasks()]
    texts = {id(i): policy.template.prompt_text(i.prompt) for i in running}
    total = 0.0
    while running:
        batch = tokenizer([texts[id(i)] for i in running], return_tensors="pt", padding=True, add_special_tokens=False)
        left = max(i.tokens_left for i in running)
        with torch.inference_mode():
            out = generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                do_sample=True,
                top_k=0,
                max_new_tokens=left,
                pad_token_id=tokenizer.pad_token_id,
            )
        for interaction, ids in zip(running, out[:, batch["input_ids"].shape[1] :].tolist(), strict=True):
            total += _step(policy, interaction, ids, texts)
        running = [i for i in running if i.stop is None]
    return total


def _step(policy: HuggingFacePolicy, interaction: Interaction, ids: Sequence[int], texts: dict[int, str]) -> float:
    end = policy.tokenizer.eos_token_id
    said = list(ids[: ids.index(end)]) if end in ids else [i for i in ids if i != policy.tokenizer.pad_token_id]
    text = policy.template.decode(said)
    step = interaction.step(text, len(said) + (end in ids), end in ids)
    if interaction.stop is None:
        suffix = policy.template.suffix(step.results)
        texts[id(interaction)] += text + str(policy.tokenizer.eos_token) + policy.template.decode(suffix.ids)
    return interaction.reward if interaction.stop is not None else 0.0


def learner_steps(policy: HuggingFacePolicy) -> Callable[[], int]:
    """One update on 256 live episodes, KL to the base included; returns the tokens read."""
    student = copy.deepcopy(policy.model)
    learner = Learner(student, policy.model, LearnerConfig(learning_rate=1e-5))
    episodes = rollout(policy, FAMILY, tasks(), World.LIVE, list(range(EPISODES)))
    transcripts, weights = [e.transcript for e in episodes], [e.reward - 0.4 for e in episodes]
    return lambda: learner.update(transcripts, weights).tokens


def one_batch(seed: int) -> int:
    """Sampled in a worker that keeps its policy; returns the number of episodes."""
    by_session(worker_policy(), seed)
    return EPISODES


@lru_cache(maxsize=1)
def worker_policy() -> HuggingFacePolicy:
    torch.set_num_threads(1)
    return tiny()


def side_by_side(repeats: int, processes: int) -> list[float]:
    """Live episodes per second of all processes together."""
    batches = 4 * processes
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(one_batch, range(batches)))  # warm-up: both load the policy
        rates = []
        for repeat in range(repeats):
            began = time.perf_counter()
            done = sum(pool.map(one_batch, range(repeat * batches, (repeat + 1) * batches)))
            rates.append(done / (time.perf_counter() - began))
    return rates


def clock(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def measure(repeats: int) -> dict[str, dict[str, float]]:
    torch.set_num_threads(1)
    policy = tiny()
    step = learner_steps(policy)
    by_session(policy, 0), by_generate(policy, 0), step()  # warm-up
    rows = [
        (clock(partial(by_session, policy, r)), clock(partial(by_generate, policy, r)), clock(step))
        for r in range(1, repeats + 1)
    ]
    tokens, processes = step(), len(os.sched_getaffinity(0))
    return {
        f"session on {processes} processes, episodes/s": summary(side_by_side(repeats, processes)),
        "session, live episodes/s": summary([EPISODES / a for a, _, _ in rows]),
        "generate, live episodes/s": summary([EPISODES / b for _, b, _ in rows]),
        "session / generate": summary([b / a for a, b, _ in rows]),
        "learner, updates of 256 episodes/s": summary([1 / c for _, _, c in rows]),
        "learner, tokens/s": summary([tokens / c for _, _, c in rows]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.repeats)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for name, row in found.items():
        print(f"{name:38} median {row['median']:10.2f}   range {row['low']:.2f} to {row['high']:.2f}")


if __name__ == "__main__":
    main()
