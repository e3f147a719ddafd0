"""The policy that machines ought to have: a digest, a folder of rule files, or a list of digests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compliance.errors import RecordError
from compliance.events import PolicyFile, PolicyLoaded

_DIGEST: Final = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WantedPolicy:
    """`files` by digest; or one digest over a whole policy, when that is all that is known."""

    text: str
    files: tuple[tuple[str, str], ...] = ()  # digest, name
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    state: str  # as wanted | more | differs
    missing: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


def read_wanted(text: str) -> WantedPolicy:
    """From what stands on the command line. RecordError when it is none of the three.

    A list is any text that holds SHA-256 digests: the output of `sha256sum`, a JSON manifest.
    """
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return WantedPolicy(text.lower(), whole=text.lower())
    path = Path(text)
    try:
        if path.is_dir():
            rules = sorted(one for one in path.rglob("*.rules") if one.is_file())
            found = [(_digest(one), one.name) for one in rules]
        elif path.is_file():
            with path.open("rb") as stream:
                lines = stream.read(MOST_BYTES).decode("utf-8", "replace").splitlines()
            found = [(one.lower(), _name(line, one)) for line in lines for one in _DIGEST.findall(line)]
        else:
            found = []
    except OSError as error:
        raise RecordError(f"cannot read `{error.filename}`: {error.strerror}", "name another") from error
    if not found:
        raise RecordError(
            f"`{text}` is no policy to compare with",
            "name 64 hexadecimal digits, a folder of rule files, or a file that lists SHA-256 digests",
        )
    return WantedPolicy(text, files=tuple(dict.fromkeys(found)))


def policy_digest(event: PolicyLoaded) -> str:
    """The digest of a policy: the recorded one; for old records one over its files, in whatever order."""
    if event.policy:
        return event.policy
    return hashlib.sha256("\n".join(sorted({file.digest for file in event.files})).encode()).hexdigest()


def compared(event: PolicyLoaded, wanted: WantedPolicy) -> Compared:
    """A file that could not be used counts as missing: its allows were off."""
    usable = {file.digest for file in event.files if file.usable}
    if wanted.whole:
        if wanted.whole == policy_digest(event) or usable == {wanted.whole}:
            return Compared("as wanted")
        return Compared("differs", (wanted.whole[:12],), _named(event.files))
    digests = {digest for digest, _ in wanted.files}
    missing = tuple(f"{name} {digest[:12]}".strip() for digest, name in wanted.files if digest not in usable)
    other = _named(file for file in event.files if file.digest not in digests)
    return Compared("differs" if missing else "more" if other else "as wanted", missing, other)


def _named(files: Iterable[PolicyFile]) -> tuple[str, ...]:
    return tuple(f"{file.path.rsplit('/', 1)[-1]} {file.digest[:12]} ({file.layer})" for file in files)


def _name(line: str, digest: str) -> str:
    """What stands beside a digest in a list."""
    words = [word.strip("\"',:*{}[]") for word in line.replace(digest, " ").split()]
    return next((word for word in words if "." in word or "/" in word), "").rsplit("/", 1)[-1]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
