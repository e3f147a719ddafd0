"""The one way out for a command: nothing is connected that was not judged, and nothing judged goes unrecorded."""

from __future__ import annotations

import asyncio
import time

from agent.network.base import (
    Bounds,
    Connection,
    Judge,
    Outcome,
    Ruling,
    Target,
    Unrecorded,
    Witness,
)
from agent.network.dial import Resolver, Streams, Unreachable, dial, pin
from execpolicy.decision import Decision
from execpolicy.hostname import BadName, canonical, is_address
from execpolicy.values import frozen, replace

_NOTES = 20  # refusals of one command that are told one by one


@frozen(kw_only=True)
class Refusal:
    """Nothing was connected. `failed`: it would have been allowed."""

    text: str  # one line
    help: str = ""
    failed: bool = False


class Flow:
    """A connection that stands."""

    def __init__(self, target: Target, ruling: Ruling, address: str, streams: Streams) -> None:
        self.target = target
        self.ruling = ruling
        self.address = address
        self.reader, self.writer = streams
        self.up = 0
        self.down = 0
        self.since = time.monotonic()


class Guard:
    """Of one command."""

    def __init__(
        self,
        judge: Judge,
        witness: Witness,
        resolver: Resolver,
        bounds: Bounds,
    ) -> None:
        self.bounds = bounds
        self._judge = judge
        self._witness = witness
        self._resolver = resolver
        self._asked: dict[tuple[str, int], asyncio.Task[Ruling]] = {}
        self._flows: set[Flow] = set()
        self._refused: dict[tuple[Target, str], Connection] = {}
        self._notes: list[str] = []
        self._noted = 0
        self._broken = ""

    # --- in -----------------------------------------------------------------------------------

    async def connect(self, host: str, port: int, protocol: str) -> Flow | Refusal:
        """A new connection, from judging to the record of it."""
        target = self.target(host, port, protocol)
        if isinstance(target, Refusal):
            return target
        ruling = await self.allows(target)
        if isinstance(ruling, Refusal):
            return ruling
        addresses = await pin(target, ruling, self._resolver, self.bounds)
        if isinstance(addresses, Unreachable):
            return self._unreachable(target, ruling, addresses)
        dialled = await dial(target, addresses, self.bounds)
        if isinstance(dialled, Unreachable):
            return self._unreachable(target, ruling, dialled)
        flow = Flow(target, ruling, dialled[1], dialled[0])
        try:
            self._record(flow, Outcome.OPENED)
        except Unrecorded as error:
            flow.writer.transport.abort()
            return self._unrecorded(error)
        self._flows.add(flow)
        return flow

    def target(self, host: str, port: int, protocol: str) -> Target | Refusal:
        """What the words of a client mean."""
        try:
            name = canonical(host)
        except BadName as error:
            return self._unfit(Target(host=_shown(host), port=port, protocol=protocol), f"the host {error}")
        if not 0 < port < 65536:
            return self._unfit(Target(host=name, port=port, protocol=protocol), f"{port} is no port")
        return Target(host=name, port=port, protocol=protocol)

    def _unfit(self, target: Target, why: str) -> Refusal:
        """What no rule can be about: refused, and recorded as every refusal is."""
        return self.refuse(target, Ruling(decision=Decision.DENY, reason=why), why)

    async def allows(self, target: Target) -> Ruling | Refusal:
        """The ruling that lets `target` pass. A person is asked once about a host and port."""
        if self._broken:
            return Refusal(text=self._broken)
        ruling = self._judge.judge(target)
        if ruling.decision is Decision.ASK:
            if not ruling.exact and is_address(target.host):
                spoiled = await pin(target, ruling, self._resolver, self.bounds)
                if isinstance(spoiled, Unreachable):  # a yes would not open it either
                    return self._unreachable(target, ruling, spoiled)
            ruling = await self._answer(target, ruling)
        if ruling.decision is Decision.ALLOW:
            return ruling
        return self.refuse(target, ruling, ruling.reason, ruling.help)

    def forbids(self, target: Target) -> Refusal | None:
        """For what a connection turned out to be: refused where a rule denies that."""
        ruling = self._judge.judge(target)
        if ruling.decision is Decision.DENY:
            return self.refuse(target, ruling, ruling.reason, ruling.help)
        return None

    async def _answer(self, target: Target, ruling: Ruling) -> Ruling:
        key = (target.host, target.port)
        task = self._asked.get(key)
        if task is None:
            if len(self._asked) >= self.bounds.questions:
                return _no(ruling, "this command has asked for too many hosts that no rule allows")
            task = self._asked[key] = asyncio.create_task(self._ask(target, ruling))
        return await asyncio.shield(task)

    async def _ask(self, target: Target, ruling: Ruling) -> Ruling:
        try:
            async with asyncio.timeout(self.bounds.ask_seconds):
                return await self._judge.ask(target, ruling)
        except TimeoutError:
            return _no(ruling, "it needs a yes, and nobody answered in time")

    # --- out ----------------------------------------------------------------------------------

    def ended(self, flow: Flow, outcome: Outcome = Outcome.CLOSED, why: str = "") -> None:
        """Close it, and record how it went. Once is enough; more does no harm."""
        if flow not in self._flows:
            return
        self._flows.discard(flow)
        if outcome is Outcome.CUT:
            flow.writer.transport.abort()
        else:
            flow.writer.close()
        try:
            self._record(flow, outcome, why)
        except Unrecorded as error:
            self._unrecorded(error)

    def cut(self, flow: Flow, why: str, help: str = "") -> Refusal:
        """End it before its time, and tell."""
        self.ended(flow, Outcome.CUT, why)
        return self._note(Refusal(text=f"{flow.target} cut off: {why}", help=help))

    def refuse(self, target: Target, ruling: Ruling, why: str, help: str = "") -> Refusal:
        """Record and tell that nothing was connected. Equal ones are counted, and recorded at the end."""
        rule = (
            f" by {', '.join(ruling.rules)}" if ruling.rules and ruling.decision is not Decision.ALLOW else ""
        )
        refusal = Refusal(text=f"{target} ({target.protocol}) refused{rule}: {why}", help=help)
        key = (target, why)
        seen = self._refused.get(key)
        if seen is not None:
            self._refused[key] = _again(seen)
            return refusal
        if len(self._refused) >= self.bounds.refused:
            self._broken = "too many different connections of this command were refused: it gets no more"
            return self._note(Refusal(text=self._broken))
        found = Connection(target=target, ruling=ruling, outcome=Outcome.REFUSED, why=why, count=0)
        self._refused[key] = found
        try:
            self._witness.saw(_again(found))
        except Unrecorded as error:
            return self._unrecorded(error)
        return self._note(refusal)

    def close(self) -> None:
        """The command has ended: what still stands is cut, what was refused more than once is recorded."""
        for flow in tuple(self._flows):
            self.ended(flow, Outcome.CUT, "the command ended")
        for task in self._asked.values():
            task.cancel()
        again = [found for found in self._refused.values() if found.count]
        self._refused.clear()
        self._broken = self._broken or "the command has ended"
        for found in again:
            try:
                self._witness.saw(found)
            except Unrecorded as error:
                self._unrecorded(error)

    def news(self) -> tuple[str, ...]:
        """What the person and the model should know, since this was last asked."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def note(self, text: str) -> None:
        """Tell the person and the model."""
        if self._noted < _NOTES:
            self._notes.append(text)
        elif self._noted == _NOTES:
            self._notes.append("more connections were refused than are told here")
        self._noted += 1

    # --- parts --------------------------------------------------------------------------------

    def _note(self, refusal: Refusal) -> Refusal:
        self.note(f"{refusal.text}; {refusal.help}" if refusal.help else refusal.text)
        return refusal

    def _record(self, flow: Flow, outcome: Outcome, why: str = "") -> None:
        self._witness.saw(
            Connection(
                target=flow.target,
                ruling=flow.ruling,
                outcome=outcome,
                address=flow.address,
                why=why,
                bytes_up=flow.up,
                bytes_down=flow.down,
                seconds=time.monotonic() - flow.since,
            )
        )

    def _unrecorded(self, error: Unrecorded) -> Refusal:
        self._broken = (
            f"refused: connections cannot be recorded ({error}), and what cannot be recorded is not made"
        )
        return self._note(Refusal(text=self._broken))

    def _unreachable(self, target: Target, ruling: Ruling, found: Unreachable) -> Refusal:
        if found.refused:
            return self.refuse(target, ruling, found.why, found.help)
        refusal = Refusal(text=f"{target} failed: {found.why}", failed=True)
        try:
            self._witness.saw(Connection(target=target, ruling=ruling, outcome=Outcome.FAILED, why=found.why))
        except Unrecorded as error:
            return self._unrecorded(error)
        return self._note(refusal)


def _no(ruling: Ruling, why: str) -> Ruling:
    return replace(ruling, decision=Decision.DENY, reason=why)


def _again(found: Connection) -> Connection:
    return replace(found, count=found.count + 1)


def _shown(host: str) -> str:
    text = "".join(char if char.isprintable() else "?" for char in host[:100])
    return text + ("..." if len(host) > 100 else "")
