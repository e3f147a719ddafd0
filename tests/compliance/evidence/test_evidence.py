"""Nothing is claimed that no record supports, and what is missing is listed."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from compliance.cli import app
from compliance.cli_evidence import FrameworkName
from compliance.events import Approved, Decided, PolicyFile, PolicyLoaded, Refused, Reply, SessionStarted
from compliance.evidence.catalogue import FRAMEWORKS, framework, same_control
from compliance.evidence.facts import Facts, Seal
from compliance.evidence.pack import make_pack
from compliance.evidence.page import html, markdown
from compliance.log import AuditLog
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

SOUND = Seal(True, "intact", 2)
RULES = (
    'prefix_rule(pattern = ["git", "push"], decision = "prompt", id = "push", controls = ["soc2:CC6.1"])\n'
)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_empty_record_supports_no_control(name: str) -> None:
    pack = make_pack(name, "ever", Facts(), SOUND, {}, ())
    for finding in pack.findings:
        assert all("checkpoints agree" in text for text in finding.shown), finding
        assert finding.missing
    assert "No verdict was recorded" in html(pack)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_catalogue_speaks_only_of_known_facts(name: str) -> None:
    known = set(Facts().named(SOUND))
    controls = framework(name).controls
    assert len({control.id for control in controls}) == len(controls) > 2
    for control in controls:
        assert set(control.shown_by) <= known
        assert control.shown_by or control.beyond
    assert {one.value for one in FrameworkName} == set(FRAMEWORKS)


@pytest.mark.parametrize(
    ("written", "same"),
    [("CC6.1", True), ("soc2:cc6.1", True), ("SOC 2:CC6.1", True), ("CC6.10", False), ("pci:CC6.1", False)],
)
def test_controls_are_found_by_their_names(written: str, same: bool) -> None:
    control = framework("soc2").controls[0]
    assert same_control("soc2", written, control) is same


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rules = tmp_path / "a.rules"
    rules.write_text(RULES)
    digest = hashlib.sha256(RULES.encode()).hexdigest()
    match = RuleMatch(
        rule_id="push",
        decision=Decision.ASK,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, str(rules), 1),
    )
    part = Part(kind="command", text="git push", decision=Decision.ASK, matches=(match,))
    folder = tmp_path / "audit"
    writer = AuditLog(folder)
    writer.record(SessionStarted("s", "1", "m", "/w", "/w", "read-only", "user", user="ann"))
    writer.record(PolicyLoaded("s", (PolicyFile(str(rules), "user", digest, True),)))
    verdict = Verdict(decision=Decision.ASK, parts=(part,))
    writer.record(Decided("s", "c", "exec_command", "git push", "/w", verdict))
    writer.record(Approved("s", "c", Reply.NO, "<b>ann"))
    writer.record(Refused("s", "c", "no"))
    writer.close()
    return folder


def pack_of(log: Path, name: str = "soc2") -> tuple[Result, str, str]:
    out = log.parent / "out"
    words = ["evidence", "--framework", name, "-o", str(out), "--dir", str(log)]
    result = CliRunner().invoke(app, words)
    return result, (out / f"{name}.html").read_text(), (out / f"{name}.md").read_text()


def section(text: str, control: str) -> str:
    return text.partition(f"## {control} ")[2].partition("\n## ")[0]


def test_rules_and_records_speak_for_a_control(log: Path) -> None:
    result, page, text = pack_of(log)
    assert result.exit_code == 0, result.output
    found = section(text, "CC6.1")
    assert "1 calls were judged" in found
    assert re.search(r"- push \(.*a\.rules\): 1 verdicts", found)
    assert "no rule that was enforced" not in found
    assert "not supported by a record: 0 of 0 commands" in found
    assert "no rule that was enforced" in section(text, "CC6.3")
    assert page.count("<rect") == 3


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_page_is_whole_and_loads_nothing(log: Path, name: str) -> None:
    _, page, _ = pack_of(log, name)
    seen: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, dict(attrs)))

    Reader().feed(page)
    assert not {"script", "link", "img", "iframe", "b"} & {tag for tag, _ in seen}
    assert not any("src" in attrs or "href" in attrs for _, attrs in seen)


def test_a_rule_file_that_was_changed_since_speaks_for_nothing(log: Path) -> None:
    (log.parent / "a.rules").write_text(RULES + "# later\n")
    _, _, text = pack_of(log)
    assert "no rule that was enforced" in section(text, "CC6.1")
    assert "cannot be read any more" in text


def test_a_broken_log_is_no_evidence_of_integrity(log: Path) -> None:
    path = next(log.glob("records-*"))
    path.write_bytes(path.read_bytes().replace(b'"ask"', b'"xsk"'))
    result, _, text = pack_of(log, "iso27001")
    assert result.exit_code == 1
    found = section(text, "A.8.15")
    assert "not supported by a record: the whole log was checked: broken" in found


def test_names_from_the_record_are_only_text(log: Path) -> None:
    facts = Facts()
    pack = make_pack("soc2", "<script>", facts, SOUND, {}, ("<i>|x",))
    assert "<script>" not in html(pack)
    assert "<i>" not in html(pack)
    assert "&lt;i>\\|x" in markdown(pack)
