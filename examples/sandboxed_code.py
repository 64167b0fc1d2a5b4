"""Run code that nobody has read: on its own, with state, as a tool, and in an episode.

Command: ``python examples/sandboxed_code.py``. Uses the embedded jail; ``Docker()`` from ``reachlab.sandbox.docker``
takes its place where an engine runs. ``reachlab sandbox check`` says what holds on this machine.
"""

from __future__ import annotations

from contextlib import closing

from reachlab import SandboxLimits, ToolCall, World
from reachlab.envs import Interaction
from reachlab.envs.program import Program
from reachlab.sandbox.jail import Jail
from reachlab.tools import ToolExecutor, python_tool, shell_tool

LIMITS = SandboxLimits(wall_seconds=5, cpu_seconds=0.5, memory_bytes=128 * 2**20)
HOSTILE = (f"open({__file__!r})", "import socket; socket.create_connection(('1.1.1.1', 53))", "while True: pass")


def main() -> None:
    with closing(Jail()) as jail:
        print(f"isolation: {jail.tier}")
        for code in HOSTILE:
            result = jail.run(code, LIMITS)
            last = result.stderr.decode().strip().rpartition("\n")[2]
            print(f"  {code[:40]:40} -> {result.limit and 'limit: ' + result.limit or last}")
            assert result.limit or result.exit_code

        session = jail.session()
        session.run("squares = [n * n for n in range(5)]", LIMITS)
        print("kept between runs:", session.run("print(sum(squares))", LIMITS).stdout.decode().strip())
        session.close()

        with closing(ToolExecutor([python_tool(jail), shell_tool(jail)])) as tools:
            calls = [ToolCall("python", {"code": "open('n', 'w').write('42')"}), ToolCall("shell", {"code": "cat n"})]
            print("as tools:", [result.text for result in tools.execute(calls)])

    family = Program()
    task = family.task("test", 0)
    episode = Interaction(family, task, World.LIVE)
    observed = [result.text for result in episode.step(family.solution(task, [])).results]
    episode.step(family.solution(task, observed))
    print("in an episode:", *(message.content for message in episode.messages), sep="\n  ")
    assert episode.reward == family.optimum(task)


if __name__ == "__main__":
    main()
