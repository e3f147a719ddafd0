"""Whether a log is what was sealed and signed: the chain, its checkpoints, and what no checkpoint covers yet."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from compliance.chain import Flaw, FlawKind, Link
from compliance.checkpoint import Signed, compare, own_verifier, signed_checkpoints
from compliance.note import SealError, Verifier
from compliance.reading import Log
from compliance.segments import NOTES_NAME, snapshot, verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Soundness:
    """How one log was found."""

    log: Log
    records: int
    end: Link
    flaws: tuple[Flaw, ...]
    gaps: tuple[str, ...] = ()  # recorded ones that break nothing
    checkpoints: tuple[Signed, ...] = ()
    key: Verifier | None = None
    checked: bool = False  # signatures were looked at

    @property
    def intact(self) -> bool:
        return not self.flaws and self.log.sealed

    @property
    def unsigned(self) -> int:
        """Records after the last checkpoint."""
        return self.records - (self.checkpoints[-1].checkpoint.size if self.checkpoints else 0)

    @property
    def text(self) -> str:
        """One sentence."""
        if not self.log.sealed:
            return "an export: each line is checked alone, nothing shows that none is missing"
        if self.flaws:
            more = f" and {len(self.flaws) - 1} more" if len(self.flaws) > 1 else ""
            return f"broken: {self.flaws[0].message}{more}"
        return f"intact, {self.records} records are one chain" if self.records else "nothing is recorded"


def assess(log: Log) -> Soundness:
    """Check the whole log and its checkpoints. RecordError when it cannot be read."""
    if not log.sealed:
        return Soundness(log=log, records=0, end=verify(log.shot).end, flaws=())
    result = verify(log.shot)
    key = own_verifier(log.shot.folder)
    able = find_spec("cryptography") is not None
    flaws = list(result.flaws)
    signed: tuple[Signed, ...] = ()
    try:
        signed = _then(log, result.end.seq, signed_checkpoints(log.shot.folder))
        flaws += compare(log.shot, signed, key if able else None)
    except SealError as error:
        flaws.append(_flaw(str(error)))
    if bool(signed) != (key is not None):
        flaws.append(_flaw("checkpoints and key do not belong together: one of them is missing"))
    return Soundness(
        log=log,
        records=result.records,
        end=result.end,
        flaws=tuple(flaws),
        gaps=result.gaps,
        checkpoints=signed,
        key=key,
        checked=able and key is not None and bool(signed),
    )


def _then(log: Log, end: int, signed: list[Signed]) -> tuple[Signed, ...]:
    """The checkpoints as they were when the log was looked at: another process may have gone on since."""
    head = snapshot(log.shot.folder).head
    now = head.seq if head else 0
    return tuple(one for one in signed if not end < one.checkpoint.size <= now)


def _flaw(message: str) -> Flaw:
    return Flaw(kind=FlawKind.CHECKPOINT, seq=0, segment=NOTES_NAME, line=0, message=message)
