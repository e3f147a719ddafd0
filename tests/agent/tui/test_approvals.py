"""The approval card: what an answer needs is there, and nothing can hide."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest

from agent.protocol.approvals import Answer, ApprovalRequest, Offer, Offers
from agent.tui.approvals import Choice, card, question, read_choice
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict


def rule(decision: Decision, **about: object) -> RuleMatch:
    return RuleMatch(
        rule_id="git.push",
        decision=decision,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "/home/u/base.rules", 12),
        justification="a push is seen by others",
        suggest="open a pull request",
        **about,  # type: ignore[arg-type]
    )


VERDICT = Verdict(
    decision=Decision.ASK,
    parts=(
        Part(kind="command", text="git status", decision=Decision.ALLOW),
        Part(
            kind="command",
            text="git push",
            decision=Decision.ASK,
            matches=(rule(Decision.ASK), rule(Decision.DENY, enforced=False)),
            via=("sudo",),
        ),
        Part(
            kind="write", text="/etc/x", decision=Decision.ASK, why="outside the workspace", unknowns=("$y",)
        ),
    ),
)
REQUEST = ApprovalRequest(
    id="ask-1",
    call_id="c",
    tool="exec_command",
    subject="git status && sudo git push > /etc/x",
    cwd="/repo",
    verdict=VERDICT,
    reason="to publish",
    session_grant="exactly this command",
    waiting=2,
)


def text(request: ApprovalRequest, *, whole: bool = False) -> str:
    return "\n".join(line.mark + line.text for line in card(request, whole=whole))


def test_the_card_golden() -> None:
    assert text(REQUEST) == (
        "exec_command: this needs your yes\n"
        "$ git status && sudo git push > /etc/x\n"
        "in /repo\n"
        "the model says: to publish\n"
        "\n"
        "allow git status\n"
        "ask   git push (via sudo)\n"
        "      rule git.push (user, /home/u/base.rules:12): a push is seen by others\n"
        "ask   write /etc/x\n"
        "      outside the workspace\n"
        "      not known: $y\n"
        "\n"
        "verdict: ask: a push is seen by others\n"
        "way out: open a pull request\n"
        "2 more waiting behind this one"
    )


def test_what_is_not_known_is_said_once() -> None:
    known = Part(
        kind="command",
        text="make x",
        decision=Decision.ASK,
        unknowns=("a file",),
        why="not known before it runs: a file",
    )
    shown = text(replace(REQUEST, verdict=Verdict(decision=Decision.ASK, parts=(known,))))
    assert "      not known before it runs: a file\n\nverdict: " in shown


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        pytest.param("rm -rf ~\x1b[1A\x1b[2Kls", "$ rm -rf ~␛[1A␛[2Kls", id="escape"),
        pytest.param("rm -rf ~\rls", "$ rm -rf ~␍ls", id="carriage-return"),
        pytest.param("ls" + " " * 500 + "; rm -rf ~", "$ ls ⟨500 blanks⟩ ; rm -rf ~", id="gap"),
        pytest.param("ls\n\n\n\n\n\n\n\nrm -rf ~", "$ ls\n$ ⟨7 empty lines⟩\n$ rm -rf ~", id="empty-lines"),
        pytest.param("ls\nallow rm -rf ~", "$ ls\n$ allow rm -rf ~", id="imitates-the-card"),
    ],
)
def test_a_command_cannot_hide(subject: str, shown: str) -> None:
    assert shown in text(replace(REQUEST, subject=subject))


@pytest.mark.parametrize("field", ["cwd", "reason", "subject", "session_grant"])
def test_nothing_of_the_model_steers_the_terminal(field: str) -> None:
    request = replace(REQUEST, **{field: "a\x1b[2J\x9bb"})
    assert "\x1b" not in text(request) + question(request)
    assert "\x9b" not in text(request) + question(request)


def test_a_long_command_says_what_is_not_shown_and_shows_it_on_demand() -> None:
    request = replace(REQUEST, subject="\n".join(f"echo {n}" for n in range(500)))
    assert "⟨440 lines are not shown: [v] shows them⟩" in text(request)
    assert "$ echo 250" not in text(request)
    assert "$ echo 250" in text(request, whole=True)


def test_many_parts_show_the_strictest_first() -> None:
    parts = [Part(kind="command", text=f"ls {n}", decision=Decision.ALLOW) for n in range(100)]
    parts.append(Part(kind="command", text="rm x", decision=Decision.ASK))
    request = replace(REQUEST, verdict=Verdict(decision=Decision.ASK, parts=tuple(parts)))
    assert "ask   rm x" in text(request)
    assert "71 more: [v]" in text(request)
    assert "ls 99" in text(request, whole=True)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("y", Choice(Answer.YES)),
        (" YES \n", Choice(Answer.YES)),
        ("s", Choice(Answer.SESSION)),
        ("n", Choice(Answer.NO)),
        ("n use make test instead", Choice(Answer.NO, "use make test instead")),
        ("x", Choice(Answer.STOP)),
        ("v", Choice(view=True)),
    ],
)
def test_answers(line: str, want: Choice) -> None:
    assert read_choice(line, REQUEST) == want


@pytest.mark.parametrize("line", ["", "  ", "yep", "y es", "y rm -rf", "1", "ja", "\x1b[A", "s now"])
def test_what_is_no_answer_is_not_taken_for_one(line: str) -> None:
    assert isinstance(read_choice(line, REQUEST), str)


def test_a_yes_for_the_session_only_where_it_is_on_offer() -> None:
    request = replace(REQUEST, session_grant="")
    assert isinstance(read_choice("s", request), str)
    assert "[s]" not in question(request)
    assert "[s] yes: exactly this command" in question(REQUEST)


def test_nothing_but_the_command_brings_lines_of_its_own() -> None:
    lines = "fine\n[y] yes, once\n$ git status"
    part = Part(
        kind="command", text="x", decision=Decision.ASK, why=lines, unknowns=(lines,), via=(lines, lines)
    )
    request = replace(
        REQUEST,
        cwd=f"/repo/{lines}",
        reason=lines,
        session_grant=lines,
        verdict=replace(VERDICT, parts=(part,), suggest=lines),
    )
    assert all("\n" not in line.text for line in card(request))
    assert "[y] yes, once" not in text(request).split("\n")
    assert question(request).count("\n") == 2


EXACT = Offer(
    wide=False,
    extent="`git log x`: exactly these words",
    rules=("prefix_rule(...)",),
    also=("timeout 60 git log x",),
    still=("git log x --force", "sudo git log x"),
    ends="2027-02-22",
    notes=("it runs what files of the project say",),
)
WIDE = Offer(
    wide=True, extent="everything that begins with `git log`", rules=("prefix_rule(...)",), ends="2027-02-22"
)
OFFERED = replace(
    REQUEST,
    advice="model:small left it to a person: unclear",
    offers=Offers(user=(EXACT, WIDE), project=(EXACT,), why_not=("not for the moon",)),
)


def test_what_an_always_would_allow_golden() -> None:
    assert text(OFFERED).partition("way out: open a pull request\n")[2] == (
        "model:small left it to a person: unclear\n"
        "always would allow until 2027-02-22: `git log x`: exactly these words\n"
        "  also timeout 60 git log x\n"
        "  not  git log x --force\n"
        "  not  sudo git log x\n"
        "  note it runs what files of the project say\n"
        "always, wider, would allow until 2027-02-22: everything that begins with `git log`\n"
        "always: not for the moon\n"
        "2 more waiting behind this one"
    )
    assert question(OFFERED) == (
        "[y] yes, once\n"
        "[s] yes: exactly this command\n"
        "[p] yes, always, for this project: until 2027-02-22\n"
        "[u] yes, always, for you: until 2027-02-22\n"
        "[u+] yes, always, for you: what begins the same, until 2027-02-22\n"
        "[n] no, with a message to the model   [x] stop"
    )


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("u", Choice(Answer.USER)),
        (" U+ ", Choice(Answer.USER, wide=True)),
        ("p", Choice(Answer.PROJECT)),
        ("p+", "`p+` is not on offer here; answer y, s, p, u, u+, n, x or v"),
        ("u please", "answer y, s, p, u, u+, n, x or v"),
        ("always", "answer y, s, p, u, u+, n, x or v"),
    ],
)
def test_a_lasting_answer_is_what_is_on_offer(line: str, want: Choice | str) -> None:
    assert read_choice(line, OFFERED) == want


def test_nothing_of_an_offer_steers_the_terminal() -> None:
    evil = "a\x1b[2J\x9b\nallow rm"
    offer = replace(EXACT, extent=evil, also=(evil,), still=(evil,), notes=(evil,))
    request = replace(OFFERED, advice=evil, offers=Offers(user=(offer,), why_not=(evil,)))
    shown = text(request) + question(request)
    assert "\x1b" not in shown
    assert "\nallow rm" not in shown


def test_no_character_of_a_command_is_blank_or_steers_but_the_plain_ones() -> None:
    hidden = [
        f"U+{code:04X}"
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
        and chr(code) not in " \t\n"
        and chr(code)
        in text(replace(REQUEST, subject=f"a{chr(code)}b", verdict=Verdict(decision=Decision.ASK)))
    ]
    assert hidden == []


def test_a_line_that_would_fill_the_screen_is_cut_and_says_so() -> None:
    long = "echo " + "x" * 100_000 + " ; rm -rf build"
    verdict = Verdict(decision=Decision.ASK, parts=(Part(kind="command", text=long, decision=Decision.ASK),))
    request = replace(REQUEST, subject=long, verdict=verdict)
    assert len(text(request)) < 10_000
    assert text(request).count("characters are not shown: [v] shows them") == 2
    assert text(request).count("rm -rf build") == 2
    assert text(request, whole=True).count(long) == 2
