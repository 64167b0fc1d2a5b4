"""``python -m reachlab.studies.tiny``: make the tiny base from its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from reachlab.studies.tiny.recipe import Recipe, save, train


def main(
    out: Annotated[Path, typer.Option(help="Where the weights go.")],
    steps: Annotated[int, typer.Option(help="Training steps; the shipped base used the default.")] = Recipe().steps,
    seed: Annotated[int, typer.Option(help="Seed of weights and documents.")] = 0,
) -> None:
    """Train the tiny base and write it in Hugging Face format."""
    recipe, losses = Recipe(steps=steps, seed=seed), list[float]()
    with Progress() as progress:
        bar = progress.add_task("training", total=recipe.steps)

        def report(step: int, loss: float) -> None:
            losses.append(loss)
            progress.update(bar, completed=step + 1, description=f"loss {loss:.3f}")
            if step % 50 == 0 or step == recipe.steps - 1:
                progress.console.print(f"step {step} loss {loss:.4f}")

        model, tok = train(recipe, report)
    save(model, tok, recipe, out, losses)


if __name__ == "__main__":
    typer.run(main)
