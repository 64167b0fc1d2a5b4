"""Chat templates by difference: what follows a sampled turn is rendered once per step, and ids are only appended.

The assistant's turns stay raw text. A template that rewrites what was already said (drops thinking, moves calls,
merges tool results with earlier messages) cannot be used append-only and raises ``TemplateError`` saying so.
Not covered: templates that need parsed ``tool_calls``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from jinja2.exceptions import TemplateError as TemplateProblem
from transformers import PreTrainedTokenizerBase

from reachlab import Message, Prompt, TokenKind, ToolResult, Transcript
from reachlab.errors import TemplateError

SAID, WRITTEN = "said-by-assistant-7f3a", "written-by-tool-7f3a"


class Suffix(NamedTuple):
    """Tokens that follow a turn's end-of-sequence token, with the ``TokenKind`` of each."""

    ids: tuple[int, ...]
    kinds: tuple[int, ...]


class ChatTemplate:
    """Renders prompts and suffixes with a tokenizer's own template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise TemplateError("the tokenizer has no chat template; set tokenizer.chat_template")
        self.tokenizer = tokenizer
        self.suffix = lru_cache(maxsize=65536)(self._suffix)
        self.imagined_prefix = lru_cache(maxsize=65536)(self._imagined_prefix)

    def prompt_text(self, prompt: Prompt) -> str:
        return self._render(prompt.messages, prompt.tools)

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        ids: list[int] = self.tokenizer.encode(self.prompt_text(prompt), add_special_tokens=False)
        return ids

    def _suffix(self, results: tuple[ToolResult, ...]) -> Suffix:
        """What follows the end-of-sequence token of a turn whose calls returned *results*."""
        contents = [r.text for r in results]
        text = self._after_turn(contents)
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        frame = self._after_turn([WRITTEN] * len(contents)).split(WRITTEN)
        if len(frame) != len(contents) + 1:
            raise TemplateError("the chat template leaves out the tool's results; use one that renders the role 'tool'")
        spans = _spans(frame, contents, text)
        return Suffix(tuple(encoded["input_ids"]), self._kinds(encoded["input_ids"], encoded["offset_mapping"], spans))

    def _kinds(
        self, ids: Sequence[int], offsets: Sequence[tuple[int, int]], spans: list[tuple[int, int]]
    ) -> tuple[int, ...]:
        """Observation: each content, and what follows it up to the token that ends an imagined one."""
        kinds = [int(TokenKind.TEMPLATE)] * len(ids)
        for begin, end in spans:
            inside = [i for i, (start, stop) in enumerate(offsets) if start < end and stop > begin]
            after = next((i for i, (start, _) in enumerate(offsets) if start >= end), len(ids))
            last = next((i for i in range(after, len(ids)) if ids[i] == self.observation_stop), after)
            for i in (*inside, *range(after, min(last + 1, len(ids)))):
                kinds[i] = int(TokenKind.OBSERVATION)
        return tuple(kinds)

    def _imagined_prefix(self, results: tuple[ToolResult, ...]) -> tuple[int, ...]:
        """What follows the end-of-sequence token up to where the content of the next result begins."""
        text = self._after_turn([*(r.text for r in results), WRITTEN])
        return tuple(self.tokenizer.encode(text[: text.rindex(WRITTEN)], add_special_tokens=False))

    def transcript(self, prompt: Prompt, turns: Sequence[str], results: Sequence[Sequence[ToolResult]]) -> Transcript:
        """Given turns as a policy would have sampled them; ``results[i]`` follow turn i, the last turn has none."""
        ids = self.prompt_ids(prompt)
        kinds = [int(TokenKind.PROMPT)] * len(ids)
        for turn, answers in zip(turns, [*results, ()], strict=True):
            said = [*self.tokenizer.encode(turn, add_special_tokens=False), self.tokenizer.eos_token_id]
            suffix = self.suffix(tuple(answers)) if answers else Suffix((), ())
            ids += [*said, *suffix.ids]
            kinds += [int(TokenKind.POLICY)] * len(said) + list(suffix.kinds)
        return Transcript(np.array(ids), np.array(kinds, dtype=np.uint8), np.zeros(len(ids)))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of *ids*, special tokens included."""
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    @cached_property
    def observation_stop(self) -> int:
        """The token that ends an observation: the first added token after its content, else the first token."""
        text = self._after_turn([WRITTEN])
        ids = self.tokenizer.encode(text[text.rindex(WRITTEN) + len(WRITTEN) :], add_special_tokens=False)
        added = self.tokenizer.added_tokens_decoder
        return int(next((i for i in ids if i in added), ids[0]))

    def _after_turn(self, contents: Sequence[str]) -> str:
        asked = (Message("user", "q"),)
        head = self._render(asked, ()) + SAID
        results = [Message("tool", c) for c in contents]
        full = self._render((*asked, Message("assistant", SAID), *results), ())
        if not full.startswith(head):
            raise TemplateError(
                "the chat template does not preserve its prefix: after a tool result the conversation renders as "
                f"{full[: len(head) + 20]!r}, but the policy had seen {head!r}. Use a template that leaves earlier "
                "assistant turns as they were sampled."
            )
        tail, end = full[len(head) :], str(self.tokenizer.eos_token)
        if not tail.startswith(end):
            raise TemplateError(f"the chat template ends a turn with {tail[:20]!r}, not with the tokenizer's {end!r}")
        return tail[len(end) :]

    def check(self, prompt: Prompt) -> None:
        """Raises TemplateError where the template cannot carry an episode with tools: said before anything runs."""
        if prompt.tools and self.prompt_text(prompt) == self._render(prompt.messages, ()):
            raise TemplateError("the chat template ignores tools: the model would never see that it may call them")
        self.suffix((ToolResult("a result"), ToolResult("another")))

    def _render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> str:
        plain = [m._asdict() for m in messages]
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    plain, tools=list(tools) or None, add_generation_prompt=True, tokenize=False
                )
            )
        except TemplateProblem as error:
            raise TemplateError(f"the chat template refuses {[m.role for m in messages]}: {error}") from error


def prompt_key(prompt: Prompt) -> str:
    """Equal for equal prompts."""
    return json.dumps([prompt.messages, prompt.tools])


def _spans(frame: Sequence[str], contents: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Where each content stands in *text*, given the template's *frame* around them.

    All of *text* where the template changed the contents: counting too much as observation only raises imported
    bits, the safe side of the theorem check on them.
    """
    spans, at = [], len(frame[0])
    for content, after in zip(contents, frame[1:], strict=True):
        spans.append((at, at + len(content)))
        at += len(content) + len(after)
    framed = frame[0] + "".join(c + after for c, after in zip(contents, frame[1:], strict=True))
    return spans if framed == text else [(0, len(text))]
