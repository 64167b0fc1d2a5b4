"""Exact p0: every tokenisation, up to the end-of-sequence token, against brute force and against sampling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from reachlab import Message, Prompt
from reachlab.errors import BadValue
from reachlab.policies import enumeration
from reachlab.policies.huggingface import HuggingFacePolicy

PROMPT = Prompt((Message("user", "What is rami's code? Length: 3. Reply with the code only."),))


def test_all_tokenisations_of_digits(base: HuggingFacePolicy) -> None:
    """Single digits have two tokens each (piece and byte), pairs one: f(n) = 2 f(n-1) + f(n-2)."""
    ways = [len(set(base.tokenisations.of("482915"[:n]))) for n in range(1, 7)]
    assert ways == [2, 5, 12, 29, 70, 169]
    assert all(base.template.decode(w) == "482" for w in base.tokenisations.of("482"))


def test_too_many_tokenisations_are_refused(base: HuggingFacePolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enumeration, "MOST_SEQUENCES", 10)
    with pytest.raises(BadValue, match="let p0 be sampled"):
        base.tokenisations.of("482915")


@pytest.mark.parametrize("name", ["base", "qwen"])
def test_exact_success_is_the_sum_over_all_short_sequences(name: str, request: pytest.FixtureRequest) -> None:
    """Brute force: of all sequences of at most two tokens and an end, those that decode to the answer."""
    policy: HuggingFacePolicy = request.getfixturevalue(name)
    prompt = policy.template.prompt_ids(PROMPT)
    stops = sorted(policy.stop_ids)
    texts = [policy.template.decode([i]) for i in range(len(policy.tokenizer))]
    small = [i for i, text in enumerate(texts) if text in {"4", "8", "48", "�"}][:64]
    total = 0.0
    with torch.inference_mode():
        for n in (1, 2):
            for way in itertools.product(small, repeat=n):
                if policy.template.decode(way) != "48":
                    continue
                logits = policy.model(torch.tensor([[*prompt, *way]])).logits[0].double()
                logprobs = torch.log_softmax(logits, -1)[len(prompt) - 1 :]
                path = sum(float(logprobs[i, token]) for i, token in enumerate(way))
                total += float(np.exp(path)) * float(logprobs[len(way), stops].exp().sum())
    exact = policy.exact_success([PROMPT], [["48"]], 24)[0]
    assert total > 0
    assert exact == pytest.approx(total, rel=1e-4)


def test_answers_longer_than_the_budget_do_not_count(base: HuggingFacePolicy) -> None:
    torch.manual_seed(0)
    policy = base.with_model(type(base.model)(base.model.config).eval(), "untrained")  # no way of saying it is rare
    full = policy.exact_success([PROMPT], [["482"]], 8)[0]
    short = policy.exact_success([PROMPT], [["482"]], 3)[0]
    assert 0 < short < full  # two tokens and the end fit into three
    assert policy.exact_success([PROMPT], [["482"]], 2)[0] == 0


def test_every_length_has_chance_success(base: HuggingFacePolicy) -> None:
    """The tiny base guesses closed-book: mean p0 over all codes of a length is near 10^-length."""
    for digits in (1, 2):
        prompt = Prompt((Message("user", f"What is rami's code? Length: {digits}. Reply with the code only."),))
        codes = [f"{i:0{digits}d}" for i in range(10**digits)]
        each = base.exact_success([prompt] * len(codes), [[c] for c in codes], 24)
        assert 0.9 < each.sum() <= 1.0
        assert each.max() < 2 / len(codes)


def test_a_space_that_only_shows_inside_a_text_is_counted(qwen: HuggingFacePolicy) -> None:
    """Sentencepiece style: the decoder strips a leading space, so '7' is said by both '7' and '▁7'."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = ["<s>", "a", "7", "▁7", "▁"]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(letters)}, merges=[("▁", "7")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<s>")
    ways = enumeration.Tokenisations(fast).of("7")
    assert {fast.decode(list(way)) for way in ways} == {"7"}
    assert (2,) in ways and (3,) in ways


def test_ids_past_the_tokenizer_make_p0_not_enumerable(base: HuggingFacePolicy, qwen: HuggingFacePolicy) -> None:
    import copy

    assert base.enumerable
    wide = copy.deepcopy(base.model)
    wide.resize_token_embeddings(len(base.tokenizer) + 8, mean_resizing=False)
    assert not base.with_model(wide, "wide").enumerable
