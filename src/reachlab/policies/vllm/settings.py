"""What can be chosen about an engine."""

from __future__ import annotations

from dataclasses import dataclass

from reachlab.errors import BadValue

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks of adapters that vLLM has kernels for; others are padded to the next."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of ``load``; the defaults serve small models on a processor and models of a few billions on a GPU."""

    rows: int = 256
    """Turns that are sampled side by side, >= 1; more wait."""
    context: int = 4096
    """Tokens of prompt and turns together, >= 64; the model's own limit where that is lower. A turn that would pass it
    is cut there, and its episode ends with the stop reason ``tokens``."""
    cache_bytes: int | None = None
    """Of the key-value cache, >= 2**20; by default half a GiB on a processor, four on a GPU."""
    tolerance: float = 1e-3
    """Greatest difference, in nats, that the log-probabilities of vLLM and transformers may show on the probe, > 0.
    Weights in 16 bits need more."""
    lora_rank: int = 0
    """Rank of the adapters to expect, 0 to 512; an engine that meets a higher one is built anew."""

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("context", 64), ("lora_rank", 0), ("cache_bytes", 2**20)):
            value = getattr(self, name)
            if not (isinstance(value, int) and value >= least) and not (name == "cache_bytes" and value is None):
                raise BadValue(name, value, f"a whole number, >= {least}")
        if not (isinstance(self.tolerance, int | float) and self.tolerance > 0):
            raise BadValue("tolerance", self.tolerance, "a number, > 0")
        padded(self.lora_rank)


def padded(rank: int) -> int:
    """The rank that vLLM computes an adapter of *rank* with; 0 without one."""
    if rank > RANKS[-1]:
        raise BadValue("rank of an adapter", rank, f"<= {RANKS[-1]}")
    return next(r for r in RANKS if r >= rank) if rank else 0
