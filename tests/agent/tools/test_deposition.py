"""A recorded verdict holds what judging it again needs: the same rules give the same verdict."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sandbox.spec import SandboxSpec
from agent.tools.base import (
    CallServer,
    ChangeFiles,
    FeedProgram,
    Request,
    RunScript,
    ToolCall,
    UseTool,
)
from agent.tools.deposition import Asker, Witness, decided, overrides, request_of
from agent.tools.gate import Gate
from compliance.chain import canonical
from compliance.codec import from_json, to_json
from compliance.errors import RecordError
from compliance.events import CommandRead, Decided, LookedUp, Overridden, Situated
from compliance.replay import recorded
from execpolicy.decision import Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.facts import Access
from execpolicy.lang.lower import parse_rules

RULES = (
    'prefix_rule(pattern = ["git", "status"], decision = "allow", owner = "ann", controls = ["soc2:CC6.1"])',
    'prefix_rule(pattern = ["git", "push"], decision = "deny", id = "push", severity = "high")',
    'prefix_rule(pattern = ["git", "push"], decision = "allow", when = branch == "main")',
    'prefix_rule(pattern = ["echo"], decision = "deny", mode = "audit", id = "quiet")',
    'prefix_rule(pattern = ["echo"], decision = "allow")',
    'prefix_rule(pattern = ["make"], decision = "allow", when = env["CI"] == "1")',
    'prefix_rule(pattern = ["make"], decision = "deny", when = time.between("22:00", "06:00"))',
    'prefix_rule(pattern = ["cat"], decision = "allow", expires = "2026-12-01")',
    'path_rule(paths = ["secret/**"], access = ["read", "write"], decision = "deny", id = "secret")',
    'tool_rule(tool = "exec_command", arguments = {"cmd": regex("curl")}, decision = "ask")',
    'tool_rule(server = "mini", tool = "say", decision = "allow")',
    'exception(to = "push", until = "2026-12-31", approved_by = "bo", ticket = "T-1", when = user == "ann")',
    'defaults(unmatched = "allow", unknown = "ask")',
)
SCRIPTS = (
    "git status",
    "git push origin x",
    "cd sub && git push",
    "make all | cat > out",
    "echo hi; echo $HOME",
    "cat secret/key linked/x",
    "env A=1 make -j $(nproc)",
    "bash -c 'git push; cat a'",
    "if [",
    "",
)


class Machine:
    """Programs are found by a rule of their names; `linked` leads elsewhere."""

    def program(self, name: str, cwd: str) -> str | None:
        if name == "nosuch":
            return None
        return name if name.startswith("/") else f"/usr/bin/{name}"

    def real(self, path: str) -> str:
        return path.replace("/linked/", "/secret/")


def rules(texts: tuple[str, ...]) -> Policy:
    parsed = parse_rules("\n".join(texts), "a.rules", Layer.USER)
    assert not parsed.diagnostics, parsed.diagnostics
    return Policy.build([(Layer.USER, parsed.file)])


policies = st.lists(st.sampled_from(RULES), unique=True).map(lambda texts: rules(tuple(texts)))
cwds = st.sampled_from(["/w", "/w/sub", "/w/link"])
values = st.sampled_from(["a.txt", "secret/key", "é", "x y"])
requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(
        RunScript,
        script=st.lists(st.sampled_from(SCRIPTS), min_size=1, max_size=3).map("\n".join),
        cwd=cwds,
        before=st.sampled_from(["", "cd sub\n", "f() { git push; }\n"]),
        escalate=st.booleans(),
    ),
    st.builds(FeedProgram, program=st.just("python3"), text=values, cwd=cwds),
    st.builds(
        CallServer,
        server=st.sampled_from(["mini", "other"]),
        tool=st.sampled_from(["say", "do"]),
        arguments=st.dictionaries(values, values | st.booleans() | st.floats(0, 1), max_size=2),
        cwd=cwds,
    ),
    st.builds(
        ChangeFiles,
        accesses=st.lists(st.tuples(values.map("/w/".__add__), st.sampled_from(Access)), max_size=3).map(
            tuple
        ),
        cwd=cwds,
        subject=st.just("patch"),
    ),
    st.builds(UseTool, subject=st.just("plan"), cwd=cwds, arguments=st.just({"steps": [{"step": "a"}]})),
)


def surroundings(env: dict[str, str], minute: int, user: str) -> Callable[[str], CheckContext]:
    return lambda cwd: CheckContext(
        cwd=str(PurePosixPath(cwd.replace("/link", "/sub"))),
        workspace="/w",
        home="/home/ann",
        writable=("/tmp",),
        protected=("/w/.git",),
        facts={"branch": "main", "user": user, "cwd": cwd, "repo": ("a", "b"), "interactive": True},
        env=env,
        today="2026-11-24",
        minute=minute,
        resolver=Machine(),
    )


SPEC = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/w")


def witness(policy: Policy, context: Callable[[str], CheckContext]) -> Witness:
    return Witness(lambda p, c, read: Gate(p, c, SPEC, read=read), policy, context)


def judged(
    policy: Policy, context: Callable[[str], CheckContext], request: Request
) -> tuple[Decided, Situated]:
    judgement = witness(policy, context).judge("exec_command", request)
    assert judgement.basis is not None
    call = ToolCall("c1", "exec_command", "{}")
    return decided("s", call, request, judgement, Asker(policy="p")), judgement.basis.situated


@settings(max_examples=150)
@given(
    policies,
    requests,
    st.dictionaries(st.sampled_from(["CI", "X"]), st.sampled_from(["1", ""])),
    st.integers(0, 1439),
    st.sampled_from(["ann", "bo"]),
)
def test_a_record_judged_again_by_the_same_rules_gives_the_same_verdict(
    policy: Policy, request: Request, env: dict[str, str], minute: int, user: str
) -> None:
    event, situated = judged(policy, surroundings(env, minute, user), request)
    again, there = (from_json(json.loads(canonical(to_json(one)))) for one in (event, situated))
    assert isinstance(again, Decided)
    assert isinstance(there, Situated)
    assert (again, there) == (event, situated)
    found = recorded(again, there)
    assert again.asked is not None
    asked = request_of(again.asked, again.subject, again.cwd)
    repeated = witness(policy, lambda cwd: found.context).judge(again.tool, asked)
    assert repeated.verdict == event.verdict
    assert repeated.basis is not None
    assert repeated.basis.would == event.would
    assert repeated.basis.commands == event.commands
    assert found.missing == set()


def test_the_words_are_recorded_exactly_as_they_were_read() -> None:
    script = "cd sub && sudo mytool \"$X\" 'a b' > out"
    event, _ = judged(rules(()), surroundings({}, 0, "ann"), RunScript(script=script, cwd="/w"))
    assert event.commands[-1] == CommandRead(
        argv=("mytool", None, "a b"),
        unread=('"$X"',),
        via=("sudo",),
        cwd="sub",
    )
    assert LookedUp("program", "mytool", "/w", "/usr/bin/mytool") in event.lookups


def test_what_rules_in_audit_mode_would_have_said_is_recorded_beside_the_verdict() -> None:
    policy = rules((RULES[3], RULES[4]))
    event, _ = judged(policy, surroundings({}, 0, "ann"), RunScript(script="echo hi", cwd="/w"))
    assert (event.verdict.decision.word, event.would) == ("allow", "deny")
    plain, _ = judged(rules((RULES[4],)), surroundings({}, 0, "ann"), RunScript(script="echo", cwd="/w"))
    assert (plain.verdict.decision.word, plain.would) == ("allow", "allow")


def test_an_exception_that_opened_a_rule_is_an_override() -> None:
    policy = rules((RULES[1], RULES[11]))
    event, _ = judged(policy, surroundings({}, 0, "ann"), RunScript(script="git push; git push", cwd="/w"))
    assert list(overrides(event)) == [Overridden("s", "c1", "push", "2026-12-31", "bo", "T-1", "a.rules:2:1")]
    closed, _ = judged(policy, surroundings({}, 0, "bo"), RunScript(script="git push", cwd="/w"))
    assert list(overrides(closed)) == []


def test_owner_severity_and_controls_of_what_spoke_are_recorded() -> None:
    event, _ = judged(
        rules(RULES[:2]), surroundings({}, 0, "ann"), RunScript(script="git status; git push", cwd="/w")
    )
    told = {one.rule_id: (one.owner, one.severity, one.controls) for one in event.verdict.matches}
    assert told == {"a.rules:1": ("ann", None, ("soc2:CC6.1",)), "push": (None, "high", ())}


def test_other_rules_are_told_what_nobody_had_looked_up() -> None:
    event, situated = judged(
        rules(()), surroundings({"CI": "1"}, 0, "ann"), RunScript(script="make", cwd="/w")
    )
    found = recorded(event, situated)
    again = Gate(rules((RULES[5],)), lambda cwd: found.context, SPEC)
    verdict = again.judge("exec_command", RunScript(script="make", cwd="/w")).verdict
    assert (verdict.decision.word, found.missing) == ("ask", {"env CI"})


@pytest.mark.parametrize("masked", [("subject:token",), ()])
def test_what_is_not_in_the_record_is_not_judged(masked: tuple[str, ...]) -> None:
    event, situated = judged(rules(()), surroundings({}, 0, "ann"), RunScript(script="ls", cwd="/w"))
    changed = Decided(event.session, "c", "t", "x", os.sep, event.verdict, masked=masked)
    with pytest.raises(RecordError):
        recorded(changed, situated)
