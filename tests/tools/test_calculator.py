"""``calculator``: what it computes, how it shows it, and that no input is slow or becomes code."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.tools import ToolException

from reachlab import ToolCall, ToolResult
from reachlab.registry import Spec
from reachlab.tools import ToolExecutor, prepare
from reachlab.tools.calculator import FUNCTIONS, calculate, calculator_tool


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("-2 ** 2", "-4"),
        ("2 ** 3 ** 2", "512"),
        ("7 // 2 + -7 % 3", "5"),
        ("(1 + 2) ** 10 / 3", "19683"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("1 / 3 * 3", "1"),
        (".1 + .2", "0.3"),
        ("1 / 7", "0.142857142857143"),
        ("10 ** 20 / 3", "3.33333333333333e+19"),
        ("1_000 * 1e3", "1000000"),
        ("sqrt(1 / 4) + sqrt(16)", "4.5"),
        ("sqrt(2) ** 2", "2"),
        ("log(10 ** 500) / log(10)", "500"),
        ("log10(1000) + log2(8) + log(e)", "7"),
        ("round(2.567, 2) + floor(-.5) + ceil(.5)", "2.57"),
        ("max(1, 2, min(5, 4)) - abs(-3) + max(1)", "2"),
        ("factorial(20) / gcd(12, 18)", "405483668029440000"),
        ("(-1) ** (10 ** 9 + 1)", "-1"),
        ("sin(pi / 6)", "0.5"),
        ("+".join(["1"] * 150), "150"),
    ],
)
def test_what_it_computes(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 / 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("9 ** 9 ** 9", "more than 1000 digits"),
        ("1e999999999", "more than 1000 digits"),
        ("*".join(["9" * 100] * 3) + "** 10", "more than 1000 digits"),
        ("round(1, 10 ** 9)", "at most 1000"),
        ("factorial(10 ** 6)", "from 0 to 400"),
        ("exp(1000)", "too large"),
        ("sqrt(-1)", "not defined"),
        ("(-8) ** (1 / 3)", "not a real number"),
        ("sqr(2)", "Did you mean 'sqrt'?"),
        ("x + 1", "no constant 'x'. Known: pi, e, tau"),
        ("sqrt(1, 2)", "sqrt takes 1 arguments, got 2"),
        ("2 ^ 3", "powers are written **"),
        ("1,000 + 1", "comma"),
        ("2x", "'2x' is neither a number nor a name"),
        ("1if 1else 2", "neither"),
        ("0x10", "neither"),
        ("", "no arithmetic expression"),
        ("1 +", "no arithmetic expression"),
        ("(" * 200 + "1" + ")" * 199, "no arithmetic"),
        ("-" * 399 + "1", "nested"),
        ("1" * 401, "at most 400"),
        ("__import__('os').system('true')", "not allowed"),
        ("sqrt.__class__", "only numbers"),
        ("1 if 1 else 2", "only numbers"),
        ("True + 1", "only numbers"),
        ("max(*sqrt)", "only numbers"),
        ("1 + ٣", "not allowed"),
    ],
)
def test_anything_else_is_the_policys_error_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(ToolException) as refused:
        calculate(expression)
    assert reason in str(refused.value)


WORST = [
    "/".join(["1" * 9, "7" * 9] * 20),
    "+".join(f"1/{10**8 + i}" for i in range(33)),
    "+".join(["(1/7)**1000"] * 33),
    "*".join(["gcd(10**999,7**1000)"] * 18),
    "+".join(["(3/7)**1000%(2/5)**900"] * 16),
    "**".join(["2"] * 130),
    "lcm(" + ",".join(f"{p}**330" for p in (2, 3, 5, 7, 11, 13, 17, 19)) + ")",
    "+".join(["factorial(399)"] * 26),
]


@pytest.mark.parametrize("expression", WORST)
def test_no_expression_takes_long(expression: str) -> None:
    """10 ms is the promise; three times that here, best of three, since the machine is shared."""

    def seconds() -> float:
        begun = time.perf_counter()
        with contextlib.suppress(ToolException):
            calculate(expression)
        return time.perf_counter() - begun

    assert len(expression) <= 400
    assert min(seconds() for _ in range(3)) < 0.03


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789.e+-*/%(), _xsqrtloabinmfcg", max_size=60))
def test_any_text_is_a_value_or_a_reason(expression: str) -> None:
    try:
        assert calculate(expression)
    except ToolException as refused:
        assert str(refused)


@given(st.integers(-(10**40), 10**40), st.integers(-(10**40), 10**40))
def test_whole_numbers_are_exact(a: int, b: int) -> None:
    assert calculate(f"{a} * ({b}) - ({b})") == str(a * b - b)


def test_it_is_a_tool_that_computes() -> None:
    tool = Spec("reachlab.tools.calculator:calculator_tool").build("tools")
    prepared = prepare(tool)
    assert prepared.computes and not prepared.stateful and prepared.direct
    results = ToolExecutor([tool]).execute([ToolCall("calculator", {"expression": e}) for e in ("6 * 7", "6 *")])
    assert results == [ToolResult("42"), ToolResult("Error: this is no arithmetic expression", is_error=True)]
    assert calculator_tool(description="Compute.").description == "Compute."


def test_every_function_answers_for_a_number_it_is_defined_for() -> None:
    for name, (_, least, _most) in FUNCTIONS.items():
        assert float(calculate(f"{name}({', '.join(['1'] * least)})")) is not None
