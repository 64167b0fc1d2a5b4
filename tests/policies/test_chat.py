"""Templates: what may follow a turn, and templates that rewrite the past."""

from __future__ import annotations

import pytest

from reachlab import Message, Prompt, TokenKind, ToolResult
from reachlab.errors import TemplateError
from reachlab.policies.chat import ChatTemplate
from reachlab.policies.huggingface import HuggingFacePolicy

from .conftest import QWEN_STYLE, qwen_tokenizer


def kinds_by_text(template: ChatTemplate, results: tuple[ToolResult, ...]) -> list[tuple[str, TokenKind]]:
    suffix = template.suffix(results)
    return [(template.decode([i]), TokenKind(k)) for i, k in zip(suffix.ids, suffix.kinds, strict=True)]


def test_a_suffix_is_what_the_template_adds(qwen: HuggingFacePolicy) -> None:
    text = qwen.template.decode(qwen.template.suffix((ToolResult("one"), ToolResult("two"))).ids)
    assert text == (
        "\n<|im_start|>user\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("name", ["base", "qwen"])
def test_contents_and_the_token_that_ends_them_are_observation(name: str, request: pytest.FixtureRequest) -> None:
    policy: HuggingFacePolicy = request.getfixturevalue(name)
    kinds = kinds_by_text(policy.template, (ToolResult("rami's code is 12."),))
    observed = "".join(text for text, kind in kinds if kind == TokenKind.OBSERVATION)
    assert observed.startswith("rami's code is 12.") and len(observed) > len("rami's code is 12.")
    assert {kind for _, kind in kinds} == {TokenKind.OBSERVATION, TokenKind.TEMPLATE}


def test_an_empty_result_still_has_an_end(base: HuggingFacePolicy) -> None:
    kinds = kinds_by_text(base.template, (ToolResult(""),))
    assert [text for text, kind in kinds if kind == TokenKind.OBSERVATION] == ["<|end|>"]


def test_demonstrations_are_tokenised_like_episodes(base: HuggingFacePolicy) -> None:
    prompt = Prompt((Message("user", "What is rami's code? Length: 2. Reply with the code only."),))
    t = base.template.transcript(prompt, ["<tool_call>x", "12"], [[ToolResult("rami's code is 12.")]])
    said = base.template.decode(t.ids[t.kinds == TokenKind.POLICY].tolist())
    assert said == "<tool_call>x<|end|>12<|end|>"
    assert base.template.decode(t.ids.tolist()).endswith("<|tool|>rami's code is 12.<|end|><|assistant|>12<|end|>")


DROPS_PAST = QWEN_STYLE.replace("{{ message.content }}<|im_end|>", "{{ message.content | upper }}<|im_end|>")
ENDS_DIFFERENTLY = QWEN_STYLE.replace("{{ message.content }}<|im_end|>", "{{ message.content }}<|endoftext|>")


@pytest.mark.parametrize(
    ("template", "said"),
    [(DROPS_PAST, "does not preserve its prefix"), (ENDS_DIFFERENTLY, "ends a turn with"), ("", "no chat template")],
)
def test_a_template_that_rewrites_the_past_is_refused(template: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        ChatTemplate(qwen_tokenizer(template)).suffix((ToolResult("x"),))


IGNORES_TOOLS = QWEN_STYLE.replace("{%- if tools %}", "{%- if false %}")
SKIPS_RESULTS = QWEN_STYLE.replace('{{- "\\n<tool_response>\\n" + message.content + "\\n</tool_response>" }}', "")
TOOL = "{%- if message.role == 'tool' %}"
RAISES = QWEN_STYLE.replace(TOOL, TOOL + "{{ raise_exception('no') }}")


@pytest.mark.parametrize(
    ("template", "said"),
    [(IGNORES_TOOLS, "ignores tools"), (SKIPS_RESULTS, "leaves out the tool's results"), (RAISES, "refuses .*tool")],
)
def test_a_template_that_cannot_carry_tools_is_said_at_once(template: str, said: str) -> None:
    prompt = Prompt((Message("user", "q"),), ({"type": "function", "function": {"name": "search"}},))
    with pytest.raises(TemplateError, match=said):
        ChatTemplate(qwen_tokenizer(template)).check(prompt)
    ChatTemplate(qwen_tokenizer()).check(prompt)


def test_observations_reach_up_to_the_token_that_an_imagined_one_stops_at(qwen: HuggingFacePolicy) -> None:
    kinds = kinds_by_text(qwen.template, (ToolResult("one"), ToolResult("two")))
    observed = "".join(text for text, kind in kinds if kind == TokenKind.OBSERVATION)
    assert observed == "one\n</tool_response>two\n</tool_response>"
    assert qwen.template.decode([qwen.template.observation_stop]) == "</tool_response>"
