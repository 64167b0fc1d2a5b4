"""Reciprocal rank fusion against the formula; coverage against counting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from reachlab.errors import BadValue
from reachlab.tools.retrieval import Bm25, Hit, Hybrid, coverage, fuse
from reachlab.tools.retrieval.coverage import answer_ranks, answerable, occurs


def ranking(ids: str) -> list[Hit]:
    return [Hit(i, f"text {i}", 1 / rank) for rank, i in enumerate(ids, 1)]


class Fixed:
    """Finds *ids* for every query; texts only if *plain*."""

    def __init__(self, ids: str) -> None:
        self._ids = ids
        self.asked: list[int] = []

    def retrieve(self, query: str, k: int) -> list[str]:
        self.asked.append(k)
        return [h.text for h in ranking(self._ids)[:k]]


def test_fusion_is_the_sum_of_reciprocal_ranks() -> None:
    fused = fuse([ranking("abc"), ranking("cad")])
    expected = {"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61, "d": 1 / 63}
    assert {h.id: h.score for h in fused} == pytest.approx(expected)
    assert [h.id for h in fused] == ["a", "c", "b", "d"] and fused[0].text == "text a"


def test_what_two_rank_well_beats_what_one_ranks_best() -> None:
    assert [h.id for h in fuse([ranking("abx"), ranking("cbd"), ranking("ebf")])][0] == "b"
    assert [h.id for h in fuse([ranking("ab"), ranking("ba")])] == ["a", "b"]  # a tie: the first retriever's order
    assert [h.id for h in fuse([ranking("axxxx"[:1]), ranking("b")], constant=0)] == ["a", "b"]
    assert fuse([]) == fuse([[], []]) == []


def test_a_document_that_one_ranking_repeats_counts_once() -> None:
    assert {h.id: h.score for h in fuse([ranking("abab")])} == pytest.approx({"a": 1 / 61, "b": 1 / 62})


def test_retrievers_without_ids_are_fused_by_text_and_asked_deep() -> None:
    parts = Fixed("abc"), Fixed("cab")
    assert Hybrid(parts).retrieve("q", 2) == ["text a", "text c"]
    Hybrid(parts, depth=5).retrieve("q", 7)
    assert parts[0].asked == [100, 7]


def test_options_are_checked() -> None:
    one = [Fixed("a")]
    with pytest.raises(BadValue, match="retrievers: got"):
        Hybrid([])
    with pytest.raises(BadValue, match="constant of the fusion: got"):
        Hybrid(one, constant=-1)
    with pytest.raises(BadValue, match="constant of the fusion: got"):
        Hybrid(one, constant=float("inf"))
    with pytest.raises(BadValue, match="k: got"):
        Hybrid(one, depth=0)


def test_coverage_is_the_share_with_its_exact_interval() -> None:
    index = Bm25([f"the code of name{i} is c{i}" for i in range(20)])
    questions = [f"code of name{i}" for i in range(20)]
    found = coverage(index, questions, [f"c{i}" if i % 4 else ["nothing", "never"] for i in range(20)], k=1)
    assert (found.found, found.questions, found.missed) == (15, 20, (0, 4, 8, 12, 16))
    assert (found.low, found.high) == pytest.approx((beta.ppf(0.025, 15, 6), beta.ppf(0.975, 16, 5)))
    assert str(found) == "15/20 = 0.750 [0.509, 0.913]"
    assert coverage(index, questions, [["x", f"c{i}"] for i in range(20)], k=1).share == 1
    assert coverage(index, ["zebra"], ["c1"]).share == 0


def test_a_larger_k_covers_no_less() -> None:
    index = Bm25(["red fox", "red bear", "red newt"])
    shares = [coverage(index, ["red"] * 3, ["fox", "bear", "newt"], k).found for k in (1, 2, 3)]
    assert shares == [1, 2, 3]


@pytest.mark.parametrize(
    ("answer", "text", "there"),
    [("Art", "a party", False), ("art", "modern ART.", True), ("New York", "in new-york city", True), ("", "x", False),
     ("York New", "new york", False), ("1.5", "it is 1.5 m", True), ("C++", "C++ code", True), ("+", "a + b", True),
     ("+", "a b", False), ("ﬁne", "fine", True), ("42", "142", False)],
)  # fmt: skip
def test_answers_occur_as_whole_words(answer: str, text: str, there: bool) -> None:
    assert occurs(answer, text) is there


def test_questions_need_answers() -> None:
    for questions, answers in (([], []), (["q"], []), (["q"], ["a", "b"])):
        with pytest.raises(BadValue, match="questions and answers"):
            coverage(Bm25(["x"]), questions, answers)


def test_the_rank_is_that_of_the_first_passage_with_an_answer() -> None:
    index = Bm25(["red fox", "red bear", "red newt"])
    assert answer_ranks(index, ["red"] * 4, ["newt", ["bear", "newt"], "owl", "fox"], 3) == [3, 2, None, 1]
    assert answer_ranks(index, ["red"], ["newt"], 2) == [None]


texts = st.lists(st.text("ab .+Éé", max_size=12), max_size=4)


@given(texts, st.lists(st.lists(st.text("ab .+É", max_size=5), max_size=2), max_size=4))
def test_one_pass_over_the_corpus_finds_what_looking_into_every_text_finds(
    corpus: list[str], answers: list[list[str]]
) -> None:
    slowly = [any(occurs(answer, text) for text in corpus for answer in accepted) for accepted in answers]
    assert answerable(corpus, answers) == slowly
