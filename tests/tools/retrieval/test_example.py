"""The example keeps its word: fifty thousand documents in at most ten lines of a user's code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "search_your_corpus.py"


def test_the_users_code_is_ten_lines() -> None:
    source = EXAMPLE.read_text(encoding="utf-8")
    main = next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "main")
    body = source.splitlines()[main.lineno : main.end_lineno]
    assert 0 < len([line for line in body if line.strip()]) <= 10


@pytest.mark.smoke
def test_fifty_thousand_documents_are_read_indexed_asked_and_served(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLE)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "50000 passages of 50002 records" in said and "dropped 1 empty" in said and "1 repeated" in said
    assert "first result: 20/20" in said and "over HTTP: ['River R2500 " in said and "tool: River R5000 " in said
