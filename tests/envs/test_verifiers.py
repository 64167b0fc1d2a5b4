"""What each verifier accepts, what it refuses, and that its ``exact`` flag is true."""

from typing import Any

import pytest

from reachlab import Verifier
from reachlab.envs.verifiers import KINDS, VERIFIERS, Numeric, Regex, TokenF1, normalise, verifier
from reachlab.errors import BadValue, UnknownName


@pytest.mark.parametrize(
    ("text", "plain"),
    [("The Eiffel-Tower!", "eiffeltower"), ("  an apple,\n a pear ", "apple pear"), ("A.", ""), ("theatre", "theatre")],
)
def test_text_is_normalised_as_squad_does(text: str, plain: str) -> None:
    assert normalise(text) == plain


@pytest.mark.parametrize(
    ("kind", "text", "answers", "reward"),
    [
        ("normalised", "the Paris.", ("paris",), 1.0),
        ("normalised", "Paris, France", ("Paris",), 0.0),
        ("token-f1", "Paris, France", ("Paris",), 2 / 3),
        ("token-f1", "Paris Paris", ("Paris",), 2 / 3),
        ("token-f1", "France", ("Paris", "in France"), 2 / 3),
        ("token-f1", "", ("Paris",), 0.0),
        ("numeric", "so it is 1,234.50 euros", ("1234.5",), 1.0),
        ("numeric", "first 7, then 8", ("7",), 0.0),
        ("numeric", "-3", ("3",), 0.0),
        ("numeric", "between 2-4", ("4",), 1.0),
        ("numeric", "it is \u22125", ("-5",), 1.0),
        ("numeric", "x = -5.", ("-5",), 1.0),
        ("numeric", "1.2e3", ("1200",), 1.0),
        ("numeric", ".5", ("0.5",), 1.0),
        ("numeric", "none", ("0",), 0.0),
        ("numeric", "9e999", ("5",), 0.0),
        ("numeric", "9" * 100_000, ("5",), 0.0),
    ],
)
def test_rewards(kind: str, text: str, answers: tuple[str, ...], reward: float) -> None:
    assert verifier(kind)(text, answers) == pytest.approx(reward)


def test_the_tolerances_of_numbers() -> None:
    assert Numeric(absolute=0.5)("3.4", ("3",)) == 1 and Numeric(absolute=0.5)("3.6", ("3",)) == 0
    assert Numeric(relative=0.01)("101", ("100",)) == 1 and Numeric(relative=0.01)("102", ("100",)) == 0


def test_a_pattern_reads_the_answer_from_a_longer_reply() -> None:
    read = Regex(r"(?:####\s*)?(\S+)\s*$")
    assert read("6 times 12. #### 72", ("72",)) == 1 and read("72", ("72",)) == 1
    assert read("72 #### 71", ("72",)) == 0 and read("", ("72",)) == 0
    assert Regex("yes|no", ignore_case=True)("NO, wait: Yes", ("yes",)) == 1


@pytest.mark.parametrize("name", VERIFIERS)
def test_only_a_verifier_that_accepts_nothing_but_the_answers_says_exact(name: str) -> None:
    judge: Verifier = VERIFIERS[name]
    beyond = [judge(text, ("7",)) for text in (" 7", "7.", "7 ", "so 7", "The 7")]
    assert judge("7", ("7",)) == 1
    assert judge.exact == (max(beyond) == 0)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("last", "regex")])
def test_rewards_stay_between_0_and_1(kind: str) -> None:
    for text in ("", "a", "7 7 7", "\ud800", "é" * 5000):
        assert 0 <= verifier(kind)(text, ("7", "a 7")) <= 1


def test_a_verifier_with_options_is_built_from_plain_data() -> None:
    assert verifier({"name": "numeric", "options": {"relative": 0.1}}) == Numeric(relative=0.1)
    assert verifier({"name": "token-f1"}) == TokenF1() and verifier({"name": "last-number"}) is VERIFIERS["last-number"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("normalized", "Did you mean 'normalised'"),
        ({"name": "numerik"}, "Did you mean 'numeric'"),
        ({"name": "numeric", "options": {"relativ": 1}}, "Did you mean 'relative'"),
        ({"name": "token-f1", "options": {"exact": True}}, "unknown option"),
        ({"name": "regex"}, "options of verifier 'regex'"),
        ({"name": "regex", "options": {"pattern": "("}}, "a regular expression"),
        ({"name": "regex", "options": {"pattern": "(a)(b)"}}, "at most one capturing group"),
        ({"name": "numeric", "options": {"absolute": -1}}, "absolute tolerance: got -1"),
        ({"kind": "numeric"}, "a short name or"),
    ],
)
def test_bad_specs_say_what_is_allowed(spec: Any, says: str) -> None:
    with pytest.raises((BadValue, UnknownName), match=says):
        verifier(spec)
