"""The far side of an isolated tool: a process that answers one call after another.

Command: ``python -m reachlab.tools.outside.worker_main DESCRIPTOR`` (started by ``worker``, never by hand). The
socket is a descriptor of its own, so what the tool prints cannot disturb it. Ends when the other side does.

Not covered: restraint of any kind; the other side kills.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import closing

from reachlab import Json, ToolCall
from reachlab.errors import ToolFault
from reachlab.registry import Spec
from reachlab.tools.executor import ToolExecutor
from reachlab.tools.outside.frames import receive, send
from reachlab.tools.outside.isolated import load

OUTPUT_CHARS = 2**26
"""Far above what an episode's executor lets through: that one cuts and marks."""


def main(descriptor: int) -> None:
    with socket.socket(fileno=descriptor) as connection:
        try:
            executor = _prepare(receive(connection))
        except EOFError:
            return
        except Exception as error:
            send(connection, {"fault": f"{type(error).__name__}: {error}"})
            return
        send(connection, {"ready": True})
        with closing(executor):
            _serve(connection, executor)


def _prepare(hello: Json) -> ToolExecutor:
    _extend(hello["path"])
    return ToolExecutor([load(Spec.from_json(hello["spec"]))], output_chars=OUTPUT_CHARS, seed=hello["seed"])


def _extend(path: Sequence[str]) -> None:
    sys.path += [place for place in path if place not in sys.path]


def _serve(connection: socket.socket, executor: ToolExecutor) -> None:
    while True:
        try:
            request = receive(connection)
        except (EOFError, OSError):
            return
        send(connection, _answer(executor, ToolCall(request["name"], request["arguments"])))


def _answer(executor: ToolExecutor, call: ToolCall) -> Json:
    try:
        (result,) = executor.execute([call])
    except ToolFault as fault:
        return {"fault": str(fault)}
    return {"text": result.text, "is_error": result.is_error}


if __name__ == "__main__":
    main(int(sys.argv[1]))
