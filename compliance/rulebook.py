"""Rule files as an inventory: which rules and exceptions there are, whose they are, which controls they name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compliance.events import PolicyFile
from execpolicy.bundle.load import PolicySource
from execpolicy.decision import Decision, Layer
from execpolicy.digest import sha256
from execpolicy.lang.lower import parse_rules

MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCard:
    """One rule as it is written."""

    id: str
    decision: Decision
    layer: str
    path: str
    line: int
    digest: str  # of its file
    owner: str = ""
    justification: str = ""
    controls: tuple[str, ...] = ()
    expires: str = ""
    enforced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One exception as it is written: it opens a rule until a day."""

    rule: str
    until: str
    approved_by: str
    ticket: str
    path: str
    line: int
    digest: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    rules: tuple[RuleCard, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    unread: tuple[str, ...] = ()  # files that are not read, and why


def of_sources(sources: Iterable[PolicySource]) -> RuleBook:
    """What stands in rule files, as they are now."""
    return _book((Path(source.path), source.layer, "") for source in sources)


def of_record(recorded: Iterable[PolicyFile], places: Sequence[PolicySource] = ()) -> RuleBook:
    """What stands in the rule files that were recorded. A file speaks for the record only while it is the same.

    Where a recorded path holds it no more, a file in `places` with the same digest does.
    """
    by_digest: dict[str, Path] = {}
    for source in places:
        data = _bytes(Path(source.path))
        if data is not None:
            by_digest.setdefault(sha256(data).hex(), Path(source.path))
    wanted = []
    for file in recorded:
        path = Path(file.path)
        data = _bytes(path)
        same = data is not None and sha256(data).hex() == file.digest
        layer = Layer.__members__.get(file.layer.upper(), Layer.SESSION)
        wanted.append((path if same else by_digest.get(file.digest, path), layer, file.digest))
    return _book(wanted)


def _book(files: Iterable[tuple[Path, Layer, str]]) -> RuleBook:
    rules: list[RuleCard] = []
    waivers: list[Waiver] = []
    unread: list[str] = []
    seen: set[tuple[str, str]] = set()
    for path, layer, wanted in files:
        data = _bytes(path)
        digest = sha256(data).hex() if data is not None else ""
        if data is None or (wanted and digest != wanted):
            why = "cannot be read" if data is None else "is no longer what was recorded"
            unread.append(f"{path}{f' ({wanted[:12]})' if wanted else ''} {why}")
            continue
        if (str(path), digest) in seen:
            continue
        seen.add((str(path), digest))
        file = parse_rules(data.decode("utf-8", "replace"), str(path), layer).file
        for rule in file.rules:
            meta = rule.meta
            rules.append(
                RuleCard(
                    id=meta.id,
                    decision=meta.decision,
                    layer=layer.word,
                    path=str(path),
                    line=meta.origin.line,
                    digest=digest,
                    owner=meta.owner or "",
                    justification=meta.justification or "",
                    controls=meta.controls,
                    expires=meta.expires or "",
                    enforced=meta.mode.value == "enforce",
                )
            )
        waivers += [
            Waiver(
                rule=one.to,
                until=one.until,
                approved_by=one.approved_by,
                ticket=one.ticket or "",
                path=str(path),
                line=one.origin.line,
                digest=digest,
            )
            for one in file.exceptions
        ]
    return RuleBook(tuple(rules), tuple(waivers), tuple(sorted(set(unread))))


def _bytes(path: Path) -> bytes | None:
    """None where there is no ordinary file, or one too long."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError):
        return None
    return data if len(data) <= MOST_BYTES else None
