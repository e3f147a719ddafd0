"""A pack told as a document: first what was found, then control by control, then what lies behind it. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final

from compliance.evidence.document import (
    Badge,
    Banner,
    Bars,
    Block,
    Bullets,
    Cell,
    Grid,
    Heading,
    Stack,
    Text,
    Tiles,
)
from compliance.evidence.pack import Finding, Pack, Status, buckets
from compliance.evidence.uses import Ref, RuleKey, Use
from compliance.reports.base import Table
from execpolicy.decision import Decision

ALLOW, ASK, DENY, BLUE, GREY = "#2e7d4f", "#d9a441", "#b3261e", "#1f4e79", "#9aa5b1"
_LAYERS: Final = (("allowed", ALLOW), ("asked", ASK), ("denied", DENY))
_BADGES: Final = {
    Status.SUPPORTED: "good",
    Status.PARTLY: "part",
    Status.NONE: "none",
    Status.UNVERIFIED: "bad",
}
MOST_ROWS: Final = 200  # of a table in the document; the files beside it hold all


def title(pack: Pack) -> str:
    return f"Evidence pack: {pack.framework.title}"


def document(pack: Pack) -> list[Block]:
    return [
        *_front(pack),
        *_overview(pack),
        Heading(2, "Control by control", "controls"),
        *(block for finding in pack.findings for block in _control(pack, finding)),
        *_annexes(pack),
        *_method(pack),
    ]


def _front(pack: Pack) -> list[Block]:
    facts = pack.facts
    hosts = ", ".join(sorted(facts.hosts - {""})[:5]) or "not recorded"
    made = f" Made {pack.generated}." if pack.generated else ""
    period = pack.period
    since, until = period.since or facts.first or "the beginning", period.until or facts.last or "the end"
    where = f"Period: {_short(since)} to {_short(until)}, UTC. Machines: {hosts}.{made}"
    good = [
        f"{one.log.name or 'The log'}: {one.text}; {_signatures(one.checked, len(one.checkpoints))}"
        for one in pack.sound
    ]
    if not facts.records:
        banner = Banner(False, "No record lies in this period: this pack supports nothing.", pack.incomplete)
    elif pack.complete:
        banner = Banner(True, "The log was checked as a whole and is what was sealed.", tuple(good))
    else:
        told = "The record does not verify. This pack is NOT complete, and no claim in it is verified."
        banner = Banner(False, told, pack.incomplete)
    decided = facts.decided
    numbers = (
        ("records", facts.records),
        ("calls judged", sum(decided.values())),
        ("denied", decided[Decision.DENY]),
        ("asked about", decided[Decision.ASK]),
        ("people who answered", len(facts.people)),
        ("exceptions used", sum(one.calls for one in facts.uses.openings.values())),
        ("gaps", len(pack.annexes.gaps.tables[0].rows)),
    )
    tiles = tuple((word, f"{value:,}".replace(",", " ")) for word, value in numbers)
    return [Heading(1, title(pack)), Text(where), banner, Tiles(tiles)]


def _short(time: str) -> str:
    """To the second, as a person reads it."""
    return time[:19].replace("T", " ")


def _signatures(checked: bool, checkpoints: int) -> str:
    if not checkpoints:
        return "no checkpoint was signed"
    return f"{checkpoints} checkpoints, {'signatures good' if checked else 'signatures not looked at'}"


def _overview(pack: Pack) -> list[Block]:
    counts = Counter(finding.status for finding in pack.findings)
    colours = {Status.SUPPORTED: ALLOW, Status.PARTLY: ASK, Status.NONE: GREY, Status.UNVERIFIED: DENY}
    rows = tuple(
        (
            Cell(finding.control.id, link=_anchor(finding)),
            finding.control.title,
            Cell(finding.status.value, badge=_BADGES[finding.status]),
            len(finding.shown),
            len(finding.rules),
            len(finding.missing),
        )
        for finding in pack.findings
    )
    top: Counter[str] = Counter()
    for key, use in pack.facts.uses.rules.items():
        top[key.id] += sum(use.verdicts.values())
    blocks: list[Block] = [
        Heading(2, "Overview", "overview"),
        Text(
            "Each line is a control that a record of this kind can say something about. The state says how far "
            "records speak for it; it is no judgement of conformity. That remains with the reader."
        ),
        Grid(
            "Controls and what records say for them",
            ("control", "about", "state", "claims", "rules", "missing"),
            rows,
        ),
        Bars(
            "Controls by state", tuple((status.value, counts[status], colours[status]) for status in Status)
        ),
    ]
    bars = buckets(pack.facts)
    if bars:
        blocks.append(Stack("Calls judged over time (UTC)", _LAYERS, bars))
    else:
        blocks.append(Text("No verdict was recorded in the period."))
    leading = sorted(top.items(), key=lambda item: (-item[1], item[0]))[:12]
    if leading:
        blocks.append(
            Bars("Rules that were enforced most", tuple((name, count, BLUE) for name, count in leading))
        )
    return blocks


def _control(pack: Pack, finding: Finding) -> list[Block]:
    control = finding.control
    blocks: list[Block] = [
        Heading(3, f"{control.id}  {control.title}", _anchor(finding)),
        Badge(finding.status.value, _BADGES[finding.status]),
        Text(f"What such a record can show: {control.aim}."),
    ]
    if finding.shown:
        rows = tuple((fact.count, fact.text, _refs(fact.refs)) for fact in finding.shown)
        blocks.append(Grid(f"{control.id}: shown by records", ("records", "claim", "for example"), rows))
    if finding.rules:
        rules = tuple(_rule(one.key, one.use) for one in finding.rules[:MOST_ROWS])
        blocks.append(Grid(f"{control.id}: rules that name it and were enforced", _RULE_COLUMNS, rules))
    if finding.answers:
        answers = tuple((answer.value, who or "nobody", count) for answer, who, count in finding.answers)
        blocks.append(
            Grid(f"{control.id}: answers to what these rules asked", ("answer", "by", "number"), answers)
        )
    named = {rule.key.id for rule in finding.rules}
    openings = tuple(row for row in _openings(pack) if row[0] in named)
    if openings:
        blocks.append(Grid(f"{control.id}: exceptions that opened these rules", _OPENING_COLUMNS, openings))
    blocks += [Heading(4, "Missing"), Bullets(finding.missing, warns=True)] if finding.missing else []
    if finding.beyond:
        told = "; ".join(finding.beyond)
        blocks.append(Text(f"Outside of any such record: {told}."))
    return blocks


_RULE_COLUMNS: Final = (
    "rule",
    "says",
    "owner",
    "where",
    "version",
    "allowed",
    "asked",
    "denied",
    "last",
    "for example",
)


def _rule(key: RuleKey, use: Use) -> tuple[str | int | Cell, ...]:
    return (
        key.id,
        use.says.word,
        use.owner or "not named",
        f"{key.path.rsplit('/', 1)[-1]}:{use.line} ({use.layer})",
        key.digest[:12] or "not known",
        *(use.verdicts[decision] for decision in Decision),
        use.last[:10],
        _refs(tuple(use.refs)),
    )


_OPENING_COLUMNS: Final = ("rule", "approved by", "until", "ticket", "calls", "first", "last", "for example")


def _openings(pack: Pack) -> list[tuple[str | int | Cell, ...]]:
    return [
        (
            opening.rule,
            opening.approved_by,
            opening.until,
            opening.ticket or "none",
            found.calls,
            _short(found.first),
            _short(found.last),
            _refs(tuple(found.refs)),
        )
        for opening, found in sorted(
            pack.facts.uses.openings.items(), key=lambda item: (item[0].rule, item[0].until, item[0].origin)
        )
    ]


def _annexes(pack: Pack) -> list[Block]:
    uses = pack.facts.uses
    rules = [_rule(key, use) for key, use in sorted(uses.rules.items())]
    standing = [
        (
            one.rule or "(no rule)",
            one.approver or "nobody",
            one.scope,
            _short(one.ref.time),
            one.until or "no day is set",
            one.end or "no end is recorded",
            ", ".join(one.made),
            _refs((one.ref,)),
        )
        for one in uses.standing
    ]
    approvals, drift, gaps = pack.annexes.approvals, pack.annexes.drift, pack.annexes.gaps
    return [
        Heading(2, "Exceptions and overrides", "exceptions"),
        *_bounded(
            Grid("Exceptions that opened a rule, with their end", _OPENING_COLUMNS, tuple(_openings(pack))),
            "No call was opened by an exception.",
        ),
        *_bounded(
            Grid(
                "Answers that hold beyond their call",
                ("rule", "by", "reach", "from", "last day", "ended", "rules made", "record"),
                tuple(standing),
            ),
            "No answer holds beyond its call.",
        ),
        Heading(2, "Approvals", "approvals"),
        *(
            block
            for table in approvals.tables[:2]
            for block in _table(table, "Nothing was asked and answered.")
        ),
        *(Text(f"{note}.") for note in approvals.notes),
        Heading(2, "Rules in force", "rules"),
        *_bounded(
            Grid(
                "Rules that were enforced in the period, by version of their file",
                _RULE_COLUMNS,
                tuple(rules),
            ),
            "No rule was enforced in the period.",
        ),
        *(
            block
            for table in drift.tables[1:]
            for block in _table(table, f"{table.name.capitalize()}: none.")
        ),
        Heading(2, "Gaps", "gaps"),
        *_table(gaps.tables[0], "No gap is in the record."),
        *(Text(f"{note}.") for note in gaps.notes),
    ]


def _table(table: Table, empty: str) -> list[Block]:
    caption = table.name.capitalize()
    rows: tuple[tuple[str | int | Cell, ...], ...] = table.rows
    return _bounded(Grid(caption, table.columns, rows), empty)


def _bounded(grid: Grid, empty: str) -> list[Block]:
    if not grid.rows:
        return [Text(empty)]
    more = len(grid.rows) - MOST_ROWS
    blocks: list[Block] = [Grid(grid.caption, grid.columns, grid.rows[:MOST_ROWS])]
    if more > 0:
        blocks.append(Text(f"{more} more rows are in the folder `tables`."))
    return blocks


def _method(pack: Pack) -> list[Block]:
    rows = tuple(
        (
            one.log.name or "the log",
            one.records,
            one.end.digest[:16],
            len(one.checkpoints),
            one.unsigned,
            one.key.name if one.key else "none",
            one.text,
        )
        for one in pack.sound
    )
    blocks: list[Block] = [
        Heading(2, "Proofs", "proofs"),
        Grid(
            "Logs as they were found when the pack was made",
            ("log", "records", "last digest", "checkpoints", "not signed yet", "key", "found"),
            rows,
        ),
        Bullets(
            (
                "proofs/: for each log its signed checkpoints, its public key, what the check found, proofs that "
                "the log only grew, and for each record that is named here a proof that it is in the log (C2SP "
                "tlog-proof)",
                "tables/: every table in full, as CSV",
                "assessment-results.json: the same in OSCAL",
                "statement.dsse.json: the digest of every file of this pack, signed (an in-toto Statement in a "
                "DSSE envelope)",
                "To check all of it without the log: agent audit evidence verify FOLDER --key KEY",
            )
        ),
        Heading(2, "How to read this", "method"),
        Bullets(
            (
                "A claim is a sentence with the number of records that say so. What no record says is under Missing.",
                "Rules speak for a control when their `controls` name it, they were enforced, and the version of "
                "their file is the recorded one.",
                "State: supported means that each kind of record that the catalogue looks for is there, and a rule "
                "where the control is about enforcement; partly, that some are; no record, that none is; not "
                "verified, that the log is not as it was sealed.",
                "The catalogue holds only controls that such a log can speak for, in words of its own.",
                "Times are those of the machines, in UTC.",
            )
        ),
    ]
    if pack.notes:
        blocks += [Heading(3, "Notes"), Bullets(pack.notes)]
    return blocks


def _refs(refs: tuple[Ref, ...]) -> str:
    return ", ".join(f"{f'{ref.log} ' if ref.log else ''}#{ref.seq}" for ref in refs)


def _anchor(finding: Finding) -> str:
    return f"c-{finding.control.token}"
