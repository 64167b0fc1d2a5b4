"""The tiny base: the recipe that made it, and how it behaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reachlab import StopReason, World
from reachlab.envs.lexicon import Lexicon
from reachlab.policies.huggingface import TINY, HuggingFacePolicy, load
from reachlab.studies.rollout import rollout
from reachlab.studies.tiny import documents, tokenizer
from reachlab.studies.tiny.recipe import Recipe, fingerprint, save, train

FAMILY = Lexicon(digits=(1, 2, 4, 6), hops=(1, 2))


def behaviour(policy: HuggingFacePolicy) -> dict[str, float]:
    """Success and habits over 960 episodes a world, on test names."""
    tasks = [FAMILY.task("test", i) for i in range(120) for _ in range(8)]
    found: dict[str, float] = {}
    for world in (World.CLOSED, World.LIVE, World.ORACLE):
        episodes = rollout(policy, FAMILY, tasks, world, list(range(len(tasks))))
        found[f"{world}"] = float(np.mean([e.reward for e in episodes]))
        easy = [e.reward for e, t in zip(episodes, tasks, strict=True) if dict(t.difficulty)["digits"] == 1]
        found[f"{world} one digit"] = float(np.mean(easy))
        found[f"{world} calls"] = float(np.mean([bool(e.calls) for e in episodes]))
        found[f"{world} answered"] = float(np.mean([e.stop is StopReason.ANSWERED for e in episodes]))
    return found


def assert_a_base_not_a_solver(policy: HuggingFacePolicy) -> None:
    found = behaviour(policy)
    assert 0.05 < found["closed one digit"] < 0.15  # guesses closed-book
    assert 0.15 < found["live"] < 0.6  # uses the tool some of the time, and sometimes wrongly
    assert 0.5 < found["live calls"] < 0.95
    assert found["closed calls"] < 0.02
    assert found["oracle"] > 0.4  # copies from context
    assert min(found["closed answered"], found["live answered"], found["oracle answered"]) > 0.95


def test_the_shipped_weights_came_from_this_recipe() -> None:
    made_by = json.loads((TINY / "recipe.json").read_text())
    assert made_by["fingerprint"] == fingerprint(Recipe())


def test_it_ships_small(base: HuggingFacePolicy) -> None:
    assert sum(p.numel() for p in base.model.parameters()) < 1_000_000
    assert sum(p.stat().st_size for p in TINY.iterdir()) < 3_000_000


def test_two_steps_lose_what_they_should(tmp_path: Path) -> None:
    """A seeded start: cross-entropy near uniform over the vocabulary, and falling."""
    losses: list[float] = []
    recipe = replace(Recipe(), steps=2)
    train(recipe, lambda step, loss: losses.append(loss))
    again: list[float] = []
    model, tok = train(recipe, lambda step, loss: again.append(loss))
    assert losses == again
    assert losses[0] == pytest.approx(np.log(len(tok)) * mean_weight(recipe), rel=0.05)
    train(replace(Recipe(), steps=12, warmup=2), lambda step, loss: losses.append(loss))
    assert losses[-1] < 0.8 * losses[0]
    save(model, tok, recipe, tmp_path)
    assert load(str(tmp_path)).template.decode([1]) == "<|end|>"


def mean_weight(recipe: Recipe) -> float:
    """Loss weight of a document of the first batch."""
    from reachlab.studies.tiny.recipe import draw_batch

    batch = draw_batch(documents.Vocabulary(tokenizer.build()), recipe, 0)
    return sum(sum(d.weights) for d in batch) / len(batch)


def test_the_shipped_base_behaves_as_a_base(base: HuggingFacePolicy) -> None:
    assert_a_base_not_a_solver(base)


def test_documents_are_what_the_environment_shows(base: HuggingFacePolicy) -> None:
    """A drawn document decodes to text, and encoding that text gives the document back."""
    vocabulary = documents.Vocabulary(base.tokenizer)
    rng = np.random.default_rng(0)
    for _ in range(200):
        document = documents.draw_lexicon(vocabulary, documents.BASE, rng)
        assert base.tokenizer.encode(base.template.decode(document.ids), add_special_tokens=False) == document.ids
        targets = (1 - np.array(document.mix))[:, None] * vocabulary.table[document.main]
        targets += np.array(document.mix)[:, None] * vocabulary.table[document.other]
        assert np.allclose(targets.sum(1), 1)
        said = targets[np.arange(len(document.ids)), document.ids]
        assert (said > 0).all()  # what was drawn had a chance


@pytest.mark.parametrize("text", ["rami's code is 94368.", "é Zürich\n\t漢字 {\"a\": [1, 22, 333]}", "  <tool_call> "])
def test_every_text_survives_the_tokenizer(base: HuggingFacePolicy, text: str) -> None:
    assert base.template.decode(base.tokenizer.encode(text, add_special_tokens=False)) == text


@pytest.mark.services
def test_the_recipe_makes_such_a_base_again(tmp_path: Path) -> None:
    recipe = Recipe()
    model, tok = train(recipe, lambda step, loss: None)
    save(model, tok, recipe, tmp_path)
    assert_a_base_not_a_solver(load(str(tmp_path)))
