"""The tiny base's tokenizer: a unigram model in which every piece costs the same, so the fewest tokens win.

Pieces are whole phrases of the families' formats; digits group in pairs from the left; anything else falls back
to characters and bytes, so every text survives a round trip. Reserved tokens leave room for families to come.
"""

from __future__ import annotations

import json
import re

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from reachlab.envs.lexicon import SYLLABLES
from reachlab.envs.program import KINDS

PAD, END = "<|pad|>", "<|end|>"
SPECIAL = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|tools|>")
RESERVED = tuple(f"<|reserved-{i}|>" for i in range(32))
DIGITS = tuple(map(str, range(10)))
PAIRS = tuple(f"{i:02d}" for i in range(100))
CALL = ('<tool_call>{"name": "', '", "arguments": {"', '"}}</tool_call>', '": "', '", "')
LEXICON = (
    "search", 'search", "arguments": {"query": "', "What is ", "'s code? Length: ", "'s friend",
    "'s code", ". Reply with the code only.", "'s code is ", "'s friend is ", "No results.", "Error: ",
)  # fmt: skip
NUMBER = r"\d{1,2}"
"""Digits never share a piece with anything else."""
ASCII = tuple(c for c in map(chr, range(32, 127)) if c not in DIGITS)


def literals(template: str) -> list[str]:
    """The pieces of a format string that are the same in every instance; none holds a digit."""
    return [piece for piece in re.split(rf"\{{\w+\}}|{NUMBER}", template) if piece]


def in_json(text: str) -> str:
    """*text* as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


PROGRAM = (
    "python", 'python", "arguments": {"code": "', "The program prints ", ".\n",
    *(piece for kind in KINDS.values() for text in (kind.question, in_json(kind.program)) for piece in literals(text)),
)  # fmt: skip

SYNTHETIC = (
    # arithmetic
    "calculator", 'calculator", "arguments": {"expression": "', " * ", " + ", " - ", " = ",
    "? Reply with the number only.",
    # rule, hash
    "query", 'query", "arguments": {"number": "', 'query", "arguments": {"word": "', "What does the rule make of ",
    "? Reply with ", "The rule makes ", " of ", "What are the ", " bits of ", "? Reply with the bits only.",
    "The bits of ", " are ",
    # lock
    "probe", 'probe", "arguments": {"setting": "', "A lock has ", " dials, each with positions ", " to ",
    ". Reply with its combination only, such as ", "The combination is ", "right", "wrong", " right", " wrong",
    # countdown
    "check", 'check", "arguments": {"expression": "', "Make ", " from ", ", ", " and ",
    ", each once, with + - * and parentheses. Reply with the expression only.", ", right", " away",
    # maze
    "look move back", 'look", "arguments": {}}</tool_call>', 'back", "arguments": {}}</tool_call>',
    'move", "arguments": {"way": "', "left", "ahead", " left", " ahead", "junction ", "dead end", "exit",
    "A maze has ", " junctions on the way to its exit. At each, one of ", " leads on; the others end blindly. "
    "Reply with the ways to the exit only, such as ", ", right, ahead", "The way out is ",
    # composition
    "search calculator", "'s code plus ", "'s code? Lengths: ", ". Reply with the number only.",
)  # fmt: skip

TEMPLATE = (
    "{%- if tools %}<|tools|>{% for tool in tools %}{{ tool.function.name }}{% if not loop.last %} {% endif %}"
    "{% endfor %}<|end|>{% endif %}"
    "{%- for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{%- if add_generation_prompt %}<|assistant|>{% endif %}"
)


def build() -> PreTrainedTokenizerFast:
    """The tokenizer, from nothing but the lists above."""
    byte_pieces = tuple(f"<0x{i:02X}>" for i in range(256))
    words = (*SPECIAL, *RESERVED, *DIGITS, *PAIRS, *SYLLABLES, *CALL, *LEXICON, *PROGRAM, *SYNTHETIC)
    pieces = dict.fromkeys((*words, "\n", *ASCII, *byte_pieces))
    model = models.Unigram([(piece, -1.0) for piece in pieces], unk_id=0, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(NUMBER), behavior="isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in (*SPECIAL, *RESERVED)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
