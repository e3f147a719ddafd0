"""What a record says, counted. Each claim has its number and records that support it, or it is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from compliance.events import (
    Approved,
    BundleChanged,
    BundleStep,
    Connected,
    Decided,
    Gap,
    GapKind,
    LinkEnd,
    Overridden,
    Patched,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SandboxDenied,
    SessionStarted,
    ToolCalled,
    Witnessed,
)
from compliance.evidence.uses import EXAMPLES, MOST, Ref, Uses
from compliance.in_force import WHOLE
from compliance.query import program_of
from compliance.reading import Seen
from compliance.reports.base import OTHERS, tally
from compliance.soundness import Soundness
from execpolicy.decision import Decision

WANTED: Final[Mapping[str, str]] = MappingProxyType(
    {  # what a record of each fact would be of
        "log": "anything",
        "decisions": "a call that was judged",
        "denials": "a call that did not run",
        "asks": "a call that waited for an answer",
        "least": "a call that no rule knew and that was not simply allowed",
        "oversight": "an answer by a person who is named",
        "reviewed": "an answer by a command or a model that was set to answer",
        "exceptions": "a call that an exception opened",
        "confinement": "a command that ran confined by a sandbox",
        "sandbox": "something that a sandbox prevented",
        "reached": "a connection that was judged and made",
        "unreached": "a connection that was refused",
        "outcomes": "an outcome",
        "sessions": "a session whose user is named",
        "models": "a session whose model is named",
        "change": "rules that were loaded",
        "bundles": "a step of a bundle of rules, and who signed for it",
        "killed": "a bundle that was killed or rolled back",
        "privileged": "a call that changes the user",
        "witnessed": "a checkpoint that a witness cosigned",
        "failures": "a gap, and so nothing that shows what happens at one",
        "integrity": "the period in a log that verifies as a whole",
        "signed": "a signed checkpoint that was checked",
        "time": "a time",
        "retention": "a time",
    }
)
_MACHINES: Final = ("command:", "model:")  # how the names of answerers that are nobody begin
_NAMED: Final = 5
PRIVILEGED: Final = frozenset({"sudo", "doas", "su", "pkexec", "runuser", "run0"})


@dataclass(frozen=True, slots=True)
class Fact:
    """`count` records say so; none do where it is 0."""

    count: int
    text: str
    refs: tuple[Ref, ...] = ()


@dataclass(slots=True)
class _Claim:
    count: int = 0
    refs: list[Ref] = field(default_factory=list)


@dataclass(slots=True)
class Facts:
    """Eats the records of the period."""

    records: int = 0
    first: str = ""
    last: str = ""
    starts: dict[str, int] = field(default_factory=dict)  # number of the first record, of each log
    backwards: int = 0
    days: Counter[tuple[str, Decision]] = field(default_factory=Counter)
    decided: Counter[Decision] = field(default_factory=Counter)
    people: set[str] = field(default_factory=set)
    reviewers: set[str] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)  # hosts
    users: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    policies: set[tuple[str, str]] = field(default_factory=set)  # path, digest
    gaps: Counter[GapKind] = field(default_factory=Counter)
    granted: int = 0
    replaced: int = 0  # times that another policy was in force than in the session before
    ran: int = 0
    uses: Uses = field(default_factory=Uses)
    _claims: dict[str, _Claim] = field(default_factory=dict)
    _times: dict[str, str] = field(default_factory=dict)  # of the last record of each log

    def feed(self, seen: Seen) -> None:
        record = seen.record
        self.records += 1
        self.first = min(self.first or record.time, record.time)
        self.last = max(self.last, record.time)
        self.backwards += record.time < self._times.get(seen.log.name, "")
        self._times[seen.log.name] = record.time
        self.starts.setdefault(seen.log.name, record.seq)
        self._claim("log", seen)
        self._event(seen)
        self.uses.feed(seen, self._ref(seen))

    def _event(self, seen: Seen) -> None:
        match seen.event:
            case Decided() as event:
                self._decided(seen, event)
            case Approved() as event:
                if not event.approver or event.answer in (Reply.TIMEOUT, Reply.UNATTENDED):
                    return
                if event.approver.startswith(_MACHINES):
                    self._claim("reviewed", seen)
                    _add(self.reviewers, event.approver)
                else:
                    self._claim("oversight", seen)
                    self.granted += event.answer.granted
                    _add(self.people, event.approver)
            case Overridden():
                self._claim("exceptions", seen)
            case Ran() as event:
                self._claim("outcomes", seen)
                self.ran += 1
                if event.sandbox not in ("", "none"):
                    self._claim("confinement", seen)
            case ToolCalled() | Patched():
                self._claim("outcomes", seen)
            case SandboxDenied():
                self._claim("sandbox", seen)
            case Connected() as event:
                self._connected(seen, event)
            case Refused():
                self._claim("denials", seen)
            case SessionStarted() as event:
                if event.user:
                    self._claim("sessions", seen)
                    _add(self.users, event.user)
                if event.model:
                    self._claim("models", seen)
                    _add(self.models, event.model)
                _add(self.hosts, event.host)
            case PolicyLoaded() as event:
                if event.files:
                    self._claim("change", seen)
                for file in event.files:
                    _add(self.policies, (file.path, file.digest))
            case BundleChanged() as event:
                if event.by:
                    self._claim("bundles", seen)
                self.replaced += event.bundle == WHOLE
                if event.step in (BundleStep.KILLED, BundleStep.ROLLED_BACK):
                    self._claim("killed", seen)
            case Witnessed(cosigned=True):
                self._claim("witnessed", seen)
            case Gap() as event:
                self._claim("failures", seen)
                self.gaps[event.kind] += 1
            case _:
                pass

    def _connected(self, seen: Seen, event: Connected) -> None:
        if event.decision == "deny" or event.outcome is LinkEnd.REFUSED:
            self._claim("unreached", seen, event.count)
            self._claim("sandbox", seen, event.count)
            return
        if event.outcome is LinkEnd.OPENED:  # another record says how it ended
            self._claim("reached", seen, event.count)
            _add(self.reached, event.host)
        else:
            self._claim("outcomes", seen, event.count)

    def _decided(self, seen: Seen, event: Decided) -> None:
        verdict = event.verdict
        self._claim("decisions", seen)
        self.decided[verdict.decision] += 1
        tally(self.days, (seen.record.time[:10], verdict.decision), (OTHERS, verdict.decision))
        if verdict.decision is Decision.ASK:
            self._claim("asks", seen)
        if verdict.decision is not Decision.ALLOW and verdict.deciding is None:
            self._claim("least", seen)
        names = {name.rsplit("/", 1)[-1] for part in verdict.parts for name in part.via}
        names |= {program_of(part).rsplit("/", 1)[-1] for part in verdict.parts if part.kind == "command"}
        if names & PRIVILEGED:
            self._claim("privileged", seen)

    def _claim(self, name: str, seen: Seen, times: int = 1) -> None:
        claim = self._claims.setdefault(name, _Claim())
        claim.count += times
        if len(claim.refs) < EXAMPLES:
            claim.refs.append(self._ref(seen))

    @staticmethod
    def _ref(seen: Seen) -> Ref:
        return Ref(seen.log.name, seen.record.seq, seen.record.time, seen.record.digest)

    def named(self, sound: Sequence[Soundness]) -> dict[str, Fact]:
        """Each fact that the catalogue speaks of."""
        told = self._sentences()
        found = {
            name: Fact(claim.count, told[name], tuple(claim.refs))
            for name in told
            for claim in (self._claims.get(name, _Claim()),)
        }
        whole = self.records > 0 and bool(sound) and all(one.intact for one in sound)
        signed = sum(len(one.checkpoints) for one in sound if one.checked) if whole else 0
        log = found["log"]
        found["integrity"] = Fact(
            self.records if whole else 0,
            "; ".join(f"{one.log.name or 'the log'}: {one.text}" for one in sound) or "no log was checked",
            log.refs if whole else (),
        )
        found["signed"] = Fact(
            signed, f"{signed} signed checkpoints agree with the log and their signatures are good", log.refs
        )
        back = f"; {self.backwards} times the clock went back" if self.backwards else ""
        found["time"] = Fact(log.count, f"{log.count} records carry a time in UTC{back}", log.refs)
        span = _days(self.first, self.last)
        found["retention"] = Fact(
            log.count,
            f"the records of the period span {span} days, {self.first[:10]} to {self.last[:10]}",
            log.refs,
        )
        return found

    def _sentences(self) -> dict[str, str]:
        """The number of a claim is put before its sentence."""
        deny, ask = self.decided[Decision.DENY], self.decided[Decision.ASK]
        unwritten = self.gaps[GapKind.UNWRITTEN]
        who = ", ".join(sorted(self.reviewers)[:_NAMED]) or "none"
        return {
            "log": f"records were made, from {self.first[:19] or 'no time'} to {self.last[:19] or 'no time'}",
            "decisions": f"calls were judged before they ran: {deny} denied, {ask} asked about",
            "denials": "calls did not run, each recorded with its reason",
            "asks": "calls waited for an answer",
            "least": "calls that no rule knew were asked about or denied",
            "oversight": f"questions were answered by {len(self.people)} named people, {self.granted} with yes",
            "reviewed": f"questions were answered by a command or a model, and by no person: {who}",
            "exceptions": "calls were opened by an exception, each with approver and last day",
            "confinement": f"of {self.ran} commands that ran were confined by a sandbox",
            "sandbox": "times a sandbox or its proxy kept a command from something",
            "reached": f"connections to {len(self.reached)} hosts were judged by name before they were made",
            "unreached": "connections were refused before they were made",
            "outcomes": "outcomes were recorded",
            "sessions": f"sessions of {len(self.users)} named users on {len(self.hosts)} machines were recorded",
            "models": f"sessions name the model that asked: {len(self.models)} different",
            "change": f"loads of rules were recorded, with {len(self.policies)} versions of rule files by digest, "
            f"and {self.replaced} changes from one session of a workspace to the next",
            "bundles": "steps of rule bundles were recorded, each with who signed for it",
            "killed": "bundles were killed or rolled back",
            "privileged": "calls that change the user were judged",
            "witnessed": "checkpoints were cosigned by a witness",
            "failures": f"gaps in the record were recorded with their reason, {unwritten} for want of writing",
        }


def _add(found: set[str] | set[tuple[str, str]], item: object) -> None:
    if len(found) < MOST:
        found.add(item)  # type: ignore[arg-type]


def _days(first: str, last: str) -> int:
    try:
        return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).days + 1
    except ValueError:
        return 0
