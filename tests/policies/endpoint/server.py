"""A small server that speaks OpenAI's API as vLLM does, over a script that plays Lexicon; it can misbehave.

``misbehave(path, body)`` may return a status and a text to send instead, or do anything else first (sleep, die).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage, convert_to_messages
from transformers import AutoTokenizer

from reachlab import Json
from reachlab.policies.huggingface import TINY
from reachlab.tools import Hermes
from tests.policies.chat_model.players import FAMILY, TASKS, solver

TOKENIZER = AutoTokenizer.from_pretrained(TINY)
LOGPROB = -0.25
Misbehaviour = Callable[[str, Json], tuple[int, str] | None]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, misbehave: Misbehaviour | None = None, *, positions: int = 512, key: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.misbehave: Misbehaviour = misbehave or (lambda path, body: None)
        self.positions, self.key = positions, key
        self.asked: Counter[str] = Counter()
        self.bodies: list[Json] = []
        self.lock, self.busy, self.most = Lock(), 0, 0
        self.takes_ids, self.takes_tools, self.root, self.owner = True, True, str(TINY), "someone"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body: Json) -> None:
        server, path = self.server, self.path.removeprefix("/v1")
        with server.lock:
            server.asked[path] += 1
            server.bodies.append(body)
            server.busy += 1
            server.most = max(server.most, server.busy)
        try:
            status, text = server.misbehave(path, body) or self.behave(path, body)
        finally:
            with server.lock:
                server.busy -= 1
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def behave(self, path: str, body: Json) -> tuple[int, str]:
        if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
            return 401, json.dumps({"error": {"message": "no such key"}})
        if path == "/models":
            card = {"root": self.server.root, "max_model_len": self.server.positions, "owned_by": self.server.owner}
            return 200, json.dumps({"data": [{"id": name, **card} for name in ("base", "other")]})
        routes = {"/completions": self.completion, "/chat/completions": self.chat}
        return routes[path](body) if path in routes else (404, json.dumps({"detail": "Not Found"}))

    def completion(self, body: Json) -> tuple[int, str]:
        prompt = body["prompt"]
        if not self.server.takes_ids:
            return 400, json.dumps({"error": {"message": "prompt must be a string"}})
        ids = TOKENIZER.encode(prompt, add_special_tokens=False) if isinstance(prompt, str) else prompt
        if body.get("echo"):
            said, logprobs = ids, [None, *[LOGPROB] * (len(ids) - 1)]
        else:
            said = continued(ids, body["stop_token_ids"])[: body["max_tokens"]]
            logprobs = [LOGPROB] * len(said)
        told = {"token_logprobs": logprobs, "tokens": [f"token_id:{i}" for i in said]}
        sampled = [0] if body.get("echo") else said  # as vLLM has it
        choice = {"text": "", "token_ids": sampled, "prompt_token_ids": ids, "logprobs": told}
        choice["finish_reason"] = "stop" if said[-1] in TOKENIZER.all_special_ids else "length"
        return 200, json.dumps({"choices": [choice]})

    def chat(self, body: Json) -> tuple[int, str]:
        tools, raw = body.get("tools", []), body.get("tool_choice") == "none"
        if tools and not raw and not self.server.takes_tools:
            return 400, json.dumps({"error": {"message": '"auto" tool choice requires --enable-auto-tool-choice'}})
        messages = convert_to_messages(body["messages"])
        known = messages[-1].text != "1"
        said = solver(messages, tools, np.random.default_rng(body.get("seed"))) if known else "1"
        message = said if isinstance(said, AIMessage) else AIMessage(said)
        calls = [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": json.dumps(c["args"])}}
            for c in message.tool_calls
        ]
        sent: Json = {"role": "assistant", "content": message.text, **({"tool_calls": calls} if calls else {})}
        if raw:
            sent = {"role": "assistant", "content": message.text + "".join(map(as_text, message.tool_calls))}
        choice = {"index": 0, "message": sent, "finish_reason": "tool_calls" if calls else "stop"}
        count = 40 * len(messages) + 5 * len(tools)
        usage = {"prompt_tokens": count, "completion_tokens": 4, "total_tokens": count + 4}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "base", "usage": usage}
        return 200, json.dumps({**answer, "choices": [choice]})


def as_text(call: Any) -> str:
    return Hermes().render(call["name"], call["args"])


def continued(ids: list[int], stops: list[int]) -> list[int]:
    """What the script says after these tokens, and the end of a turn; or an imagined result after a call."""
    text = str(TOKENIZER.decode(ids))
    if text.endswith("<|tool|>"):
        return [*TOKENIZER.encode("rami's code is 12.", add_special_tokens=False), stops[0]]
    question = text.split("<|user|>")[-1].split("<|end|>")[0].splitlines()[-1]
    task = next((t for t in TASKS if t.messages[-1].content == question), None)
    if task is None:
        return [stops[0]]
    seen = [part.split("<|end|>")[0] for part in text.split("<|tool|>")[1:]]
    said = FAMILY.solution(task, seen) if "<|tools|>" in text and all(seen) else "0000"
    return [*TOKENIZER.encode(said, add_special_tokens=False), stops[0]]


@contextmanager
def serving(misbehave: Misbehaviour | None = None, **options: Any) -> Iterator[Server]:
    server = Server(misbehave, **options)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
