"""One record as lines that a person reads, safe for any terminal."""

from __future__ import annotations

import re
from typing import Final, assert_never

from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    Connected,
    Decided,
    Gap,
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
from execpolicy.decision import Part, RuleMatch

MOST_TEXT: Final = 400
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str, most: int = MOST_TEXT) -> str:
    """`text` on one line, bounded, with everything that moves a terminal spelled out."""
    if len(text) > most:
        text = f"{text[: most * 3 // 4]} ... {text[-most // 4 :]}"
    return _UNSAFE.sub(_spell, text)


def _spell(found: re.Match[str]) -> str:
    code = ord(found[0])
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    return short or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def describe(seq: int, time: str, event: AuditEvent) -> list[str]:
    """The first line says what happened; indented ones say why."""
    first, *why = _words(event)
    head = f"{seq:>6}  {time[:19].replace('T', ' ')}Z  {visible(event.session[:13]) or '-'}"
    if call := getattr(event, "call", ""):
        first = f"{first}  [{visible(call)}]"  # calls run side by side: what belongs together
    lines = [f"{head}  {first}", *(f"        {line}" for line in why)]
    if event.masked:
        lines.append(f"        masked: {visible(', '.join(event.masked))}")
    return [_UNSAFE.sub(_spell, line) for line in lines]


def _words(event: AuditEvent) -> list[str]:
    match event:
        case SessionStarted():
            word = "session resumed" if event.resumed else "session started"
            return [
                f"{word}: agent {visible(event.agent_version)}, model {visible(event.model)}",
                f"in {visible(event.cwd)}, workspace {visible(event.workspace)}",
                f"sandbox {visible(event.sandbox)}, approval by {visible(event.approval)}",
            ]
        case PolicyLoaded():
            found = [
                f"policy loaded: {_count(len(event.files), 'file')}, {_count(len(event.errors), 'error')}"
            ]
            for file in event.files:
                bad = "" if file.usable else " (broken: its allows do not count)"
                found.append(f"{file.layer} {visible(file.path)} {file.digest[:19]}{bad}")
            return found + [visible(error) for error in event.errors]
        case Decided():
            first = f"{event.verdict.decision.word:<5}  {visible(event.tool)}: {visible(event.subject)}"
            return [first, *(line for part in event.verdict.parts for line in _part(part))]
        case Approved():
            who = f" by {visible(event.approver)}" if event.approver else ""
            said = f": {visible(event.message)}" if event.message else ""
            kept = f", kept as {', '.join(event.rules)} until {event.until}" if event.rules else ""
            return [f"answer {event.answer.value}{who} after {event.seconds:.1f} s{kept}{said}"]
        case Revoked():
            return [f"{visible(event.rule)} ({event.scope}) taken back by {visible(event.by)}"]
        case Ran():
            code = "" if event.exit_code is None else f", exit status {event.exit_code}"
            where = f", sandbox {visible(event.sandbox)}"
            return [
                f"ran: {event.status.value}{code}, {event.seconds:.2f} s, {event.output_bytes} bytes{where}"
            ]
        case Patched():
            return [f"patch {event.status.value}: {visible(', '.join(event.paths))}"]
        case ToolCalled():
            name = f"{event.server}.{event.tool}" if event.server else event.tool
            return [
                f"{visible(name)}: {event.status.value}, {event.seconds:.2f} s, {event.output_bytes} bytes"
            ]
        case SandboxDenied():
            about = f"{visible(event.path)}: " if event.path else ""
            return [
                f"sandbox {visible(event.sandbox)} {visible(event.mode)} denied: {about}{visible(event.sign)}"
            ]
        case Connected():
            where = f"{event.host}:{event.port} ({event.protocol})" + (
                f" at {event.address}" if event.address else ""
            )
            rules = f" by {', '.join(event.rules)}" if event.rules else ""
            why = f": {event.why}" if event.why else ""
            many = f" {event.count} times" if event.count > 1 else ""
            size = f", {event.bytes_up} bytes up, {event.bytes_down} down" if event.address else ""
            return [f"network: {event.outcome.value}{many} {visible(where + rules + why)}{size}"]
        case Overridden():
            ticket = f" ({visible(event.ticket)})" if event.ticket else ""
            return [
                f"exception opened {visible(event.rule)} until {visible(event.until)}, "
                f"approved by {visible(event.approved_by)}{ticket}"
            ]
        case Situated():
            return [
                f"situation {visible(event.id)}: workspace {visible(event.workspace)}, sandbox {event.sandbox}"
            ]
        case BundleChanged():
            ring = f" to ring {visible(event.ring)}" if event.ring else ""
            why = f": {visible(event.why)}" if event.why else ""
            return [f"bundle {visible(event.bundle)} {visible(event.version)} {event.step.value}{ring}{why}"]
        case Witnessed():
            word = "cosigned" if event.cosigned else "did not cosign"
            why = f": {visible(event.why)}" if event.why else ""
            return [f"witness {visible(event.witness)} {word} {event.size} records{why}"]
        case Refused():
            # What the model was told may go on with a whole listing; --format json has it.
            first, _, more = event.why.partition("\n")
            return [f"refused: {visible(first)}{' ...' if more.strip() else ''}"]
        case SessionEnded():
            return [f"session ended: {visible(event.why)}"]
        case Gap():
            times = f", {event.count} times" if event.count > 1 else ""
            return [f"gap ({event.kind.value}): {visible(event.reason)}{times}"]
        case other:
            assert_never(other)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _part(part: Part) -> list[str]:
    via = f" (via {visible(', '.join(part.via))})" if part.via else ""
    found = [f"{part.decision.word:<5} {part.kind} {visible(part.text)}{via}"]
    found += [f"      {_rule(rule)}" for rule in part.matches]
    found += [f"      not known: {visible(unknown)}" for unknown in part.unknowns]
    return found + ([f"      {visible(part.why)}"] if part.why else [])


def _rule(rule: RuleMatch) -> str:
    mode = "" if rule.enforced else ", audit only"
    sure = "" if rule.certainty.name == "YES" else ", maybe"
    why = f": {visible(rule.justification)}" if rule.justification else ""
    place = visible(str(rule.origin))
    return f"rule {visible(rule.rule_id)} says {rule.decision.word}{sure}{mode} ({rule.origin.layer.word} {place}){why}"
