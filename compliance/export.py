"""Records in the words of other systems: JSON Lines, CSV, OCSF, ECS, CEF. Pure functions of a record.

A session's beginning says who and where; it is remembered for the records that follow.
"""

from __future__ import annotations

import csv
import enum
import io
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from compliance.codec import JsonObject, kind_of
from compliance.ecs import to_ecs
from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    BundleStep,
    Connected,
    Decided,
    Gap,
    LinkEnd,
    Overridden,
    Patched,
    PolicyLoaded,
    Ran,
    Refused,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.moments import epoch_millis
from compliance.ocsf import PRODUCT, to_ocsf
from compliance.otlp import to_otlp
from compliance.query import Entry, Filter, Unreadable
from execpolicy.decision import Decision

MOST_SESSIONS: Final = 4096
COLUMNS: Final = (
    "seq",
    "time",
    "session",
    "user",
    "host",
    "kind",
    "call",
    "tool",
    "decision",
    "rules",
    "subject",
    "outcome",
    "by",
    "reason",
    "masked",
    "digest",
)
_BAD_STEPS: Final = (BundleStep.FAILED, BundleStep.KILLED, BundleStep.EXPIRED, BundleStep.ROLLED_BACK)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FORMULA: Final = re.compile("[\\s\x00-\x1f\ufeff]*[=+\\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")


class Format(enum.Enum):
    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"
    ECS = "ecs"
    CEF = "cef"
    OTLP = "otlp"


@dataclass(frozen=True, slots=True)
class Whose:
    """Of whose sessions; an empty condition holds always. What belongs to no session is anybody's."""

    user: str = ""
    host: str = ""

    def holds(self, event: AuditEvent, started: SessionStarted | None) -> bool:
        if not event.session or not (self.user or self.host):
            return True
        return started is not None and self.user in ("", started.user) and self.host in ("", started.host)


def export(
    found: Iterable[Entry | Unreadable], format: Format, wanted: Filter, whose: Whose = Whose()
) -> Iterator[str | Unreadable]:
    """What fits `wanted` and `whose` of the whole log `found`, in lines of `format`."""
    sessions: OrderedDict[str, SessionStarted] = OrderedDict()
    if format is Format.CSV:
        yield _csv_line(COLUMNS)
    for entry in found:
        if isinstance(entry, Unreadable):
            yield entry
            continue
        event = entry.event
        if isinstance(event, SessionStarted):
            sessions[event.session] = event
            sessions.move_to_end(event.session)
            if len(sessions) > MOST_SESSIONS:
                sessions.popitem(last=False)
        started = sessions.get(event.session)
        if wanted.holds(entry.record.time, event) and whose.holds(event, started):
            yield from _lines(entry, format, started)


def _lines(entry: Entry, format: Format, started: SessionStarted | None) -> Iterator[str]:
    match format:
        case Format.JSONL:
            yield entry.line.decode()
        case Format.CSV:
            row = _row(entry, started)
            yield _csv_line([plain_cell(row[name]) for name in COLUMNS])
        case Format.OCSF:
            yield from map(_compact, to_ocsf(entry.record, entry.event, started))
        case Format.ECS:
            yield _compact(to_ecs(entry.record, entry.event, started))
        case Format.CEF:
            yield _cef(entry, started)
        case Format.OTLP:
            yield _compact(to_otlp(entry.record, entry.event, started))
        case other:
            assert_never(other)


def _compact(value: JsonObject) -> str:
    return json.dumps(value, separators=(",", ":"))


def _csv_line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)  # so that either line end in a cell is quoted
    return out.getvalue().removesuffix("\r\n")


def plain_cell(text: str) -> str:
    """A spreadsheet takes some texts for formulas; those begin with an apostrophe."""
    return f"'{text}" if _FORMULA.match(text) else text


def _row(entry: Entry, started: SessionStarted | None) -> dict[str, str]:
    record, event = entry.record, entry.event
    row = dict.fromkeys(COLUMNS, "")
    row |= {"seq": str(record.seq), "time": record.time, "session": event.session, "kind": kind_of(event)}
    row |= {"masked": " ".join(event.masked), "digest": record.digest}
    if started is not None:
        row |= {"user": started.user, "host": started.host}
    return row | _told(event)


def _told(event: AuditEvent) -> dict[str, str]:
    match event:
        case SessionStarted():
            return {"subject": event.cwd, "reason": f"model {event.model}, sandbox {event.sandbox}"}
        case PolicyLoaded():
            return {"subject": " ".join(file.path for file in event.files), "reason": "; ".join(event.errors)}
        case Decided():
            rules = " ".join(dict.fromkeys(match.rule_id for match in event.verdict.matches))
            why = next((part.why for part in event.verdict.parts if part.why), "")
            deciding = event.verdict.deciding
            reason = (deciding.justification or "") if deciding else why
            told = {"call": event.call, "tool": event.tool, "subject": event.subject, "rules": rules}
            return told | {"decision": event.verdict.decision.word, "reason": reason}
        case Overridden():
            told = {"call": event.call, "rules": event.rule, "outcome": "overridden", "by": event.approved_by}
            return told | {"reason": f"until {event.until}{f', {event.ticket}' if event.ticket else ''}"}
        case Approved():
            told = {"call": event.call, "outcome": event.answer.value, "by": event.approver}
            return told | {"reason": event.message, "rules": " ".join(event.rules)}
        case Revoked():
            told = {"rules": event.rule, "outcome": "revoked", "by": event.by}
            return told | {"subject": event.path, "reason": f"kept for the {event.scope}"}
        case Ran():
            code = "" if event.exit_code is None else f"exit status {event.exit_code}"
            return {"call": event.call, "outcome": event.status.value, "by": event.sandbox, "reason": code}
        case ToolCalled():
            tool = f"{event.server}/{event.tool}" if event.server else event.tool
            return {"call": event.call, "outcome": event.status.value, "tool": tool}
        case SandboxDenied():
            told = {"call": event.call, "outcome": "sandbox denied", "by": event.sandbox}
            return told | {"subject": event.path, "reason": event.sign}
        case Connected():
            told = {"call": event.call, "outcome": event.outcome.value, "decision": event.decision}
            subject = f"{event.host}:{event.port}"
            return told | {"subject": subject, "rules": " ".join(event.rules), "reason": event.why}
        case Situated():
            return {"subject": event.workspace, "reason": f"sandbox {event.sandbox}, situation {event.id}"}
        case BundleChanged():
            told = {"subject": f"{event.bundle} {event.version}", "outcome": event.step.value}
            return told | {"by": event.by, "reason": event.why}
        case Patched():
            return {"call": event.call, "outcome": event.status.value, "subject": " ".join(event.paths)}
        case Refused():
            return {"call": event.call, "outcome": "refused", "reason": event.why}
        case SessionEnded():
            return {"reason": event.why}
        case Witnessed():
            return {
                "outcome": "cosigned" if event.cosigned else "not cosigned",
                "by": event.witness,
                "reason": event.why,
            }
        case Gap():
            return {"outcome": event.kind.value, "reason": event.reason}
        case other:
            assert_never(other)


def _severity(event: AuditEvent) -> int:
    match event:
        case Decided():
            return {Decision.ALLOW: 1, Decision.ASK: 3, Decision.DENY: 6}[event.verdict.decision]
        case Refused() | SandboxDenied():
            return 6
        case Connected():
            return 6 if event.outcome in (LinkEnd.REFUSED, LinkEnd.CUT) else 1
        case BundleChanged():
            return 6 if event.step in _BAD_STEPS else 1
        case Witnessed():
            return 1 if event.cosigned else 5
        case Gap():
            return 8
        case Approved() | Overridden() | Revoked():
            return 3
        case (
            SessionStarted() | PolicyLoaded() | Situated() | Ran() | ToolCalled() | Patched() | SessionEnded()
        ):
            return 1
        case other:
            assert_never(other)


def _cef(entry: Entry, started: SessionStarted | None) -> str:
    row, event = _row(entry, started), entry.event
    version = started.agent_version if started else ""
    name = row["kind"].replace("_", " ") + (f" {row['decision']}" if row["decision"] else "")
    signature = f"{row['kind']}:{row['decision']}" if row["decision"] else row["kind"]
    head = [PRODUCT, "agent", version, signature, name, str(_severity(event))]
    extension = {
        "rt": str(epoch_millis(entry.record.time)),
        "externalId": row["seq"],
        "suser": row["user"],
        "dvchost": row["host"],
        "act": row["decision"],
        "outcome": row["outcome"],
        "msg": row["subject"],
        "reason": row["reason"],
        **(_peer(event) if isinstance(event, Connected) else {}),
        **_labelled(1, "session", event.session),
        **_labelled(2, "call", row["call"]),
        **_labelled(3, "rules", row["rules"]),
        **_labelled(4, "tool", row["tool"]),
        **_labelled(5, "digest", entry.record.digest),
        **_labelled(6, "by", row["by"]),
    }
    told = " ".join(f"{key}={_cef_value(value)}" for key, value in extension.items() if value)
    return "|".join(["CEF:0", *map(_cef_header, head), told])


def _peer(event: Connected) -> dict[str, str]:
    """The other machine, in the dictionary's words; `out` is what the command sent."""
    return {
        "dhost": event.host,
        "dst": event.address,
        "dpt": str(event.port),
        "app": event.protocol,
        "proto": "UDP" if event.protocol.endswith("udp") else "TCP",
        "out": str(event.bytes_up),
        "in": str(event.bytes_down),
        "cnt": str(event.count),
    }


def _labelled(number: int, label: str, value: str) -> dict[str, str]:
    return {f"cs{number}Label": label, f"cs{number}": value} if value else {}


def _cef_header(text: str) -> str:
    return _CONTROL.sub(" ", text).replace("\\", "\\\\").replace("|", "\\|")


def _cef_value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("=", "\\=")
    return _CONTROL.sub(" ", escaped.replace("\r", "\\r").replace("\n", "\\n"))
