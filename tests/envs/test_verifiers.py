"""What each verifier accepts, what it refuses, and that its ``exact`` flag is true."""

from typing import Any

import pytest

from reachlab import Verifier
from reachlab.envs.verifiers import KINDS, VERIFIERS, Last, Numeric, Regex, TokenF1, normalise, verifier
from reachlab.errors import BadValue, ToolFault, UnknownName


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Eiffel-Tower!", "eiffeltower"),
        ("  an apple,\n a pear ", "apple pear"),
        ("A.", ""),
        ("theatre", "theatre"),
        ("$5 + 5 = 10", "5 5 10"),
    ],
)
def test_text_is_normalised_as_squad_does(text: str, plain: str) -> None:
    assert normalise(text) == plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "cafe\u0301"),
        ("\ufb01ne", "fine"),
        ("\uff21\uff22", "AB"),
        ("Stra\u00dfe", "STRASSE"),
        ("\u201cParis\u201d\u2026", "paris"),
        ("don\u2019t", "don't"),
        ("\u5317\u4eac\u3002", "\u5317\u4eac"),
        ("a\u00a0big\u00a0dog", "big dog"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_what_looks_the_same_beyond_ascii_is_the_same(one: str, other: str) -> None:
    assert normalise(one) == normalise(other) != ""


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
        ("numeric", "5 cm2", ("5 cm2",), 1.0),
        ("numeric", "2", ("5 cm2",), 0.0),
        ("numeric", "H2O at 5 %", ("5",), 1.0),
        ("numeric", "1_000", ("1000",), 1.0),
        ("numeric", "0", ("1_000",), 0.0),
        ("numeric", "1\u202f234\u202f567,5", ("5",), 1.0),
        ("numeric", "EUR 1\u202f234", ("1234",), 1.0),
        ("numeric", "CHF 1'234.50", ("1234.5",), 1.0),
        ("numeric", "1,2345", ("1",), 0.0),
        ("numeric", "\uff11\uff12", ("12",), 1.0),
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


@pytest.mark.parametrize("judge", [Regex("^(a|b|ab)*c$"), Last("^(?:a|b|ab)*c$")])
def test_a_pattern_that_backtracks_without_end_is_stopped_and_named(
    judge: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reachlab.envs.verifiers.MATCH_SECONDS", 0.1)
    with pytest.raises(ToolFault, match="nested repeats backtrack"):
        judge("ab" * 40 + "cc", ("c",))


def test_a_threshold_makes_a_success_of_what_is_near_enough() -> None:
    answers = ("Paris",)
    assert TokenF1()("London Rome Paris", answers) == 0.5  # which counts as a success
    strict = TokenF1(threshold=0.6)
    assert (strict("London Rome Paris", answers), strict("old Paris", answers)) == (0.0, 1.0)


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
        ({"name": "last", "options": {"pattern": "["}}, "a regular expression"),
        ({"name": "regex", "options": {"pattern": 3}}, "a regular expression"),
        ({"name": "token-f1", "options": {"threshold": 1.5}}, "above 0, at most 1"),
        ({"name": "numeric", "options": {"absolute": -1}}, "absolute tolerance: got -1"),
        ({"kind": "numeric"}, "a short name or"),
    ],
)
def test_bad_specs_say_what_is_allowed(spec: Any, says: str) -> None:
    with pytest.raises((BadValue, UnknownName), match=says):
        verifier(spec)
