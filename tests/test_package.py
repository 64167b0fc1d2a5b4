"""The package as a whole: light to import, typed, no bare names, nothing optional in the core."""

import importlib
import json
import pkgutil
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import reachlab

ROOT = Path(__file__).parents[1]
PARTS = ("envs", "measure", "policies", "sandbox", "studies", "tools")
SUBPACKAGES = sorted(m.name for m in pkgutil.walk_packages(reachlab.__path__, "reachlab.") if m.ispkg)


def python(code: str) -> str:
    """What a fresh interpreter prints, started away from the repository."""
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(module: str) -> set[str]:
    return set(json.loads(python(f"import {module}, sys, json; print(json.dumps(list(sys.modules)))")))


def test_importing_the_contracts_loads_the_standard_library_and_numpy_only() -> None:
    outside = {name.partition(".")[0] for name in loaded_by("reachlab")} - set(sys.stdlib_module_names)
    assert {n for n in outside if not n.startswith(("_", "numpy", "reachlab", "sitecustomize"))} == set()


@pytest.mark.parametrize("module", ["reachlab.registry", "reachlab.sandbox", "reachlab.measure", "reachlab.envs"])
def test_these_parts_never_load_torch(module: str) -> None:
    assert not {"torch", "transformers"} & loaded_by(module)


@pytest.mark.parametrize("subpackage", SUBPACKAGES)
def test_every_subpackage_imports_and_says_what_it_is(subpackage: str) -> None:
    module = importlib.import_module(subpackage)
    assert module.__doc__ and "TODO" not in module.__doc__


def test_all_six_parts_exist() -> None:
    assert {f"reachlab.{part}" for part in PARTS} <= set(SUBPACKAGES)


def test_no_bare_name_is_ever_imported() -> None:
    """`tools` and `envs` are folders of every laboratory: ours must not be found under those names."""
    for subpackage in SUBPACKAGES:
        importlib.import_module(subpackage)
    assert not set(PARTS) & set(sys.modules)


def test_the_links_at_the_root_point_into_the_package() -> None:
    for part in PARTS:
        link = ROOT / part
        assert link.is_symlink() and not link.readlink().is_absolute()
        assert link.resolve() == ROOT / "src" / "reachlab" / part


def test_the_package_is_marked_as_typed() -> None:
    assert files("reachlab").joinpath("py.typed").is_file()


def test_every_required_dependency_is_pinned_in_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all("==" in pin and "+" not in pin for pin in pins)
    pinned = {pin.partition("==")[0].lower() for pin in pins}
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["test"] + extras["dev"]
    assert {requirement.partition(">=")[0].lower() for requirement in wanted} <= pinned


@pytest.mark.smoke
def test_the_gymnasium_example_shows_what_the_affordance_does() -> None:
    out = python(f"import runpy; runpy.run_path({str(ROOT / 'examples' / 'gymnasium_loop.py')!r}, run_name='__main__')")
    assert [line.split()[2] for line in out.splitlines()] == ["0.00", "0.00", "1.00"]


def test_the_version_is_one() -> None:
    assert f"## {reachlab.__version__}" in (ROOT / "CHANGELOG.md").read_text()
