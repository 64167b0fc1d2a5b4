"""``reachlab serve-corpus`` as a process of its own: it answers, says what it dropped, and ends on Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reachlab.cli import app
from reachlab.tools.retrieval import HttpRetriever


@pytest.mark.smoke
def test_a_corpus_is_served_until_interrupted(tmp_path: Path) -> None:
    corpus = tmp_path / "docs.jsonl"
    texts = ["the fox runs at night", "bread needs yeast", "bread needs yeast"]
    corpus.write_text("".join(json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(texts)))
    command = [sys.executable, "-u", "-m", "reachlab", "serve-corpus", str(corpus), "--port", "0"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, env=environment) as server:
        assert server.stdout is not None
        try:
            assert "2 passages" in server.stdout.readline()
            url = re.search(r"http://\S+", server.stdout.readline())
            assert url is not None
            with closing(HttpRetriever(url[0])) as client:
                assert client.retrieve("yeast", 1) == ["bread needs yeast"]
            server.send_signal(signal.SIGINT)
            assert server.wait(10) == 130
        finally:
            server.kill()


def test_a_used_port_is_said_before_the_corpus_is_indexed(tmp_path: Path) -> None:
    corpus = tmp_path / "docs.jsonl"
    corpus.write_text('{"text": "a fox"}')
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        command = ["serve-corpus", str(corpus), "--port", str(taken.getsockname()[1])]
        done = CliRunner().invoke(app, command, env={"XDG_CACHE_HOME": str(tmp_path)})
    assert done.exit_code == 2 and "in use" in done.stderr
    assert not (tmp_path / "reachlab").exists()


def test_what_cannot_be_served_is_said() -> None:
    command = [sys.executable, "-m", "reachlab", "serve-corpus", "/nowhere/docs.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "/nowhere/docs.jsonl" in done.stderr
