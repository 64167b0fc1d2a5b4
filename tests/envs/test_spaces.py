"""The text space: what it holds, how it samples, and that checking is cheap."""

import json
import pickle
import time

import pytest

from reachlab.envs import Unicode
from reachlab.errors import BadValue


def test_it_holds_every_text_up_to_its_length() -> None:
    space = Unicode(max_length=5)
    assert "" in space and "a b" in space and "é漢😀" in space
    assert "abcdef" not in space and 5 not in space and b"abc" not in space and None not in space


def test_samples_are_in_the_space_and_leave_ascii() -> None:
    space = Unicode(max_length=20, seed=1)
    samples = [space.sample() for _ in range(200)]
    assert all(s in space for s in samples)
    assert any(not s.isascii() for s in samples) and any(max(map(ord, s), default=0) > 0xFFFF for s in samples)
    assert all(s.encode("utf-8") is not None for s in samples)


def test_the_seed_fixes_the_samples() -> None:
    a, b, c = Unicode(seed=3), Unicode(seed=3), Unicode(seed=4)
    first = [a.sample() for _ in range(5)]
    assert first == [b.sample() for _ in range(5)] != [c.sample() for _ in range(5)]
    a.seed(3)
    assert [a.sample() for _ in range(5)] == first


def test_equality_json_and_pickle() -> None:
    space = Unicode(max_length=7)
    assert space == Unicode(7) != Unicode(8) and repr(space) == "Unicode(max_length=7)"
    assert pickle.loads(pickle.dumps(space)) == space
    texts = ["", "é", "a b"]
    assert space.from_jsonable(json.loads(json.dumps(space.to_jsonable(texts)))) == texts


def test_checking_a_long_text_takes_no_time() -> None:
    """``gymnasium.spaces.Text`` takes 11 ms here."""
    space, text = Unicode(), "x" * 100_000
    start = time.perf_counter()
    for _ in range(1000):
        space.contains(text)
    assert (time.perf_counter() - start) / 1000 < 1e-4


def test_a_length_below_one_is_refused() -> None:
    with pytest.raises(BadValue, match="max_length: got 0"):
        Unicode(0)
