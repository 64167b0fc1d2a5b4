"""``new``: a working, tested plug-in package to start from.

Not covered: publishing it.
"""

from __future__ import annotations

import builtins
import keyword
import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from reachlab.cli import console
from reachlab.cli.commands import app
from reachlab.errors import BadValue, UnknownName
from reachlab.registry import Kind, names

PLACES = {"pyproject": "pyproject.toml", "module": "src/{name}/__init__.py", "test": "tests/test_{name}.py"}
KINDS: dict[str, Kind] = {"tool": "tools", "env": "families"}
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="tool or env.")],
    name: Annotated[str, typer.Argument(help="Name of the package, and of what it brings: letters, digits and _.")],
    folder: Annotated[Path, typer.Option("--in", help="Where the new folder goes.")] = Path(),
) -> None:
    """Write a plug-in package: a tool or a family of tasks, with its tests.

    Install it (pip install -e NAME) and it shows up in reachlab list. The one
    it starts with works; change it into yours, and let its tests and
    check-tool or check-env say what is missing.

    Example: reachlab new env treasure
    """
    with console.explained():
        written = write(kind, name, folder)
        check = f"check-tool {name}" if kind == "tool" else f"check-env {name}"
        console.say(f"{len(written)} files in {folder / name}")
        console.say(f"next: pip install -e {folder / name}, reachlab {check}, python -m pytest {folder / name}")


def write(kind: str, name: str, folder: Path) -> list[Path]:
    """The files of a new package *name* below *folder*. Raises rather than write over anything."""
    if kind not in KINDS:
        raise UnknownName("kind of plug-in", kind, KINDS)
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise BadValue("name", name, "a Python name of small letters, digits and _, a letter first")
    root = folder / name
    if root.exists():
        raise BadValue("folder", str(root), "one that does not exist yet")
    templates = files("reachlab.cli") / "templates" / kind
    texts = {place: (templates / f"{template}.tmpl").read_text() for template, place in PLACES.items()}
    words = {"name": name, "Class": "".join(part.capitalize() for part in name.split("_"))}
    _check_free(kind, name, words["Class"], texts[PLACES["module"]])
    written = []
    for place, text in texts.items():
        path = root / place.format(name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(words))
        written.append(path)
    return written


def _check_free(kind: str, name: str, class_name: str, module: str) -> None:
    """A name that means something already would hide that, or be hidden by it."""
    if name in names(KINDS[kind]):
        raise BadValue("name", name, f"one that no {kind} of the registry has: see reachlab list")
    imported = {word for line in module.splitlines() if " import " in line for word in re.findall(r"\w+", line)}
    if hasattr(builtins, name) or {name, class_name} & imported or find_spec(name) is not None:
        raise BadValue("name", name, "one that no builtin and no module here has: it names a package, too")
