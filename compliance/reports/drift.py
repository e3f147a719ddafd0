"""Which machines run other rules than they ought to, how rules changed, and what was decided otherwise than before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from compliance.events import BundleChanged, Decided, PolicyFile, PolicyLoaded
from compliance.reading import Seen, Spoiled
from compliance.reports.base import MOST_KEYS, Recent, Report, Rows, Table
from compliance.reports.wanted import Compared, WantedPolicy, compared, policy_digest
from execpolicy.decision import Decision

NOT_KNOWN = "(not known)"


@dataclass(slots=True)
class _Place:
    """A machine, and a workspace on it: another workspace has other project rules."""

    users: dict[str, None] = field(default_factory=dict)
    sessions: int = 0
    drifted: int = 0
    first: str = ""
    last: str = ""
    policy: PolicyLoaded | None = None
    state: Compared | None = None


@dataclass(slots=True)
class Drift:
    wanted: WantedPolicy | None = None
    _places: dict[tuple[str, str, str], _Place] = field(default_factory=dict)
    _verdicts: Recent[bytes, tuple[Decision, int]] = field(default_factory=Recent)
    _rows: Rows = field(default_factory=Rows)
    _bundles: Rows = field(default_factory=Rows)
    _left_out: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("decided", "policy_loaded", "bundle_changed")

    def feed(self, seen: Seen) -> None:
        match seen.event:
            case PolicyLoaded() as event:
                self._loaded(seen, event)
            case Decided() as event:
                self._decided(seen, event)
            case BundleChanged() as event:
                self._bundles.add(
                    seen.record.time,
                    seen.log.name,
                    event.bundle,
                    event.version,
                    event.step.value,
                    event.ring,
                    event.digest[:12],
                    event.why,
                    event.by,
                )
            case _:
                pass

    def spoil(self, spoiled: Spoiled) -> None:
        pass

    def _loaded(self, seen: Seen, event: PolicyLoaded) -> None:
        started = seen.scene.started
        host = (started.host if started else "") or seen.log.name or NOT_KNOWN
        key = (host, seen.log.name, started.workspace if started else NOT_KNOWN)
        if key not in self._places and len(self._places) >= MOST_KEYS:
            self._left_out += 1
            return
        place = self._places.setdefault(key, _Place())
        before, place.policy = place.policy, event
        place.sessions += 1
        place.first = place.first or seen.record.time
        place.last = seen.record.time
        if started is not None and len(place.users) < 20:
            place.users[started.user] = None
        if self.wanted is not None:
            place.state = compared(event, self.wanted)
            place.drifted += place.state.state == "differs"
        if before is None:
            return
        old = {(file.layer, file.path): file for file in before.files}
        new = {(file.layer, file.path): file for file in event.files}
        for one in sorted({*old, *new}):
            if _state(old.get(one)) != _state(new.get(one)):
                what = f"{one[1]} ({one[0]})"
                self._row(seen, host, "rules", what, _state(old.get(one)), _state(new.get(one)))

    def _decided(self, seen: Seen, event: Decided) -> None:
        text = "\0".join((seen.log.name, event.tool, event.cwd, event.subject))
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        now = event.verdict.decision
        before = self._verdicts.get(key)
        self._verdicts.put(key, (now, seen.record.seq))
        if before is not None and before[0] is not now:
            started = seen.scene.started
            was = f"{before[0].word} (record {before[1]})"
            host = (started.host if started else "") or seen.log.name or NOT_KNOWN
            self._row(seen, host, "verdict", event.subject[:400], was, now.word)

    def _row(self, seen: Seen, host: str, *cells: str) -> None:
        self._rows.add(seen.record.seq, seen.record.time, host, seen.event.session, *cells)

    def answer(self) -> Report:
        return Report(
            title="Drift",
            tables=(
                Table(
                    name="machines",
                    columns=(
                        "host",
                        "log",
                        "workspace",
                        "users",
                        "loads",
                        "not as wanted",
                        "first",
                        "last",
                        "policy",
                        "state",
                        "missing",
                        "other",
                    ),
                    rows=tuple(self._machine(key, place) for key, place in sorted(self._places.items())),
                ),
                Table(
                    name="changes",
                    columns=("record", "time", "host", "session", "change of", "what", "before", "after"),
                    rows=tuple(self._rows.rows),
                ),
                Table(
                    name="bundles",
                    columns=("time", "log", "bundle", "version", "step", "ring", "digest", "why", "by"),
                    rows=tuple(self._bundles.rows),
                ),
            ),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        told = [f"{self._rows.total} changes"]
        if self.wanted is None:
            told.append("no policy was named with --wanted: machines are listed, none is judged")
        else:
            off = sum(one.state is not None and one.state.state == "differs" for one in self._places.values())
            told.append(
                f"{off} of {len(self._places)} places differ from {self.wanted.text} in their last session"
            )
        policies = {policy_digest(one.policy) for one in self._places.values() if one.policy}
        told.append(f"{len(policies)} different policies are the last in their place")
        if self._left_out:
            told.append(f"{self._left_out} loads in further places are not listed: name fewer logs")
        told.append(f"calls are compared with the {MOST_KEYS} different ones before them")
        return (*told, *self._rows.note("changes"), *self._bundles.note("steps of bundles"))

    def _machine(self, key: tuple[str, str, str], place: _Place) -> tuple[str | int, ...]:
        state = place.state or Compared("not judged")
        return (
            *key,
            " ".join(place.users),
            place.sessions,
            place.drifted,
            place.first,
            place.last,
            policy_digest(place.policy)[:12] if place.policy else "",
            state.state,
            ", ".join(state.missing),
            ", ".join(state.other),
        )


def _state(file: PolicyFile | None) -> str:
    if file is None:
        return "not in force"
    named = f"{file.bundle} {file.version}".strip()
    version = f" (bundle {named})" if named else ""
    return (
        f"{file.digest}{version}"
        if file.usable
        else f"{file.digest}{version}, broken: its allows do not count"
    )
