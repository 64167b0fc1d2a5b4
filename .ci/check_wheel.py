"""Run by a clean environment's Python: the installed wheel is whole and needs nothing but its requirements."""

import importlib
import importlib.util
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import reachlab

EXTRAS = ("pytest", "hypothesis", "mypy", "ruff", "vllm", "docker", "mcp", "sentence_transformers")


def main() -> None:
    package = Path(reachlab.__file__).parent
    assert "site-packages" in package.parts, f"not the installed wheel: {package}"
    assert (package / "py.typed").is_file(), "py.typed is missing"
    assert list((package / "policies" / "tiny").glob("*.safetensors")), "the tiny base's weights are missing"
    present = [name for name in EXTRAS if importlib.util.find_spec(name)]
    assert not present, f"this environment is not clean: {present}"
    modules = [m.name for m in pkgutil.walk_packages(reachlab.__path__, "reachlab.") if not m.name.endswith("__main__")]
    for name in modules:
        importlib.import_module(name)
    print(f"{len(modules)} modules import with the required dependencies only")
    with tempfile.TemporaryDirectory() as folder:
        run = ["-I", "-m", "reachlab", "run", "lexicon", "--profile", "smoke", "--out", f"{folder}/a run"]
        subprocess.run([sys.executable, *run], cwd=folder, check=True)
        assert (Path(folder) / "a run" / "result.json").is_file(), "no result.json"


if __name__ == "__main__":
    main()
