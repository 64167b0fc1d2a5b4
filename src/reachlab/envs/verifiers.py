"""Verifiers: how the text of the final turn becomes a reward in [0, 1].

::

    verifier("normalised")                                          # a short name of VERIFIERS
    verifier({"name": "numeric", "options": {"relative": 1e-3}})    # or a kind of KINDS with its options

Only ``Exact`` may be enumerated for p0: the others accept texts beyond the listed answers (capitals, articles, words
around the answer), so enumeration would be a lower bound, and a lower bound on p0 fakes creation.

Not covered: rewards for anything but the final answer; judges that are models.
"""

from __future__ import annotations

import inspect
import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from reachlab import Verifier
from reachlab.errors import BadValue, UnknownName


@dataclass(frozen=True, slots=True)
class Exact:
    """1 if the whole text is an accepted answer, to the character. Closed-book p0 can be enumerated."""

    exact: bool = True

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        return float(text in answers)


@dataclass(frozen=True, slots=True)
class Last:
    """1 if the last match of *pattern* is an accepted answer: for models that think or talk before they answer.

    Enumerating the answers then gives a lower bound on p0 only, so p0 is sampled.
    """

    pattern: str
    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        found = re.findall(self.pattern, text)
        return float(bool(found) and found[-1] in answers)


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SIGN = r"(?:(?<![\w)])[-+−])?"  # in 2-4 it is no sign
_NUMBER = re.compile(_SIGN + r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|\.\d+)")


def normalise(text: str) -> str:
    """As SQuAD compares answers: lower case, no punctuation, no articles, single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


@dataclass(frozen=True, slots=True)
class Normalised:
    """SQuAD's exact match: 1 if the whole text equals an accepted answer after ``normalise``."""

    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        said = normalise(text)
        return float(any(said == normalise(answer) for answer in answers))


@dataclass(frozen=True, slots=True)
class TokenF1:
    """SQuAD's token F1 against the nearest accepted answer: partial credit, in [0, 1]."""

    exact: bool = False

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        said = normalise(text).split()
        return max((_f1(said, normalise(answer).split()) for answer in answers), default=0.0)


@dataclass(frozen=True, slots=True)
class Numeric:
    """1 if the last number of the text is the last number of an accepted answer, within either tolerance.

    Thousands separators, decimals and exponents are read; units and words around the number are not compared. Not read:
    fractions (1/2 is a 2), numbers in words.
    """

    absolute: float = 1e-9
    relative: float = 0.0
    exact: bool = False

    def __post_init__(self) -> None:
        for name in ("absolute", "relative"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise BadValue(f"{name} tolerance", getattr(self, name), "a finite number, >= 0")

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        said = last_number(text)
        return float(said is not None and any(self._close(said, last_number(answer)) for answer in answers))

    def _close(self, said: Decimal, gold: Decimal | None) -> bool:
        if gold is None:
            return False
        return abs(said - gold) <= max(Decimal(self.absolute), Decimal(self.relative) * abs(gold))


@dataclass(frozen=True, slots=True)
class Regex:
    """1 if what *pattern* finds last in the text is an accepted answer: its only group, or the whole match.

    ``(?:####\\s*)?(\\S+)\\s*$`` reads the answer from the end of a longer reply, and accepts a bare answer too.
    Patterns are the harness's own, and are run on the last ``reach`` characters only.
    """

    pattern: str
    ignore_case: bool = False
    reach: int = 2000
    exact: bool = False

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise BadValue("pattern", self.pattern, f"a regular expression ({error})") from error
        if groups > 1:
            raise BadValue("pattern", self.pattern, "at most one capturing group; write (?:...) for the others")
        if self.reach < 1:
            raise BadValue("reach", self.reach, ">= 1")

    def __call__(self, text: str, answers: Sequence[str]) -> float:
        found = re.findall(self.pattern, text[-self.reach :], re.IGNORECASE if self.ignore_case else 0)
        if not found:
            return 0.0
        fold = str.casefold if self.ignore_case else str
        return float(fold(found[-1]) in {fold(answer) for answer in answers})


def last_number(text: str) -> Decimal | None:
    """The last number that *text* holds. Decimal: no huge integer is ever expanded, whatever was written."""
    found = _NUMBER.findall(text)
    return Decimal(found[-1].replace(",", "").replace("−", "-")) if found else None


def _f1(said: Sequence[str], gold: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold)) if common else 0.0


KINDS: dict[str, Callable[..., Verifier]] = {
    "exact": Exact,
    "last": Last,
    "normalised": Normalised,
    "numeric": Numeric,
    "regex": Regex,
    "token-f1": TokenF1,
}
"""What can be built with options."""

VERIFIERS: dict[str, Verifier] = {
    "exact": Exact(),
    "last-number": Last(r"\d+"),
    "last-word": Last(r"\w+"),
    "normalised": Normalised(),
    "numeric": Numeric(),
    "token-f1": TokenF1(),
}
"""What needs no options, by short name."""


def verifier(spec: str | Mapping[str, Any]) -> Verifier:
    """The verifier that *spec* describes: a short name, or ``{"name": kind, "options": {...}}``."""
    if isinstance(spec, str):
        if spec not in VERIFIERS:
            raise UnknownName("verifier", spec, VERIFIERS, "With options: {'name': kind, 'options': {...}}.")
        return VERIFIERS[spec]
    if not isinstance(spec, Mapping) or not set(spec) <= {"name", "options"} or "name" not in spec:
        raise BadValue("verifier", spec, 'a short name or {"name": kind, "options": {...}}')
    name, options = spec["name"], dict(spec.get("options", {}))
    if name not in KINDS:
        return _plain(name, options)
    known = [option for option in inspect.signature(KINDS[name]).parameters if option != "exact"]
    for option in options:  # exact is the verifier's own statement, never an option
        if option not in known:
            raise UnknownName(f"option of verifier {name!r}", option, known)
    try:
        return KINDS[name](**options)
    except TypeError as error:
        raise BadValue(f"options of verifier {name!r}", options, ", ".join(known) or "none") from error


def _plain(name: str, options: Mapping[str, Any]) -> Verifier:
    if name not in VERIFIERS or options:
        raise UnknownName("verifier", name, KINDS)
    return VERIFIERS[name]
