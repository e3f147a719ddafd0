"""A pack is whole, signed, the same for the same records, and whoever changes it is found out."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compliance.checkpoint import advance
from compliance.cli import app
from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Gap,
    GapKind,
    PolicyFile,
    PolicyLoaded,
    Refused,
    Reply,
    Revoked,
    SessionStarted,
)
from compliance.evidence import statement
from compliance.evidence.assemble import gather
from compliance.evidence.catalogue import FRAMEWORKS, framework
from compliance.evidence.document import Cell, Grid, Heading, Stack
from compliance.evidence.page import html, markdown
from compliance.evidence.proofs import subtree_roots
from compliance.evidence.statement import PackError
from compliance.merkle import consistency_ranges, inclusion_ranges, leaf_hash, roots
from compliance.reading import Wanted, find_logs
from compliance.soundness import assess
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

pytest.importorskip("cryptography", reason="install the `seal` extra")
Writer = Callable[..., Path]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["evidence", *map(str, words)])


def make(log: Path, name: str = "soc2", *more: object, out: str = "pack") -> tuple[Result, Path]:
    folder = log.parent / out
    return run("--framework", name, "-o", folder, "--dir", log, *more), folder


@pytest.fixture
def log(story: list[AuditEvent], write_log: Writer) -> Path:
    folder = write_log(story[:9])
    advance(folder)
    write_log(story[9:], start=9)
    advance(folder)
    return folder


def stated(pack: Path) -> dict[str, object]:
    raw = json.loads((pack / statement.NAME).read_text())
    found = json.loads(base64.b64decode(raw["payload"]))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_pack_of_each_framework_is_sound(log: Path, name: str) -> None:
    result, pack = make(log, name)
    assert result.exit_code == 0, result.output
    checked = run("verify", pack, "--key", log / "device.vkey")
    assert checked.exit_code == 0, checked.output
    assert checked.stdout.startswith("sound: ")
    assert "note" not in checked.output
    assert int(re.findall(r"(\d+) proofs", checked.stdout)[0]) > 5
    assert stated(pack)["predicate"]["complete"] is True  # type: ignore[index]


def test_the_same_records_give_the_same_bytes(log: Path) -> None:
    packs = [make(log, "soc2", "--from", "2026-11-24T00:00:00Z", out=out)[1] for out in ("one", "two")]
    names = [sorted(path.relative_to(pack) for path in pack.rglob("*") if path.is_file()) for pack in packs]
    assert names[0] == names[1]
    for name in names[0]:
        assert (packs[0] / name).read_bytes() == (packs[1] / name).read_bytes(), name
    later = CliRunner().invoke(
        app,
        ["evidence", "--framework", "soc2", "-o", str(log.parent / "three"), "--dir", str(log)],
        env={"SOURCE_DATE_EPOCH": "1795514400"},
    )
    assert later.exit_code == 0, later.output
    assert "Made 2026-11-24T10:00:00Z" in (log.parent / "three" / "evidence.html").read_text()


def test_each_changed_missing_and_extra_file_is_named(log: Path) -> None:
    _, pack = make(log)
    page, gone, added = pack / "evidence.html", pack / "tables" / "gaps.csv", pack / "tables" / "more.csv"
    page.write_text(page.read_text().replace("ann", "bob"))
    gone.unlink()
    added.write_text("x")
    (pack / "link").symlink_to(page)
    result = run("verify", pack)
    assert result.exit_code == 1
    assert [line for line in result.stdout.splitlines() if line.startswith("wrong")] == [
        "wrong: evidence.html: changed",
        "wrong: link: extra, the statement does not list it",
        "wrong: tables/gaps.csv: missing",
        "wrong: tables/more.csv: extra, the statement does not list it",
    ]


def test_pipes_in_place_of_files_are_not_waited_for(log: Path) -> None:
    _, pack = make(log)
    for name in ("evidence.md", "proofs/log-1/consistency.json", "signer.vkey"):
        (pack / name).unlink()
        os.mkfifo(pack / name)
    result = run("verify", pack, "--key", log / "device.vkey")
    assert result.exit_code == 1
    assert result.stdout.count(": changed") == 3
    assert isinstance(run("verify", pack).exception, PackError)
    (pack / statement.NAME).unlink()
    os.mkfifo(pack / statement.NAME)
    assert isinstance(run("verify", pack).exception, PackError)


NO_STATEMENTS = (
    "",
    "{}",
    "[" * 100_000,
    '{"payload":"!","payloadType":"x","signatures":[]}',
    '{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}',
)


@pytest.mark.parametrize(
    "text", NO_STATEMENTS, ids=("empty", "no-fields", "deep", "no-base64", "no-statement")
)
def test_what_is_no_statement_is_told(log: Path, text: str) -> None:
    _, pack = make(log)
    (pack / statement.NAME).write_text(text)
    assert isinstance(run("verify", pack).exception, PackError)


def test_any_single_byte_of_any_file_is_watched(log: Path) -> None:
    _, pack = make(log)
    for path in sorted(path for path in pack.rglob("*") if path.is_file()):
        data = path.read_bytes()
        path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        result = run("verify", pack, "--key", log / "device.vkey")
        if isinstance(result.exception, PackError):  # it cannot be read as a pack
            assert path.name in str(result.exception), path
        else:
            assert result.exit_code == 1, (path, result.exception)
            assert path.name in result.output, path
        path.write_bytes(data)
    assert run("verify", pack, "--key", log / "device.vkey").exit_code == 0


def test_a_statement_of_another_key_is_no_signature(
    log: Path, story: list[AuditEvent], write_log: Writer
) -> None:
    other = write_log(story, "other")
    advance(other)
    _, pack = make(log)
    result = run("verify", pack, "--key", other / "device.vkey")
    assert result.exit_code == 1
    assert "not signed by" in result.stdout


def test_a_proof_that_was_exchanged_with_its_digest_is_found(log: Path) -> None:
    """Whoever holds the signing key can list other proofs, and still not make them prove anything."""
    from compliance.note import device_key

    _, pack = make(log)
    proof = next(pack.glob("proofs/log-1/records/*.tlog-proof"))
    growth = pack / "proofs/log-1/consistency.json"
    proof.write_text(
        re.sub(r"(?m)^index \d+$", "index 0", proof.read_text().replace("index 0\n", "index 1\n"))
    )
    steps = json.loads(growth.read_text())
    steps[0]["proof"] = steps[0]["proof"][:-1]
    growth.write_text(json.dumps(steps))
    files = {
        path.relative_to(pack).as_posix(): path.read_bytes()
        for path in pack.rglob("*")
        if path.is_file() and path.name != statement.NAME
    }
    signer = device_key(log / "device.key")
    payload = statement.statement(files, {"complete": True, "incomplete": []})
    (pack / statement.NAME).write_bytes(statement.envelope(payload, signer))
    result = run("verify", pack, "--key", log / "device.vkey")
    assert result.exit_code == 1
    assert "changed" not in result.stdout.replace("was changed", "")
    assert f"wrong: {proof.relative_to(pack)}: " in result.stdout
    assert "wrong: proofs/log-1/consistency.json: the log of 23 records does not continue" in result.stdout


def test_the_envelope_is_what_others_read(log: Path) -> None:
    dsse = pytest.importorskip("securesystemslib.dsse", reason="comes with the `oscal` extra")
    signers = pytest.importorskip("securesystemslib.signer")
    from compliance.note import read_verifier

    _, pack = make(log)
    raw = json.loads((pack / statement.NAME).read_text())
    key = read_verifier((log / "device.vkey").read_text())
    theirs = signers.SSlibKey(
        raw["signatures"][0]["keyid"], "ed25519", "ed25519", {"public": key.public.hex()}
    )
    dsse.Envelope.from_dict(raw).verify([theirs], 1)
    subject = stated(pack)["subject"]
    assert isinstance(subject, list)
    assert {one["name"] for one in subject} >= {"evidence.html", "evidence.md", "assessment-results.json"}


def test_trestle_reads_the_assessment_results(log: Path) -> None:
    model = pytest.importorskip("trestle.oscal.assessment_results", reason="install the `oscal` extra")
    for name in FRAMEWORKS:
        _, pack = make(log, name, out=f"{name}-pack")
        read = model.AssessmentResults.oscal_read(pack / "assessment-results.json")
        assert read is not None
        assert len(read.results[0].observations) > 2
    empty, pack = make(log, "soc2", "--to", "2020-01-01T00:00:00Z", out="empty")
    assert empty.exit_code == 0
    read = model.AssessmentResults.oscal_read(pack / "assessment-results.json")
    states = {finding.target.status.state for finding in read.results[0].findings}
    assert {getattr(state, "value", state) for state in states} == {"not-satisfied"}
    assert len(read.results[0].findings) == len(framework("soc2").controls)


def test_a_log_that_does_not_verify_is_not_signed_as_complete(log: Path) -> None:
    path = next(log.glob("records-*"))
    path.write_bytes(path.read_bytes().replace(b"git push", b"git pull", 1))
    result, pack = make(log, "iso27001")
    assert result.exit_code == 1
    assert "warning: not complete" in result.stderr
    page = (pack / "evidence.html").read_text()
    assert page.index("NOT complete") < page.index("<h2")
    predicate = stated(pack)["predicate"]
    assert predicate["complete"] is False  # type: ignore[index]
    assert set(predicate["controls"].values()) <= {"not verified", "no record"}  # type: ignore[index]
    assert not list(pack.glob("proofs/log-1/records/*"))
    checked = run("verify", pack)
    assert checked.exit_code == 0, checked.output
    assert "not complete" in checked.stdout.splitlines()[-1]


def test_lasting_answers_are_told_with_their_end(story: list[AuditEvent], write_log: Writer) -> None:
    lasting = [
        Approved("s", "c1", Reply.YES, "ann", scope="project", until="2027-01-31", rules=("yes-1",)),
        Approved("s", "c1", Reply.YES, "ann", scope="user", rules=("yes-2",)),
        Approved("s", "c3", Reply.YES, "ann", scope="once"),
        Revoked("t", "yes-2", "user", "/r/approved.rules", "ben"),
    ]
    pack = gather("soc2", find_logs([write_log([*story, *lasting])]), Wanted())
    assert [(one.rule, one.scope, one.until, one.end[21:]) for one in pack.facts.uses.standing] == [
        ("push", "session", "", "with the session"),
        ("", "project", "2027-01-31", ""),
        ("", "user", "", "taken back by ben"),
    ]


def test_forged_times_spoil_nothing(tmp_path: Path, story: list[AuditEvent]) -> None:
    """Whoever can rewrite the whole log can write any time: each is only text, and the clock is told."""
    from compliance.log import AuditLog

    times = iter([f"9999-99-99T{n}<b>" if n % 2 else f"2026-11-24T10:00:{n:02}.000000Z" for n in range(100)])
    writer = AuditLog(tmp_path / "audit", clock=lambda: next(times))
    for event in story:
        writer.record(event)
    writer.close()
    advance(tmp_path / "audit")
    result, pack = make(tmp_path / "audit", "nist-800-53")
    assert result.exit_code == 0, result.output
    assert "<b>" not in (pack / "evidence.md").read_text()
    assert "times the clock went back" in (pack / "evidence.html").read_text()
    assert "1970-01-01T00:00:00Z" in (pack / "assessment-results.json").read_text()


def test_a_log_that_grows_meanwhile_is_still_what_was_sealed(
    log: Path, story: list[AuditEvent], write_log: Writer
) -> None:
    (before,) = find_logs([log])
    write_log(story, start=40)
    advance(log)
    sound = assess(before)
    assert (sound.intact, sound.records, len(sound.checkpoints)) == (True, len(story), 2)
    notes = log / "checkpoints.jsonl"
    for path in [*log.glob("records-*"), log / "head"]:
        path.unlink()
    (log / "checkpoints.state").unlink()
    kept = notes.read_bytes()
    write_log(story[:4])
    notes.write_bytes(kept)
    assert not assess(find_logs([log])[0]).intact  # and one that was cut is not taken for it


def test_an_empty_period_and_a_log_without_records_say_so(log: Path, write_log: Writer) -> None:
    _, pack = make(log, "pci", "--from", "2030-01-01T00:00:00Z")
    assert "No record lies in this period" in (pack / "evidence.html").read_text()
    _, pack = make(write_log([], "empty"), "pci", "--sign-key", log / "device.key", out="other")
    assert "supports nothing" in (pack / "evidence.md").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--framework", "soc2"], "-o"),
        (["-o", "x"], "--framework"),
        (["--framework", "soc2", "-o", "x", "--from", "yesterday"], "is no time"),
        (["--framework", "soc2", "-o", "x", "--sign-key", "gone"], "no key in"),
        (["--framework", "soc2", "-o", "x", "--rules", "gone"], "no rule file"),
    ],
)
def test_wrong_usage_is_told(log: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str) -> None:
    monkeypatch.chdir(log.parent)
    result = run(*words, "--dir", log)
    assert result.exit_code == 2
    assert told in result.output


def test_a_collected_log_is_not_touched(log: Path) -> None:
    """Its private key stays where it was made: another signs, and the folder stays as it was sent."""
    key = (log / "device.key").rename(log.parent / "signing.key")
    before = {path.name: path.read_bytes() for path in log.iterdir()}
    refused, _ = make(log)
    assert "no key to sign with" in str(refused.exception)
    result, pack = make(log, "soc2", "--sign-key", key)
    assert result.exit_code == 0, result.output
    unsigned, bare = make(log, "soc2", "--unsigned", out="bare")
    assert unsigned.exit_code == 0
    assert "warning: not signed" in unsigned.stderr
    assert not (bare / statement.NAME).exists()
    assert {path.name: path.read_bytes() for path in log.iterdir()} == before
    assert run("verify", pack, "--key", log / "device.vkey").exit_code == 0


def test_a_folder_with_other_things_is_not_written_to(log: Path) -> None:
    result, _ = make(log, out="audit")
    assert result.exit_code == 2
    assert "not empty" in result.output


EVIL = "</td><script>alert(1)</script><img src=x onerror=y>\"'&[a](http://x) `|*_\n# h\n=1+1\x1b[31m\u202e"


@pytest.fixture
def hostile(tmp_path: Path, write_log: Writer) -> Path:
    """Every text of a record is hostile, and one is huge."""
    match = RuleMatch(
        rule_id=EVIL,
        decision=Decision.ASK,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, EVIL, 1),
        justification=EVIL,
        owner=EVIL,
        controls=("CC6.1", EVIL, f"soc2:{EVIL}"),
    )
    parts = (Part(kind="command", text=EVIL, decision=Decision.ASK, matches=(match,)),)
    verdict = Verdict(decision=Decision.ASK, parts=parts)
    events: list[AuditEvent] = [
        SessionStarted(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, user=EVIL, host=EVIL),
        PolicyLoaded(EVIL, (PolicyFile(EVIL, EVIL, "0" * 64, True),), (EVIL,)),
        Decided(EVIL, EVIL, EVIL, EVIL * 20_000, EVIL, verdict),
        Approved(EVIL, EVIL, Reply.SESSION, EVIL, EVIL),
        Refused(EVIL, EVIL, EVIL),
        Gap(EVIL, GapKind.LOST, EVIL),
    ]
    folder = write_log(events, "hostile")
    advance(folder)
    return folder


TAGS = set(
    re.findall(
        r"\w+",
        "html head meta title style body main h1 h2 h3 h4 p div strong span b ul li table caption thead tbody tr th td "
        "a figure figcaption svg rect text line",
    )
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_what_records_hold_is_only_text_in_the_page(hostile: Path) -> None:
    result, pack = make(hostile)
    assert result.exit_code == 0, result.output
    page = (pack / "evidence.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert {tag for tag, _ in tags.seen} <= TAGS
    for _, attrs in tags.seen:
        assert not any(name.startswith("on") or name in {"src", "style"} for name in attrs)
        assert str(attrs.get("href", "#")).startswith("#")
    anchors = {attrs["id"] for _, attrs in tags.seen if "id" in attrs}
    assert {str(attrs["href"])[1:] for tag, attrs in tags.seen if tag == "a"} <= anchors
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", page)
    policy = next(attrs["content"] for _, attrs in tags.seen if attrs.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    assert len(page) < 2_000_000
    assert run("verify", pack, "--key", hostile / "device.vkey").exit_code == 0


def test_what_records_hold_is_only_text_in_markdown(hostile: Path) -> None:
    """Read by a real parser, with everything on that could make more of it."""
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable("table")
    _, pack = make(hostile)
    made = {token.type for token in reader.parse((pack / "evidence.md").read_text())}
    inner = {
        child.type
        for token in reader.parse((pack / "evidence.md").read_text())
        for child in token.children or ()
    }
    assert not {"html_block", "fence", "code_block"} & made
    assert inner <= {"text", "softbreak", "strong_open", "strong_close", "text_special"}


def test_blocks_say_the_same_in_both_forms() -> None:
    blocks = [
        Heading(2, "1. A"),
        Grid("c", ("a", "n"), (("- x", 1), (Cell("y", badge="evil", link="z"), 20))),
        Stack("s", (("allow", "#fff"),), (("d", (3,)),)),
    ]
    assert markdown(blocks) == (
        "## 1\\. A\n\nc:\n\n| a | n |\n| --- | --- |\n| \\- x | 1 |\n| y | 20 |\n\n"
        "s:\n\n| time | allow |\n| --- | --- |\n| d | 3 |\n\n"
    )
    assert '<td class="n">20</td>' in html(blocks, "t")
    assert "evil" not in html(blocks, "t")


@pytest.mark.parametrize("size", [*range(1, 20), 63, 64, 65, 100])
def test_subtrees_of_one_pass_are_those_of_many(size: int) -> None:
    leaves = [leaf_hash(str(at).encode()) for at in range(size)]
    wanted = [inclusion_ranges(at, size) for at in range(0, size, 3)]
    wanted += [consistency_ranges(old, size) for old in range(0, size, 5)]
    found = subtree_roots({one for several in wanted for one in several}, iter(leaves))
    for several in wanted:
        assert tuple(found[one] for one in several) == roots(several, leaves)
