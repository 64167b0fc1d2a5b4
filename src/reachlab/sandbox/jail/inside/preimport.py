"""Modules that every run is to find loaded. Not covered: where they are found."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def load(names: Iterable[str]) -> None:
    """Import them, with one thread each: others would not survive a fork. The environment is empty afterwards."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        for name in names:
            importlib.import_module(name)
    finally:
        os.environ.clear()
