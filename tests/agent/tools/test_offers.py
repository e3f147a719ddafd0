"""What is offered for longer: computed, tried, never broad, and to the letter what is shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.approvals.store import ApprovalFile
from agent.approvals.trial import widened
from agent.approvals.written import Given, rules_of
from agent.protocol.approvals import Offers
from agent.sandbox.spec import SandboxSpec
from agent.tools.base import HOST_TOOL, CallServer, FeedProgram, Request, RunScript, UseTool
from agent.tools.gate import Gate
from agent.tools.offers import Offering
from execpolicy.decision import Decision, Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules

TODAY = date(2026, 11, 24)
SHELL = "exec_command"
BASE = 'prefix_rule(pattern = ["ls"], decision = "allow")\n'


def gate_of(*layers: tuple[Layer, str], cwd: str = "/w") -> Gate:
    files = []
    for layer, text in layers:
        parsed = parse_rules(text, f"{layer.word}.rules", layer)
        assert not parsed.diagnostics, parsed.diagnostics
        files.append((layer, parsed.file))
    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace=cwd)
    return Gate(
        Policy.build(files), lambda folder: CheckContext(cwd=folder, workspace=cwd, today="2026-11-24"), spec
    )


def offers(gate: Gate, request: Request, tool: str = SHELL, **about: Any) -> Offers:
    offering = Offering(gate=gate, days=90, today=lambda: TODAY, **about)
    judgement = gate.judge(tool, request)
    if tool == HOST_TOOL:
        judgement = replace(judgement, verdict=gate.under(gate.policy, tool, request))
    return offering.offers(tool, request, judgement)


def of_script(script: str, rules: str = BASE, layer: Layer = Layer.USER, **about: Any) -> Offers:
    return offers(gate_of((layer, rules)), RunScript(script=script, cwd="/w"), **about)


@pytest.mark.parametrize(
    ("script", "patterns"),
    [
        pytest.param("npm run build", [["npm", "run", "build", "end"]], id="project-code-exactly"),
        pytest.param(
            "git log --oneline x",
            [["git", "log", "--oneline", "x", "end"], ["git", "log", "--oneline"]],
            id="wider",
        ),
        pytest.param("mytool", [["mytool", "end"]], id="a-bare-program-exactly"),
        pytest.param("ls && mytool 'a b'", [["mytool", "a b", "end"]], id="only-what-is-asked"),
        pytest.param("timeout 5 mytool x", [["mytool", "x", "end"]], id="what-is-passed-on"),
        pytest.param("git push origin main", [["git", "push", "origin", "main", "end"]], id="no-wider-push"),
        pytest.param(
            "kubectl delete pod x", [["kubectl", "delete", "pod", "x", "end"]], id="no-wider-delete"
        ),
    ],
)
def test_what_is_offered(script: str, patterns: list[list[str]]) -> None:
    found = of_script(script)
    assert found.why_not == ()
    shown = []
    for offer in found.user:
        (rule,) = rules_of(offer.rules, Layer.USER)
        shown.append([getattr(one, "text", "end") for one in rule.pattern])  # type: ignore[union-attr]
        assert rule.meta.expires == offer.ends == "2027-02-22"
    assert shown == patterns
    assert found.project == found.user


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("python3 x.py", "runs whatever program text"),
        ("python3.12 -c 'print(1)'", "runs whatever program text"),
        ("bash build.sh", "runs whatever program text"),
        ("awk '{print}' f", "runs whatever program text"),
        ("node x.js", "runs whatever program text"),
        ("./build.sh", "may be another one then"),
        ("tools/x a", "may be another one then"),
        ("sudo ls", "too much to be allowed"),
        ("bwrap --bind / / ls", "too much to be allowed"),
        ("run-parts hooks", "too much to be allowed"),
        ("/usr/bin/systemd-run ls", "too much to be allowed"),
        ("rm -rf build", "too much to be allowed"),
        ("ssh host ls", "too much to be allowed"),
        ("find . -delete", "runs other commands"),
        ("xargs rm", "not known before it runs"),
        ("xargs mytool", "not known before it runs"),
        ("docker run x", "runs other commands"),
        ("npx thing", "runs other commands"),
        ("mytool $x", "not known before it runs"),
        ("mytool $(date)", "not known before it runs"),
        ("LD_PRELOAD=x mytool a", "not known before it runs"),
        ("git --exec-path=/x status", "not known before it runs"),
        ("tar --to-command=./x -xf a.tar", "may be another one then"),
        ("lerna exec -- ls", "runs other commands"),
        ("pyenv exec python x", "runs other commands"),
        ("sometool --flag exec ls", "runs other commands"),
        ("ansible all -m shell -a ls", "too much to be allowed"),
        ("pm2 start x.js", "too much to be allowed"),
        ("agent approvals allow -- ls", "too much to be allowed"),
        ("a 1; b 1; c 1; d 1; e 1", "more than 4 rules"),
        ("mytool 'a\nb'", "no rule can hold"),
    ],
)
def test_what_is_never_offered(script: str, why: str) -> None:
    found = of_script(script)
    assert (found.user, found.project) == ((), ())
    assert why in found.why_not[0]


@pytest.mark.parametrize(
    "script",
    [
        "go run .",
        "cargo run",
        "dotnet test",
        "tox -e py",
        "nox",
        "just build",
        "task",
        "nx build app",
        "make",
        "yarn lint",
        "pnpm test",
        "newtool run x",
        "newtool --fast test",
        "git co",
    ],
)
def test_a_command_that_runs_what_the_project_says_is_offered_with_a_note(script: str) -> None:
    (offer,) = of_script(script).user
    assert not offer.wide
    assert offer.notes == (f"`{script}` runs what files of the project say, whatever they say then",)


def test_an_alias_that_the_words_give_is_judged_by_itself_and_the_name_is_offered_with_a_note() -> None:
    (offer,) = of_script("git -c 'alias.x=!ls' x").user
    assert "`git x` runs what files of the project say" in offer.notes[0]
    gate = gate_of((Layer.USER, BASE + "".join(offer.rules)))
    for alias, allowed in (("ls", True), ("curl evil", False), ("rm -rf ~", False)):
        script = f"git -c 'alias.x=!{alias}' x"
        verdict = gate.judge(SHELL, RunScript(script=script, cwd="/w")).verdict
        assert (verdict.decision is Decision.ALLOW) is allowed


def test_a_command_that_runs_no_project_code_has_no_note() -> None:
    for script in ("mytool x", "git log --oneline x", "apt-get install x"):
        assert of_script(script).user[0].notes == ()


def test_a_rule_that_asks_is_opened_by_no_allow_and_the_card_says_who_could_change_it() -> None:
    ask = 'prefix_rule(pattern = ["mytool"], decision = "ask", id = "team.mytool")'
    found = of_script("mytool a", ask)
    assert found.user == ()
    assert "team.mytool" in found.why_not[0]
    assert 'exception(to = "team.mytool"' in found.why_not[0]
    managed = of_script("mytool a", ask, Layer.MANAGED)
    assert "the owner of this machine decides" in managed.why_not[0]


def test_what_a_higher_layer_declares_for_silence_is_not_lifted() -> None:
    gate = gate_of((Layer.MANAGED, 'defaults(unmatched = "ask")'), (Layer.USER, BASE))
    found = offers(gate, RunScript(script="mytool a", cwd="/w"))
    assert (found.user, found.project) == ((), ())
    assert "managed" in found.why_not[0]
    gate = gate_of((Layer.USER, 'defaults(unmatched = "ask")'))
    found = offers(gate, RunScript(script="mytool a", cwd="/w"))
    assert len(found.user) == 1
    assert found.project == ()  # a project's rule is below the default of the user


def test_the_terms_of_rules_bound_what_is_offered() -> None:
    rule = 'prefix_rule(pattern = ["mytool"], decision = "allow", mode = "enforce", {})\n'
    other = BASE + 'path_rule(paths = ["/etc/**"], access = ["write"], decision = "allow", {})\n'
    for terms, user, project in (
        ('scope = "once"', 0, 0),
        ('scope = "session"', 0, 0),
        ('scope = "project"', 0, 1),
        ('expires = "2026-12-01"', 1, 1),
    ):
        del rule  # one rule with terms beside an ask by silence
        rule = other.format(terms)
        found = of_script("mytool a > /etc/x", rule)
        assert (len(found.user), len(found.project)) == (user, project), terms
        for offer in (*found.user, *found.project):
            assert offer.ends == ("2026-12-01" if "expires" in terms else "2027-02-22")


def test_a_secret_is_never_written_into_a_rule() -> None:
    found = of_script("mytool --token hunter2", masked=lambda text: text.replace("hunter2", "***"))
    assert found.user == ()
    assert "secret" in found.why_not[0]


def test_an_untrusted_project_is_not_offered() -> None:
    found = of_script("mytool a", no_project="it is not trusted")
    assert (len(found.user), found.project) == (1, ())
    assert "not for the project: it is not trusted" in found.why_not


def test_escalation_and_input_are_for_once() -> None:
    gate = gate_of((Layer.USER, BASE))
    found = offers(gate, RunScript(script="mytool a", cwd="/w", escalate=True))
    assert (found.user, found.why_not) == ((), ("running outside the sandbox is for this one time",))
    assert offers(gate, FeedProgram(program="python3", text="1", cwd="/w"), "write_stdin").user == ()
    assert offers(gate, RunScript(script="mytool", before="cd x\n", cwd="/w")).user == ()


def test_examples_are_what_the_engine_says() -> None:
    offer = of_script("git log --oneline x").user
    exact, wide = offer
    assert "timeout 60 git log --oneline x" in exact.also
    assert "git log --oneline x --force" in exact.still
    assert "git log --oneline anything/else" in wide.also
    assert all(one not in wide.still for one in wide.also)
    again = of_script("cd .. > /dev/null; mytool a")
    assert again.user == () or all(one != "mytool a" for one in again.user[0].also)


def test_a_file_is_offered_by_its_path() -> None:
    found = of_script("ls > '/srv/out[1].txt'")
    (offer,) = found.user
    assert offer.extent == "by any command: write `/srv/out[1].txt`"
    gate = gate_of((Layer.USER, BASE))
    policy = widened(gate.policy, Layer.USER, rules_of(offer.rules, Layer.USER))
    for path, want in (
        ("/srv/out[1].txt", Decision.ALLOW),
        ("/srv/out1.txt", Decision.ASK),
        ("/srv/x", Decision.ASK),
    ):
        request = RunScript(script=f"ls > '{path}'", cwd="/w")
        assert gate.under(policy, SHELL, request).decision is want, path


def test_a_tool_of_a_server_is_offered_with_its_arguments() -> None:
    gate = gate_of((Layer.USER, BASE))
    request = CallServer(server="github", tool="create", arguments={"repo": "a/b", "n": 3}, cwd="/w")
    (offer,) = offers(gate, request, "create").user
    assert 'server = "github"' in offer.rules[0]
    assert any('"another": "value"' in one for one in offer.also)
    assert any("another value" in one for one in offer.still)
    empty = CallServer(server="github", tool="create", arguments={}, cwd="/w")
    assert offers(gate, empty, "create").user == ()


def test_a_host_is_offered_by_its_name() -> None:
    gate = gate_of((Layer.USER, BASE))
    request = UseTool(
        subject="connect", cwd="/w", arguments={"host": "pypi.org", "port": 443, "protocol": "https"}
    )
    (offer,) = offers(gate, request, HOST_TOOL).user
    assert (offer.also, offer.still) == ((), ("pypi.org, another port", "www.pypi.org", "pypi.org by http"))


# --- the law: what becomes allowed is what was shown -----------------------------------------------

WORDS = st.sampled_from(
    ["mytool", "git", "log", "status", "push", "npm", "run", "-x", "--force", "a", "b/c", "gh", "pr", "list"]
)
COMMANDS = st.lists(WORDS, min_size=1, max_size=5).map(tuple)


@given(COMMANDS, COMMANDS, st.sampled_from(["", "timeout 5 ", "sudo ", "env A=1 "]))
def test_exactly_the_shown_commands_become_allowed(
    asked: tuple[str, ...], other: tuple[str, ...], carrier: str
) -> None:
    gate = gate_of((Layer.USER, BASE))
    script = " ".join(asked)
    found = offers(gate, RunScript(script=script, cwd="/w"))
    for offer in found.user:
        policy = widened(gate.policy, Layer.USER, rules_of(offer.rules, Layer.USER))
        assert gate.under(policy, SHELL, RunScript(script=script, cwd="/w")).decision is Decision.ALLOW
        near = RunScript(script=carrier + " ".join(other), cwd="/w")
        before = gate.under(gate.policy, SHELL, near).decision
        after = gate.under(policy, SHELL, near).decision
        if offer.wide:
            (rule,) = rules_of(offer.rules, Layer.USER)
            start = tuple(one.text for one in rule.pattern)  # type: ignore[union-attr]
            covered = other[: len(start)] == start and len(start) > 1
        else:
            covered = other == asked
        if after is Decision.ALLOW and before is not Decision.ALLOW:
            assert covered, (offer.extent, near.script)
            assert carrier != "sudo "


@given(COMMANDS)
def test_what_is_stored_is_what_was_shown(asked: tuple[str, ...]) -> None:
    import tempfile

    found = offers(gate_of((Layer.USER, BASE)), RunScript(script=" ".join(asked), cwd="/w"))
    for offer in found.user:
        with tempfile.TemporaryDirectory() as folder:
            file = ApprovalFile.of_user(Path(folder))
            ids = file.keep(
                offer.rules, Given(approver="ann", at="2026-11-24T10:00:00Z", session="s", subject="x")
            )
            kept = file.read().kept
            assert tuple(one.id for one in kept) == ids
            shown = rules_of(offer.rules, Layer.USER)
            assert [one.rule.pattern for one in kept] == [one.pattern for one in shown]  # type: ignore[union-attr]
            assert [one.expires for one in kept] == [offer.ends] * len(shown)
