"""`audit show` and `audit verify` as a person meets them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compliance.cli import ORDER, app
from compliance.events import (
    Approved,
    Decided,
    Gap,
    GapKind,
    Outcome,
    Ran,
    Refused,
    Reply,
    SessionEnded,
    SessionStarted,
)
from compliance.log import AuditLog
from compliance.plain import describe
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict


def run(*words: object, home: Path | None = None) -> Result:
    env = {"AGENT_HOME": str(home) if home else None}
    return CliRunner().invoke(app, [str(word) for word in words], env=env)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    times = iter(f"2026-11-24T10:00:{second:02}.000000Z" for second in range(60))
    log = AuditLog(tmp_path / "audit", clock=lambda: next(times))
    rule = RuleMatch(
        rule_id="git.push",
        decision=Decision.ASK,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "/home/ann/a.rules", 3),
        justification="others see it",
    )
    part = Part(kind="command", text="git push", decision=Decision.ASK, matches=(rule,), via=("sudo",))
    for event in (
        SessionStarted("s1", "0.1", "model-x", "/w", "/w", "workspace-write", "user"),
        Decided(
            "s1", "c1", "exec_command", "sudo git push", "/w", Verdict(decision=Decision.ASK, parts=(part,))
        ),
        Approved("s1", "c1", Reply.YES, "ann", seconds=1.5),
        Ran("s1", "c1", 0, Outcome.COMPLETED, 0.25, "0" * 64, 12, "bubblewrap"),
        Refused("s1", "c2", "bad \x1b[31mcolour\nand a line \u202e"),
        SessionEnded("s1", "done"),
    ):
        log.record(event)
    log.close()
    return tmp_path


SHOWN = """\
     1  2026-11-24 10:00:00Z  s1  session started: agent 0.1, model model-x
        in /w, workspace /w
        sandbox workspace-write, approval by user
     2  2026-11-24 10:00:01Z  s1  ask    exec_command: sudo git push  [c1]
        ask   command git push (via sudo)
              rule git.push says ask (user /home/ann/a.rules:3:1): others see it
     3  2026-11-24 10:00:02Z  s1  answer yes by ann after 1.5 s  [c1]
     4  2026-11-24 10:00:03Z  s1  ran: completed, exit status 0, 0.25 s, 12 bytes, sandbox bubblewrap  [c1]
     5  2026-11-24 10:00:04Z  s1  refused: bad \\x1b[31mcolour ...  [c2]
     6  2026-11-24 10:00:05Z  s1  session ended: done
"""


def test_show_tells_what_happened_and_why(home: Path) -> None:
    result = run("show", home=home)
    assert (result.exit_code, result.stdout) == (0, SHOWN)


def test_show_json_is_the_records_as_sealed(home: Path) -> None:
    result = run("show", "--format", "json", home=home)
    (segment,) = (home / "audit").glob("records-*")
    assert result.stdout == segment.read_text()
    one = run("show", "--decision", "ask", "--program", "git", "--last", 1, "--format", "json", home=home)
    assert [json.loads(line)["seq"] for line in one.stdout.splitlines()] == [2]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("show", "--decision", "maybe"), 2, "'maybe' is not one of"),
        (("show", "--since", "soon"), 2, "`soon` is no time"),
        (("show", "--last", "0"), 2, "Input should be"),
        (("show", "--format", "xml"), 2, "'xml' is not one of"),
        (("show", "--rule", "none.such"), 0, "no record fits"),
        (("verify", "--frobnicate"), 2, "No such option"),
    ],
)
def test_wrong_words(home: Path, words: tuple[str, ...], status: int, said: str) -> None:
    result = run(*words, home=home)
    assert (result.exit_code, said in " ".join(result.output.split())) == (status, True)


def test_verify_says_how_to_get_checkpoints(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = run("verify", home=home).stdout
    assert "checkpoints: none; install policy-agent[seal] to have sessions sign the log\n" in told


def test_an_edit_is_not_told_by_every_checkpoint_after_it(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from compliance.checkpoint import advance

    folder = tmp_path / "audit"
    for number in range(6):
        log = AuditLog(folder)
        log.record(Refused("s", f"c{number}", "no"))
        log.close()
        advance(folder)
    (segment,) = folder.glob("records-*")
    segment.write_bytes(segment.read_bytes().replace(b'"c0"', b'"c9"'))
    told = run("verify", home=tmp_path)
    lines = [line for line in told.stdout.splitlines() if "checkpoints.jsonl" in line or " more " in line]
    assert told.exit_code == 1
    assert "broken: record 1 edited" in told.stdout
    assert (len(lines), lines[-1]) == (3, "broken: 4 more checkpoints (--format json lists them)")
    whole = json.loads(run("verify", "--format", "json", home=tmp_path).stdout)
    assert [flaw["segment"] for flaw in whole["flaws"]].count("checkpoints.jsonl") == 6


def test_help_lists_every_command_in_the_order_of_use(home: Path) -> None:
    commands = run("--help", home=home).stdout.partition("Commands:\n")[2].split("\n")
    assert [line.split()[0] for line in commands if line] == list(ORDER)


def test_verify_says_what_it_checked(home: Path) -> None:
    result = run("verify", home=home)
    size = next((home / "audit").glob("records-*")).stat().st_size
    assert (result.exit_code, result.stdout) == (
        0,
        f"{home}/audit: 6 sound records, 1 segment, {size} bytes\nhead: record 6\ncheckpoints: none\n"
        "intact: 1 to 6 are one chain\n",
    )
    as_json = json.loads(run("verify", "--format", "json", home=home).stdout)
    assert (as_json["intact"], as_json["records"], as_json["last"]["seq"], as_json["flaws"]) == (
        True,
        6,
        6,
        [],
    )


def test_verify_names_the_bad_record(home: Path) -> None:
    (segment,) = (home / "audit").glob("records-*")
    segment.write_bytes(segment.read_bytes().replace(b'"answer":"yes"', b'"answer":"no"'))
    result = run("verify", home=home)
    assert result.exit_code == 1
    assert f"broken: record 3 edited at {segment.name}:3: the line is not as it was sealed" in result.stdout
    flaw = json.loads(run("verify", "--format", "json", home=home).stdout)["flaws"][0]
    assert (flaw["kind"], flaw["seq"], flaw["segment"], flaw["line"]) == ("edited", 3, segment.name, 3)
    shown = run("show", home=home)
    assert (shown.exit_code, f"{segment.name}:3 is not as it was sealed" in shown.stderr) == (1, True)


def test_verify_takes_several_folders(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    AuditLog(other).close()
    result = run("verify", home / "audit", other, tmp_path / "none")
    assert result.exit_code == 1
    assert "intact: 1 to 6 are one chain" in result.stdout
    assert "intact: nothing is recorded yet" in result.stdout
    assert f"no audit log in `{tmp_path}/none`" in result.stderr
    assert run("verify", home / "audit", other).exit_code == 0


def test_a_log_open_to_others_is_noted(home: Path) -> None:
    (home / "audit" / "head").chmod(0o644)
    assert "note: `head` can be read or written by others" in run("verify", home=home).stdout


def test_an_empty_log_is_said(tmp_path: Path) -> None:
    AuditLog(tmp_path / "audit").close()
    result = run("show", home=tmp_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing is recorded yet" in result.stderr


def test_a_log_that_was_taken_away_is_not_intact(home: Path) -> None:
    for file in (home / "audit").iterdir():
        file.unlink()
    result = run("verify", home=home)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no audit log in" in result.stderr


def test_a_record_is_proved_without_the_log(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    made = run("checkpoint", home=home)
    assert (made.exit_code, made.stdout.split("\n")[1]) == (0, "6")
    assert run("checkpoint", home=home).stdout == made.stdout
    key = (home / "audit" / "device.vkey").read_text().strip()
    proof = tmp_path / "3.tlog-proof"
    proof.write_text(run("prove", 3, home=home).stdout)
    checked = run("check-proof", proof, "--key", key)
    assert (checked.exit_code, json.loads(checked.stdout)["event"]["answer"]) == (0, "yes")
    assert (
        f"checkpoints: 1, the last over 6 records, signed by {key.split('+')[0]}"
        in run("verify", home=home).stdout
    )
    proof.write_text(proof.read_text().replace("index 2", "index 1"))
    assert run("check-proof", proof, "--key", key).exit_code == 1
    assert run("check-proof", proof, "--key", "nonsense").exit_code == 2


def test_missing_checkpoints_are_told(home: Path) -> None:
    pytest.importorskip("cryptography")
    run("checkpoint", home=home)
    (home / "audit" / "checkpoints.jsonl").unlink()
    result = run("verify", home=home)
    assert (result.exit_code, "do not belong together" in result.stdout) == (1, True)


def test_export_speaks_other_words(home: Path) -> None:
    ocsf = run("export", "--format", "ocsf", home=home)
    assert (ocsf.exit_code, [json.loads(line)["class_uid"] for line in ocsf.stdout.splitlines()]) == (
        0,
        [6002, 1007, 1007, 1007, 1007, 6002],
    )
    cef = run("export", "--format", "cef", "--decision", "ask", home=home)
    assert cef.stdout.startswith("CEF:0|policy-agent|agent|0.1|decided:ask|decided ask|3|rt=")
    assert run("export", home=home).exit_code == 2


@pytest.mark.parametrize("name", ["head", "checkpoints.jsonl"])
def test_a_pipe_in_the_log_is_told_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-I", "-m", "agent", "audit", "verify", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 1
    assert "no ordinary file" in done.stdout + done.stderr


def test_how_many_were_not_recorded_is_shown() -> None:
    assert (
        "disk full, 3 times"
        in describe(1, "2026-01-01T00:00:00.000000Z", Gap("", GapKind.UNWRITTEN, "disk full", count=3))[0]
    )
