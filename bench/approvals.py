"""What approvals cost: the look whether a file of them changed, and working out what a lasting yes would allow.

Prints a table; the baseline is a judgement of the same gate in the same run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from agent.app.approvals import LiveRules
from agent.app.policy import PolicyInForce
from agent.approvals.store import ApprovalFile
from agent.approvals.written import Given
from agent.sandbox.spec import SandboxSpec
from agent.tools.base import RunScript
from agent.tools.gate import Gate
from agent.tools.offers import Offering
from execpolicy.bundle.load import load_policy
from execpolicy.bundle.shipped import profile_sources
from execpolicy.decision import Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules

RUNS = 9
RULE = 'prefix_rule(pattern = ["mytool", end], decision = "allow", expires = "2099-01-01")\n'


def median(work: Callable[[], object], times: int) -> float:
    """Seconds of one `work`, the median over RUNS of the mean over `times`."""
    found = []
    for _ in range(RUNS):
        started = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - started) / times)
    return statistics.median(found)


def gate_of(policy: Policy) -> Gate:
    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/w")
    return Gate(policy, lambda cwd: CheckContext(cwd=cwd, workspace="/w"), spec)


def main() -> None:
    standard = load_policy(profile_sources("standard")).policy
    text = "".join(
        f'prefix_rule(pattern = ["tool{number}", "x"], decision = "allow")\n' for number in range(10_000)
    )
    many = Policy.build([(Layer.USER, parse_rules(text, "many.rules", Layer.USER).file)])
    request = RunScript(script="mytool build x", cwd="/w")
    rows: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        gate = gate_of(standard)
        rows.append(
            ("judge a command, profile standard", median(lambda: gate.judge("exec_command", request), 200))
        )
        in_force = PolicyInForce(standard, (), (), ())
        file = ApprovalFile.of_user(home)
        live = LiveRules(
            in_force,
            watched=(file.path, home / "project.rules"),
            load=lambda: in_force,
            make=lambda rules: gate_of(rules.policy),
            changed=lambda rules: None,
        )
        rows.append(
            ("the same, with two files watched", median(lambda: live.judge("exec_command", request), 200))
        )
        for label, policy in (("profile standard", standard), ("10,000 rules", many)):
            judged = gate_of(policy)
            offering = Offering(gate=judged, days=90)
            judgement = judged.judge("exec_command", request)
            assert offering.offers("exec_command", request, judgement).user
            work = partial(offering.offers, "exec_command", request, judgement)
            rows.append((f"work out the offers, {label}", median(work, 1)))
        numbers = iter(range(1_000_000))

        def keep() -> None:
            file.keep(
                (RULE,),
                Given(approver="a", at=f"2026-01-01T00:00:00.{next(numbers)}Z", session="s", subject="x"),
            )

        rows.append(("keep an approval, synced to the disk", median(keep, 1)))
    print(f"| work (median of {RUNS}) | takes |\n| --- | --- |")
    for label, seconds in rows:
        shown = f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"
        print(f"| {label} | {shown} |")


if __name__ == "__main__":
    main()
