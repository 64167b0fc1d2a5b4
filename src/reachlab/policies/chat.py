"""Chat templates by difference: what follows a sampled turn is rendered once per step, and ids are only appended.

The assistant's turns stay raw text. A template that rewrites what was already said (drops thinking, moves calls,
merges tool results with earlier messages) cannot be used append-only and raises ``TemplateError`` saying so.
What stands in a message is text: a special token's name in a question or a tool result is read as its letters, so
that no result can end a turn or begin another one.
Not covered: templates that need parsed ``tool_calls``; names of special tokens in the schemas of tools.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
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


class Encoded(NamedTuple):
    """Tokens of a text, with the characters that each of them covers."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class ChatTemplate:
    """Renders prompts and suffixes with a tokenizer's own template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise TemplateError(
                "the tokenizer has no chat template: use the checkpoint's chat or instruct version, put a "
                "chat_template.jinja beside its weights, or set tokenizer.chat_template"
            )
        if tokenizer.eos_token is None:
            raise TemplateError("the tokenizer has no end-of-sequence token; set tokenizer.eos_token to a turn's end")
        self.tokenizer = tokenizer
        self.suffix = lru_cache(maxsize=65536)(self._suffix)
        self.imagined_prefix = lru_cache(maxsize=65536)(self._imagined_prefix)
        self._frame = lru_cache(maxsize=64)(self._frame_of)

    def prompt_text(self, prompt: Prompt) -> str:
        return self._render(prompt.messages, prompt.tools)

    def prompt_ids(self, prompt: Prompt) -> list[int]:
        contents = [m.content for m in prompt.messages]
        if not any(map(self._markers.search, contents)):
            ids: list[int] = self.tokenizer.encode(self.prompt_text(prompt), add_special_tokens=False)
            return ids

        def render(said: Sequence[str]) -> str:
            return self._render([Message(m.role, c) for m, c in zip(prompt.messages, said, strict=True)], prompt.tools)

        return self._framed(render, render([WRITTEN] * len(contents)).split(WRITTEN), contents)[0].ids

    def _suffix(self, results: tuple[ToolResult, ...]) -> Suffix:
        """What follows the end-of-sequence token of a turn whose calls returned *results*."""
        contents = [r.text for r in results]
        encoded, spans = self._framed(self._after_turn, self._frame(len(contents)), contents)
        return Suffix(tuple(encoded.ids), self._kinds(encoded.ids, encoded.offsets, spans))

    def _frame_of(self, count: int) -> list[str]:
        """What the template writes around *count* results: count + 1 parts."""
        frame = self._after_turn([WRITTEN] * count).split(WRITTEN)
        if len(frame) != count + 1:
            raise TemplateError("the chat template leaves out the tool's results; use one that renders the role 'tool'")
        return frame

    def _framed(
        self, render: Callable[[Sequence[str]], str], frame: Sequence[str], contents: Sequence[str]
    ) -> tuple[Encoded, list[tuple[int, int]]]:
        """What *render* makes of *contents*, as tokens, and where each content stands; names of tokens stay letters."""
        text, forged = render(contents), any(map(self._markers.search, contents))
        spans = _spans(frame, contents, text)
        if forged and not spans:  # the template changed the contents: where they stand is not known
            text = render([" ".join(_pieces(c, self._cuts(c))) for c in contents])
        return self._encode(text, spans if forged else ()), spans or [(0, len(text))]

    def _encode(self, text: str, contents: Sequence[tuple[int, int]] = ()) -> Encoded:
        """Tokens of *text*. Names of tokens within *contents* are cut after their first letter: no token fits them."""
        inside = {cut for cut in self._cuts(text) if any(begin < cut <= end for begin, end in contents)}
        encoded, begin = Encoded([], []), 0
        for piece in _pieces(text, inside):
            part = self.tokenizer(piece, add_special_tokens=False, return_offsets_mapping=True)
            encoded.ids.extend(part["input_ids"])
            encoded.offsets.extend((begin + first, begin + last) for first, last in part["offset_mapping"])
            begin += len(piece)
        return encoded

    def _cuts(self, text: str) -> set[int]:
        return {match.start() + 1 for match in self._markers.finditer(text)}

    @cached_property
    def _markers(self) -> re.Pattern[str]:
        """Where a special token's name begins, or that of a token which the template puts around tool results."""
        try:
            frame = "".join(self._frame(1))
        except TemplateError:  # closed-book prompts are all that such a template carries
            frame = ""
        added = self.tokenizer.added_tokens_decoder.values()
        names = {t.content for t in added if (t.special or t.content in frame) and len(t.content.strip()) > 1}
        return re.compile(f"(?={'|'.join(sorted(map(re.escape, names)))})" if names else "(?!)")

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

        def render(said: Sequence[str]) -> str:
            text = self._after_turn([*said, WRITTEN])
            return text[: text.rindex(WRITTEN)]

        frame = self._frame(len(results) + 1)[:-1]
        return tuple(self._framed(render, frame, [r.text for r in results])[0].ids)

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
        ids = self.tokenizer.encode(self._frame(1)[1], add_special_tokens=False)
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
            raise TemplateError(
                f"the chat template ends a turn with {tail[:20]!r}, not with the tokenizer's {end!r}: "
                "set tokenizer.eos_token to what the template writes"
            )
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


def _pieces(text: str, cuts: Collection[int]) -> list[str]:
    ends = [0, *sorted(cuts), len(text)]
    return [text[begin:end] for begin, end in pairwise(ends)]


def _spans(frame: Sequence[str], contents: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Where each content stands in *text*, given the template's *frame* around them; many templates strip them.

    Empty where the template changed them otherwise. All of *text* is then taken for observation: counting too much
    only raises imported bits, the safe side of the theorem check on them.
    """
    if len(frame) != len(contents) + 1:
        return []
    for said in (contents, [c.strip() for c in contents]):
        if text == frame[0] + "".join(c + after for c, after in zip(said, frame[1:], strict=True)):
            ends = list(accumulate(map(len, (part for pair in zip(frame, [*said, ""], strict=True) for part in pair))))
            return list(pairwise(ends))[: 2 * len(said) : 2]
    return []
