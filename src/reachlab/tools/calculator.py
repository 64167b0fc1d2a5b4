"""``calculator(expression)``: exact arithmetic that no expression can slow down or turn into code.

::

    calculator_tool().invoke({"expression": "(1 + 2) ** 10 / 3"})       # 19683

Python's grammar, read by its own parser and evaluated here: numbers, ``+ - * / // % **``, parentheses, and the names
of ``FUNCTIONS`` and ``CONSTANTS``. Whole and decimal numbers are exact fractions, so ``.1 + .2`` is ``0.3`` and
``1 / 3 * 3`` is ``1``; what a function makes irrational is a double. A whole result shows all its digits, any other 15
significant ones. Limits on length, depth and digits keep every input within about 10 ms; passing one is an error that
names it.

Not covered: variables, comparisons, complex numbers, units.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from fractions import Fraction
from typing import Annotated, Any, NoReturn

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field

Number = int | Fraction | float

MOST_CHARS = 400
MOST_DEPTH = 200
MOST_DIGITS = 1000
"""Of a whole number, a numerator or a denominator."""
SIGNIFICANT = 15
_MOST_BITS = int(MOST_DIGITS * math.log2(10))

_ALLOWED = re.compile(r"[\w\s.+\-*/%(),]*", re.ASCII)
_GLUED = re.compile(r"(?<![A-Za-z_\d])[\d.][\d_.]*(?![eE][+-]?\d)[A-Za-z]")
"""A number that runs into a name: ``2x``, ``0x10``, ``1j``. Python's parser would warn, or read another number."""

_OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def calculator_tool(description: str = "Evaluate an arithmetic expression, e.g. (1 + 2) * sqrt(9) / 4.") -> BaseTool:
    """The tool. It keeps nothing, and its results follow from its arguments."""

    def calculator(
        expression: Annotated[str, Field(description="Numbers, + - * / // % **, parentheses, functions.")],
    ) -> str:
        return calculate(expression)

    return StructuredTool.from_function(calculator, description=description, metadata={"computes": True})


def calculate(expression: str) -> str:
    """The value of *expression* as text. ToolException, with the reason, for anything else."""
    try:
        return shown(_value(_parsed(expression), expression, 0))
    except ZeroDivisionError:
        raise ToolException("division by zero") from None
    except OverflowError:
        raise ToolException("a number is too large for this function") from None


def shown(value: Number) -> str:
    """Whole numbers with all their digits, any other number with 15 significant ones."""
    if isinstance(value, float):
        if not math.isfinite(value):
            _refuse("the result is not a finite number")
        return f"{value:.{SIGNIFICANT}g}"
    if value.denominator == 1:
        return str(value.numerator)
    rounding = Context(prec=SIGNIFICANT)
    rounded = rounding.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(rounding)
    return f"{rounded:f}" if -7 < rounded.adjusted() < SIGNIFICANT else f"{rounded:e}"


def _parsed(expression: str) -> ast.expr:
    if len(expression) > MOST_CHARS:
        _refuse(f"the expression has {len(expression)} characters; at most {MOST_CHARS} are allowed")
    if "^" in expression:
        _refuse("'^' is not known; powers are written **")
    if (end := _ALLOWED.match(expression)) and end.end() < len(expression):
        _refuse(f"{expression[end.end()]!r} is not allowed; use numbers, + - * / // % ** ( ) and functions")
    if glued := _GLUED.search(expression):
        _refuse(f"{glued[0]!r} is neither a number nor a name")
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # too deep for the parser, too
        _refuse("this is no arithmetic expression")


def _value(node: ast.expr, source: str, depth: int) -> Number:
    if depth > MOST_DEPTH:
        _refuse(f"the expression is nested more than {MOST_DEPTH} deep")
    match node:
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return _literal(ast.get_source_segment(source.strip(), node) or str(node.value))
        case ast.Name(id=name):
            return CONSTANTS[name] if name in CONSTANTS else _unknown("constant", name, CONSTANTS)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, source, depth + 1)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, source, depth + 1)
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, _value(left, source, depth + 1), _value(right, source, depth + 1))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _applied(name, [_value(arg, source, depth + 1) for arg in args])
        case ast.Tuple():
            _refuse("a comma stands between arguments of a function only")
    _refuse("only numbers, + - * / // % **, parentheses and functions are allowed")


def _literal(text: str) -> Number:
    number = Decimal(text)
    if number and abs(number.adjusted()) > MOST_DIGITS:
        _refuse(f"a number has more than {MOST_DIGITS} digits")
    return _exact(Fraction(number))


def _binary(op: ast.operator, left: Number, right: Number) -> Number:
    match op:
        case ast.Div():
            exact = not isinstance(left, float) and not isinstance(right, float)
            return _exact(Fraction(left) / Fraction(right) if exact else left / right)
        case ast.Pow():
            return _power(left, right)
        case _ if type(op) in _OPERATORS:
            return _exact(_OPERATORS[type(op)](left, right))
    _refuse("of the operators only + - * / // % ** are allowed")


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, float) or not isinstance(exponent, int):
        return _real(lambda: float(base) ** float(exponent))
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if size > 1 and (size - 1) * abs(exponent) > _MOST_BITS:
        _refuse(f"the power has more than {MOST_DIGITS} digits")
    if abs(exponent) > _MOST_BITS:  # of 0, 1 or -1
        exponent = 2 * (1 if exponent > 0 else -1) + exponent % 2
    return _exact(Fraction(base) ** exponent)


def _applied(name: str, arguments: list[Number]) -> Number:
    if name not in FUNCTIONS:
        return _unknown("function", name, FUNCTIONS)
    function, least, most = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} or more" if most > 2 else f"{least} or {most}"
        _refuse(f"{name} takes {wanted} arguments, got {len(arguments)}")
    return _real(lambda: function(*arguments))


def _real(work: Callable[[], Any]) -> Number:
    try:
        value = work()
    except (ValueError, TypeError):
        _refuse("a function is not defined there")
    if isinstance(value, complex):
        _refuse("the result is not a real number")
    return _exact(value)


def _exact(value: Number) -> Number:
    """A whole number as int; nothing that has grown past the limit."""
    if isinstance(value, float):
        return value
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
        _refuse(f"a number has more than {MOST_DIGITS} digits")
    return value.numerator if value.denominator == 1 else value


def _sqrt(value: Number) -> Number:
    """Exact where the root is a fraction."""
    if not isinstance(value, float) and value >= 0:
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    return math.sqrt(value)


def _log(value: Number, base: Number = math.e) -> float:
    if isinstance(value, Fraction):  # its parts may be beyond what a double holds
        natural = math.log(value.numerator) - math.log(value.denominator)
    else:
        natural = math.log(value)
    return natural if base == math.e else natural / math.log(base)


def _round(value: Number, places: Number = 0) -> Number:
    if not isinstance(places, int) or abs(places) > MOST_DIGITS:
        _refuse(f"round takes a whole number of places, at most {MOST_DIGITS}")
    if places == 0:
        return round(value)
    return round(value, places) if isinstance(value, float) else round(Fraction(value), places)


def _factorial(value: Number) -> int:
    if not isinstance(value, int) or value < 0 or value > 400:
        _refuse("factorial takes a whole number from 0 to 400")
    return math.factorial(value)


_MANY = MOST_CHARS
CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}
FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (abs, 1, 1),
    "min": (lambda *values: min(values), 1, _MANY),
    "max": (lambda *values: max(values), 1, _MANY),
    "round": (_round, 1, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "sqrt": (_sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (_log, 1, 2),
    "log2": (lambda value: math.log2(value) if isinstance(value, int) else _log(value, 2), 1, 1),
    "log10": (lambda value: math.log10(value) if isinstance(value, int) else _log(value, 10), 1, 1),
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "tan": (math.tan, 1, 1),
    "asin": (math.asin, 1, 1),
    "acos": (math.acos, 1, 1),
    "atan": (math.atan, 1, 1),
    "gcd": (math.gcd, 1, _MANY),
    "lcm": (math.lcm, 1, _MANY),
    "factorial": (_factorial, 1, 1),
}
"""Name: function, fewest and most arguments."""


def _unknown(kind: str, name: str, known: Mapping[str, Any]) -> NoReturn:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    _refuse(f"no {kind} {name[:40]!r}." + (f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known)}."))


def _refuse(reason: str) -> NoReturn:
    raise ToolException(reason)
