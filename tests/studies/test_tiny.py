"""The tiny base: the recipe that made it, and how it behaves."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reachlab import Episode, Family, StopReason, World
from reachlab.envs import Interaction, lexicon
from reachlab.envs.arithmetic import Arithmetic
from reachlab.envs.composition import Composition
from reachlab.envs.countdown import Countdown
from reachlab.envs.hash import Hash
from reachlab.envs.lexicon import Lexicon
from reachlab.envs.lock import Lock
from reachlab.envs.maze import WAYS, Maze
from reachlab.envs.program import Program
from reachlab.envs.rule import Rule
from reachlab.measure import clopper_pearson
from reachlab.policies.huggingface import TINY, HuggingFacePolicy, load
from reachlab.studies.rollout import rollout
from reachlab.studies.tiny import documents, tokenizer
from reachlab.studies.tiny.drawers import DRAWERS
from reachlab.studies.tiny.recipe import POINT, Recipe, curve, fingerprint, save, train
from reachlab.tools import Hermes

FAMILIES: dict[str, Family] = {
    "arithmetic": Arithmetic(),
    "composition": Composition(),
    "countdown": Countdown(),
    "hash": Hash(),
    "lexicon": Lexicon(digits=(1, 2, 4, 6), hops=(1, 2)),
    "lock": Lock(),
    "maze": Maze(),
    "program": Program(),
    "rule": Rule(),
}


READS = {"arithmetic", "hash", "lexicon", "lock", "maze", "program", "rule"}
"""Where the oracle's evidence holds the answer as it is to be written."""

EVENLY = {"composition"}
"""Where it guesses evenly among numbers of the right length, which is worse than the guesser, who knows sums."""


def played(policy: HuggingFacePolicy, name: str, world: World) -> list[Episode]:
    """960 episodes on test tasks."""
    family = FAMILIES[name]
    tasks = [family.task("test", i) for i in range(120) for _ in range(8)]
    return rollout(policy, family, tasks, world, list(range(len(tasks))))


def chance(name: str) -> float:
    """Success of the family's guesser on the same tasks."""
    family, rng = FAMILIES[name], np.random.default_rng(0)
    tasks = [family.task("test", i) for i in range(120)]
    return float(np.mean([task.verify(family.guess(task, rng)) for task in tasks for _ in range(100)]))


def assert_a_base_not_a_solver(policy: HuggingFacePolicy, name: str) -> None:
    closed, live, oracle = (played(policy, name, world) for world in (World.CLOSED, World.LIVE, World.ORACLE))
    seen = clopper_pearson(sum(e.success for e in closed), len(closed), 0.001)
    assert seen.low < 1.5 * chance(name)  # guesses closed-book
    assert name in EVENLY or seen.high > chance(name) / 1.5
    assert 0.01 < np.mean([e.success for e in live]) < 0.6  # uses the tool some of the time, and sometimes wrongly
    assert 0.5 < np.mean([bool(e.calls) for e in live]) < 0.98
    assert np.mean([bool(e.calls) for e in closed]) < 0.02
    if name in READS:
        assert np.mean([e.success for e in oracle]) > 0.3  # copies from context
    for episodes in (closed, live, oracle):
        assert np.mean([e.stop is StopReason.ANSWERED for e in episodes]) > 0.9


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
    save(model, tok, recipe, tmp_path, losses)
    assert load(str(tmp_path)).template.decode([1]) == "<|end|>"


def mean_weight(recipe: Recipe) -> float:
    """Loss weight of a document of the first batch."""
    from reachlab.studies.tiny.recipe import draw_batch

    batch = draw_batch(documents.Vocabulary(tokenizer.build()), recipe, 0)
    return sum(sum(d.weights) for d in batch) / len(batch)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_shipped_base_behaves_as_a_base(base: HuggingFacePolicy, name: str) -> None:
    assert_a_base_not_a_solver(base, name)


def test_every_family_that_the_base_is_made_for_is_tested() -> None:
    assert set(DRAWERS) == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_documents_are_what_the_environment_shows(base: HuggingFacePolicy, name: str) -> None:
    """A drawn document decodes to text, and encoding that text gives the document back."""
    vocabulary = documents.Vocabulary(base.tokenizer)
    rng = np.random.default_rng(0)
    for _ in range(200):
        document = DRAWERS[name](vocabulary, documents.BASE, rng)
        assert base.tokenizer.encode(base.template.decode(document.ids), add_special_tokens=False) == document.ids
        targets = (1 - np.array(document.mix))[:, None] * vocabulary.table[document.main]
        targets += np.array(document.mix)[:, None] * vocabulary.table[document.other]
        assert np.allclose(targets.sum(1), 1)
        said = targets[np.arange(len(document.ids)), document.ids]
        assert (said > 0).all()  # what was drawn had a chance


@pytest.mark.parametrize("name", FAMILIES)
def test_documents_begin_as_episodes_do(base: HuggingFacePolicy, name: str) -> None:
    """Prompts of all worlds differ from drawn ones in names and numbers only, not in wording or template."""

    def shape(text: str) -> str:
        drawn = "|".join([*lexicon.SYLLABLES, *WAYS])
        return re.sub(rf"\b(?:{drawn})+\b|\b[a-z]{{2,6}}(?=\.\n)", "word", re.sub(r"\d+", "0", text))

    vocabulary, rng = documents.Vocabulary(base.tokenizer), np.random.default_rng(0)
    drawn = [DRAWERS[name](vocabulary, documents.CLEAN, rng) for _ in range(1500)]
    known = {shape(base.template.decode(d.ids).partition("<|assistant|>")[0]) for d in drawn}
    for world in (World.CLOSED, World.LIVE, World.ORACLE):
        for seed in range(24):
            prompt = Interaction(FAMILIES[name], FAMILIES[name].task("test", seed), world).prompt
            text = base.template.decode(base.template.prompt_ids(prompt)).partition("<|assistant|>")[0]
            assert shape(text) in known


def test_drawn_programs_are_programs(base: HuggingFacePolicy) -> None:
    vocabulary, rng, found = documents.Vocabulary(base.tokenizer), np.random.default_rng(0), 0
    for _ in range(200):
        text = base.template.decode(DRAWERS["program"](vocabulary, documents.CLEAN, rng).ids)
        for call in Hermes().parse(text):
            assert not call.problem and call.name == "python"
            compile(call.arguments["code"], "drawn", "exec")
            found += 1
    assert found > 80


@pytest.mark.parametrize("text", ["rami's code is 94368.", "é Zürich\n\t漢字 {\"a\": [1, 22, 333]}", "  <tool_call> "])
def test_every_text_survives_the_tokenizer(base: HuggingFacePolicy, text: str) -> None:
    assert base.template.decode(base.tokenizer.encode(text, add_special_tokens=False)) == text


@pytest.mark.services
def test_the_recipe_begins_as_it_did_for_the_base_that_ships() -> None:
    """A tenth of the training, held to the recorded curve; that the whole of it ends in such a base was seen when the
    base was made (``python -m reachlab.studies.tiny``), and what ships is held to every family above."""
    recorded = json.loads((TINY / "recipe.json").read_text())["losses"]
    losses, before = list[float](), torch.get_num_threads()
    assert len(recorded) == Recipe().steps // POINT and recorded[-1] < recorded[0] / 5
    torch.set_num_threads(len(os.sched_getaffinity(0)))  # other tests leave it at one, which takes twice as long
    try:
        train(Recipe(), lambda step, loss: losses.append(loss), steps=Recipe().steps // 10)
    finally:
        torch.set_num_threads(before)
    assert curve(losses) == pytest.approx(recorded[: len(curve(losses))], rel=0.05)
