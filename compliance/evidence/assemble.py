"""All files of a pack from logs and a period. The same records and the same period give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from compliance.events import PolicyFile
from compliance.evidence import statement
from compliance.evidence.facts import Facts
from compliance.evidence.oscal import to_oscal
from compliance.evidence.pack import Annexes, Pack, Period, make_pack
from compliance.evidence.page import html, markdown
from compliance.evidence.proofs import log_proofs
from compliance.evidence.story import document, title
from compliance.note import Signer
from compliance.reading import Log, Spoiled, Wanted, read
from compliance.reports.approvals import Approvals
from compliance.reports.base import Question
from compliance.reports.coverage import Coverage
from compliance.reports.decisions import Decisions
from compliance.reports.drift import Drift
from compliance.reports.gaps import Gaps
from compliance.reports.render import Form, render
from compliance.reports.rules import Rules
from compliance.rulebook import RuleBook, of_record
from compliance.soundness import assess
from execpolicy.bundle.load import PolicySource


@dataclass(slots=True)
class _Books:
    """The rule files that the record names, read once."""

    places: Sequence[PolicySource]
    found: RuleBook = field(default_factory=RuleBook)

    def __call__(self, recorded: Iterable[PolicyFile]) -> RuleBook:
        self.found = of_record(recorded, self.places)
        return self.found


def gather(
    name: str, logs: Sequence[Log], wanted: Wanted, places: Sequence[PolicySource] = (), generated: str = ""
) -> Pack:
    """Read the logs and make the pack. `places`: where rule files of recorded versions may be found."""
    sound = [assess(log) for log in logs]
    facts, books = Facts(), _Books(places)
    decisions, approvals, rules = Decisions(), Approvals(), Rules()
    coverage, drift, gaps = Coverage(books), Drift(), Gaps(sound)
    questions: tuple[Question, ...] = (decisions, approvals, rules, coverage, drift, gaps)
    spoiled = 0
    for seen in read(logs, wanted):
        if isinstance(seen, Spoiled):
            spoiled += 1
            for question in questions:
                question.spoil(seen)
            continue
        facts.feed(seen)
        for question in questions:
            question.feed(seen)
    annexes = Annexes(
        decisions=decisions.answer(),
        approvals=approvals.answer(),
        rules=rules.answer(),
        coverage=coverage.answer(),
        drift=drift.answer(),
        gaps=gaps.answer(),
    )
    return make_pack(
        name,
        Period(since=wanted.since, until=wanted.until),
        facts,
        sound,
        books.found,
        annexes,
        spoiled=spoiled,
        generated=generated,
    )


def pack_files(pack: Pack, signer: Signer | None) -> dict[str, bytes]:
    """Every file by its name in the pack. Without `signer` there is no statement."""
    blocks = document(pack)
    files = {
        "evidence.html": html(blocks, title(pack)).encode("utf-8", "replace"),
        "evidence.md": markdown(blocks).encode("utf-8", "replace"),
        "catalogue.json": _catalogue(pack),
    }
    for name, report in pack.annexes.named():
        files[f"tables/{name}.csv"] = render(report, Form.CSV).encode("utf-8", "replace") + b"\n"
    refs = {ref for finding in pack.findings for ref in finding.refs}
    for number, one in enumerate(pack.sound, 1):
        seqs = {ref.seq for ref in refs if ref.log == one.log.name}
        for name, data in log_proofs(one, pack.facts.starts.get(one.log.name, 1), seqs):
            files[f"proofs/log-{number}/{name}"] = data
    proofs = tuple(sorted(name for name in files if name.startswith("proofs/")))
    files["assessment-results.json"] = to_oscal(pack, proofs)
    if signer is not None:
        files["signer.vkey"] = f"{signer.verifier}\n".encode()
        files[statement.NAME] = statement.envelope(statement.statement(files, _predicate(pack)), signer)
    return files


def _catalogue(pack: Pack) -> bytes:
    return msgspec.json.format(msgspec.json.encode(pack.framework), indent=1) + b"\n"


def _predicate(pack: Pack) -> dict[str, object]:
    """What the signer says of the pack: never that it is complete when the log does not verify."""
    return {
        "framework": pack.name,
        "period": {"from": pack.period.since, "to": pack.period.until},
        "records": {"count": pack.facts.records, "first": pack.facts.first, "last": pack.facts.last},
        "complete": pack.complete,
        "incomplete": [*pack.incomplete],
        "gaps": {"count": len(pack.annexes.gaps.tables[0].rows), "unexplained": pack.unexplained},
        "generated": pack.generated,
        "controls": {finding.control.id: finding.status.value for finding in pack.findings},
        "logs": [
            {
                "log": one.log.name,
                "records": one.records,
                "last_digest": one.end.digest,
                "checkpoints": len(one.checkpoints),
                "key": str(one.key) if one.key else "",
                "intact": one.intact,
            }
            for one in pack.sound
        ],
    }
