"""Cold start of the commands, beside a bare interpreter and `bash -c true`.

python bench/startup.py [RUNS]
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from measure import command, rounds, table

RULES = "\n".join(
    f'prefix_rule(pattern=["tool{n}", "run"], decision="allow", justification="rule {n}")' for n in range(9)
)


def main(runs: int) -> None:
    agent = str(Path(sys.executable).with_name("agent"))
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder, "team.rules")
        rules.write_text(RULES + '\nprefix_rule(pattern=["git", "status"], decision="allow")\n')
        env = {**os.environ, "AGENT_HOME": str(Path(folder, "home"))}
        check = [agent, "policy", "check", "--rules", str(rules)]
        times = rounds(
            {
                "bash -c true": command(["bash", "-c", "true"]),
                "python -I -c pass": command([sys.executable, "-I", "-c", "pass"]),
                "agent --version": command([agent, "--version"], env),
                "agent --help": command([agent, "--help"], env),
                "agent policy check, 10 rules, cache warm": command([*check, "--", "git", "status"], env),
                "agent policy check --script, 10 rules": command(
                    [*check, "--script", "cd x && git status | head -5 > out"], env
                ),
            },
            runs,
        )
    table("cold start", times, "python -I -c pass")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
