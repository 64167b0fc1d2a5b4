"""What an update costs, and whether a second core helps: 1M and 20M parameters, whole weights and an adapter.

Command: ``python benchmarks/learner.py [--repeats 5] [--sizes 1M,20M] [--json]``. Each repeat runs every way once on
the same transcripts; ratios are within a repeat, against one thread; medians with the range.

``one thread`` is how a study's worker learns. ``N threads`` are torch's own, within each operation. ``N processes`` and
``N python threads`` learn from an Nth of the transcripts each on one thread, from weights in shared memory, and their
gradients are added. *idle* is the same ratio by processor time on the longest path, as on a machine that does nothing
else, memory and the interpreter's lock apart; the clock's ratio needs such a machine (the load is printed). Peak is
float32 matrix products of 1024 by 1024 on as many threads; work is counted by ``FlopCounterMode``, recomputation
included.

On two cores: torch's own threads give up to 1.7 at 1M and 1.9 at 20M, and collapse to .1 to .3 when anything else runs;
a core for each half of the transcripts gives 1.7 to 1.9, as processes or as threads. A study gains nothing by it: its
workers are processes that have a core each already.

Not covered: a GPU, several machines, sampling (``throughput.py``).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from reachlab import TokenKind, Transcript
from reachlab.policies import adapters
from reachlab.policies.config import AdapterConfig, LearnerConfig
from reachlab.policies.learner import Learner
from reachlab.seeding import generator

VOCABULARY = 689
SHAPES = {"1M": (128, 4, 96), "20M": (512, 6, 16)}
"""Width, layers, and transcripts of an update."""
LEARN: dict[str, Any] = {"learning_rate": 1e-5, "beta": 0.05}
CORES = len(os.sched_getaffinity(0))
INTRA_OP = f"{CORES} threads"


def model_of(size: str) -> PreTrainedModel:
    width, layers, _ = SHAPES[size]
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=width, intermediate_size=width * 11 // 4, num_hidden_layers=layers,
        num_attention_heads=width // 32, num_key_value_heads=width // 32, max_position_embeddings=512,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model: PreTrainedModel = LlamaForCausalLM(config).eval()
    return model


def transcripts_of(size: str) -> list[Transcript]:
    """24 to 160 tokens, of which the policy wrote the second half."""
    rng = generator(0, "learner-benchmark", size)
    made = []
    for length in rng.integers(24, 161, SHAPES[size][2]).tolist():
        kinds = np.where(np.arange(length) < length // 2, TokenKind.PROMPT, TokenKind.POLICY).astype(np.uint8)
        made.append(Transcript(rng.integers(VOCABULARY, size=length), kinds, np.zeros(length)))
    return made


@dataclass
class Shared:
    """One learner's gradient made by several: weights in shared memory, a part of the transcripts each."""

    learner: Learner
    pool: Executor
    parts: list[list[Transcript]]
    buffers: list[torch.Tensor]

    def update(self) -> float:
        """The greatest processor time of a part, seconds."""
        work = [self.pool.submit(part_of_gradient, i, part) for i, part in enumerate(self.parts)]
        longest = max(future.result() for future in work)
        flat, at = torch.stack(self.buffers).sum(0), 0
        for parameter in self.learner.trained:
            parameter.grad = flat[at : at + parameter.numel()].view_as(parameter)
            at += parameter.numel()
        torch.nn.utils.clip_grad_norm_(self.learner.trained, 1.0)
        self.learner._step()
        return longest


MEMBERS: list[Any] = []
"""(learner, buffer) of each part, in the process that works on it."""


def join(members: list[tuple[PreTrainedModel, PreTrainedModel, torch.Tensor]]) -> None:
    torch.set_num_threads(1)
    MEMBERS[:] = [(Learner(m, base, LearnerConfig(**LEARN)), buffer) for m, base, buffer in members]


def part_of_gradient(index: int, part: list[Transcript]) -> float:
    torch.set_num_threads(1)  # a setting of each thread
    began = time.thread_time()
    learner, buffer = MEMBERS[index]
    learner.model.zero_grad(set_to_none=True)
    learner.gradients.accumulate(part, [1.0] * len(part), LEARN["beta"])
    torch.cat([p.grad.flatten() for p in learner.trained], out=buffer)
    return time.thread_time() - began


def side_by_side(size: str, processes: bool) -> Shared:
    """The longest and the shortest to different parts, alternating, so that all have as much to do."""
    base, model = model_of(size), model_of(size)
    base.share_memory(), model.share_memory()
    ordered = sorted(transcripts_of(size), key=lambda t: len(t.ids))
    parts = [ordered[i::CORES] for i in range(CORES)]
    count = sum(p.numel() for p in model.parameters())
    buffers = [torch.zeros(count).share_memory_() for _ in parts]
    own = {id(p): p.detach() for p in model.parameters()}  # each thread has its own gradients of the same weights
    twins = [copy.deepcopy(model, {i: torch.nn.Parameter(p) for i, p in own.items()}) for _ in parts]
    members = list(zip(twins, [base] * len(parts), buffers, strict=True))
    if processes:
        context = get_context("spawn")
        pool: Executor = ProcessPoolExecutor(CORES, mp_context=context, initializer=join, initargs=(members,))
    else:
        join(members)
        pool = ThreadPoolExecutor(CORES)
    return Shared(Learner(model, base, LearnerConfig(**LEARN)), pool, parts, buffers)


@dataclass
class Way:
    """One way to take an update: seconds of each repeat, the work of one, the threads it may use."""

    name: str
    run: Callable[[], object]
    threads: int = 1
    flops: float = 0.0
    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    """Processor seconds on the longest path; torch's own threads wait for each other busily and have none."""

    def clock(self) -> None:
        began, busy = time.perf_counter(), time.thread_time()
        longest = self.run()
        self.seconds.append(time.perf_counter() - began)
        self.busy.append(time.thread_time() - busy + (longest if isinstance(longest, float) else 0.0))


def ways_of(size: str) -> list[Way]:
    data = transcripts_of(size)

    def learner(adapter: AdapterConfig | None = None, **settings: Any) -> Callable[[], object]:
        base = model_of(size)
        student = adapters.adapt(base, adapter) if adapter else copy.deepcopy(base)
        learner = Learner(student, base, LearnerConfig(**LEARN, **settings))
        return lambda: learner.update(data, [1.0] * len(data))

    ways = [Way("one thread", learner()), Way(INTRA_OP, learner(), CORES)]
    for processes, name in ((True, "processes"), (False, "python threads")):
        ways.append(Way(f"{CORES} {name}", side_by_side(size, processes).update, CORES))
    ways.append(Way("one thread, recomputing", learner(gradient_checkpointing=True)))
    ways.append(Way("one thread, bfloat16", learner(precision="bfloat16")))
    ways.append(Way("one thread, adapter of rank 16", learner(AdapterConfig())))
    return ways


def flops_of(run: Callable[[], object]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def peak(threads: int, side: int = 1024, rounds: int = 12) -> float:
    """Floating-point operations per second of float32 matrix products: the best of *rounds*."""
    torch.set_num_threads(threads)
    a, b = torch.ones(side, side), torch.ones(side, side)
    best = min(clock(lambda: a @ b) for _ in range(rounds))
    return 2 * side**3 / best


def clock(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def summary(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def measure(size: str, repeats: int) -> dict[str, Any]:
    ways, tokens = ways_of(size), sum(len(t.ids) for t in transcripts_of(size))
    for way in ways:
        torch.set_num_threads(1)
        way.run()  # warm-up
        way.flops = ways[0].flops if way.threads > 1 else flops_of(way.run)
    peaks = {threads: list[float]() for threads in (1, CORES)}
    for _ in range(repeats):
        for threads, found in peaks.items():
            found.append(peak(threads))
        for way in ways:
            torch.set_num_threads(CORES if way.name == INTRA_OP else 1)
            way.clock()
    rows = {}
    for way in ways:
        rows[way.name] = {
            "tokens/s": summary([tokens / s for s in way.seconds]),
            "against one thread": summary([a / b for a, b in zip(ways[0].seconds, way.seconds, strict=True)]),
            **(
                {}
                if way.name == INTRA_OP
                else {"idle": summary([a / b for a, b in zip(ways[0].busy, way.busy, strict=True)])}
            ),
            "of peak": summary([way.flops / s / p for s, p in zip(way.seconds, peaks[way.threads], strict=True)]),
        }
    gflops = {f"{threads} threads": summary([p / 1e9 for p in found]) for threads, found in peaks.items()}
    return {"tokens per update": tokens, "load": os.getloadavg()[0], "peak, GFLOP/s": gflops, "ways": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", default=",".join(SHAPES))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {size: measure(size, arguments.repeats) for size in arguments.sizes.split(",")}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for size, result in found.items():
        peaks = ", ".join(f"{name} {_told(row)}" for name, row in result["peak, GFLOP/s"].items())
        print(
            f"{size}: {result['tokens per update']} tokens an update; peak, GFLOP/s: {peaks}; load {result['load']:.1f}"
        )
        for name, row in result["ways"].items():
            print(f"  {name:32} " + "   ".join(f"{what} {_told(row[what])}" for what in row))


def _told(row: dict[str, float]) -> str:
    digits = 0 if row["median"] > 100 else 2
    return f"{row['median']:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"


if __name__ == "__main__":
    main()
