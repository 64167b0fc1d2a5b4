"""The call format: what is rendered is read back, and nothing a policy writes makes it raise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reachlab.tools import Hermes

hermes = Hermes()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
)


@given(st.text(), st.dictionaries(st.text(), json_values))
def test_what_is_rendered_is_read_back(name: str, arguments: dict[str, object]) -> None:
    text = hermes.render(name, arguments)
    if "<tool_call>" in text[len("<tool_call>") :] or text.count("</tool_call>") != 1:
        return  # an argument that contains the tags themselves cannot be told from a call
    (call,) = hermes.parse(f"before {text} after")
    assert (call.name, dict(call.arguments), call.problem) == (name, arguments, "")


@given(st.text() | st.text(alphabet='<tool_ca>/{}":,\\nme argus[]0'))
def test_parse_never_raises(text: str) -> None:
    for source in (text, f"<tool_call>{text}", f"<tool_call>{text}</tool_call>"):
        assert len(hermes.parse(source)) == len(hermes.spans(source))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('<tool_call>{"name": "a"', "not closed"),
        ("<tool_call>search(x)</tool_call>", "not valid JSON"),
        ("<tool_call>[1]</tool_call>", "must be a JSON object"),
        ('<tool_call>{"arguments": {}}</tool_call>', '"name"'),
        ('<tool_call>{"name": "a", "arguments": "x"}</tool_call>', "must be a JSON object"),
        ("<tool_call>" + "[" * 100_000 + "</tool_call>", "not valid JSON"),
    ],
)
def test_a_malformed_call_says_what_is_wrong(text: str, says: str) -> None:
    (call,) = hermes.parse(text)
    assert says in call.problem


def test_several_calls_keep_their_order() -> None:
    text = "".join(hermes.render(name, {}) for name in "cab") + "<tool_call>{"
    assert [call.name for call in hermes.parse(text)] == ["c", "a", "b", ""]
