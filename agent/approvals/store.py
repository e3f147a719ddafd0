"""Approvals that last: a rule file like any other, changed under a lock and replaced whole."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.approvals.written import PREFIX, Given, entry
from agent.errors import ApprovalError
from execpolicy.decision import Decision, Layer
from execpolicy.digest import sha256
from execpolicy.lang.rules import Rule
from execpolicy.source import SourceText
from execpolicy.values import frozen

NAME = "approvals.rules"
MOST_BYTES = 4 << 20
LOCK_SECONDS = 10.0
_HEAD = """\
# What was allowed by a yes and is kept. `agent approvals list` shows it, `agent approvals revoke ID` takes it back.
"""


@frozen
class Kept:
    """One stored approval."""

    id: str
    rule: Rule
    text: str  # as it stands in the file
    comments: tuple[str, ...]  # without their `#`
    made: bool  # by a yes; False: somebody wrote it by hand

    @property
    def expires(self) -> str:
        return self.rule.meta.expires or ""

    @property
    def given(self) -> str:
        """When, as the first comment says it; empty where it does not."""
        words = self.comments[0].split(", ") if self.comments else []
        return words[1] if len(words) == 3 and words[1][:4].isdigit() else ""


@frozen
class Contents:
    """A file of approvals, read. `broken`: why its allows do not count now."""

    kept: tuple[Kept, ...] = ()
    broken: str = ""


@frozen
class ApprovalFile:
    """One file. `home` is the state folder, where the lock lies."""

    path: Path
    layer: Layer
    home: Path

    @staticmethod
    def of_user(home: Path) -> ApprovalFile:
        return ApprovalFile(home / "rules" / NAME, Layer.USER, home)

    @staticmethod
    def of_project(workspace: Path, home: Path) -> ApprovalFile:
        return ApprovalFile(workspace / ".agent" / "rules" / NAME, Layer.PROJECT, home)

    def why_not(self) -> str:
        """Why nothing can be kept here; empty where it can. A project must not lead us out of it."""
        if self.layer is not Layer.PROJECT:
            return ""
        root = self.path.parent.parent.parent
        for part in (self.path.parent.parent, self.path.parent, self.path):
            if os.path.realpath(part) != os.path.join(os.path.realpath(root), part.relative_to(root)):
                return f"`{part}` is a link to another place"
        return ""

    def read(self) -> Contents:
        """What is stored. Never raises: what cannot be read is `broken`, as it is for deciding."""
        try:
            text = self._text()
        except ApprovalError as error:
            return Contents(broken=str(error))
        return self._contents(text)

    def keep(self, rules: Sequence[str], given: Given) -> tuple[str, ...]:
        """Store `rules`, and what makes a person find their way back; their ids. Raises `ApprovalError`."""
        if why := self.why_not():
            raise ApprovalError(f"nothing can be kept in `{self.path}`: {why}")
        made = [entry(text, given) for text in rules]
        with self._locked():
            before = self._text()
            self._whole(before)
            known = {kept.id for kept in self._contents(before).kept}
            added = "\n".join(text for id_, text in made if id_ not in known)
            if added:
                self._replace(before, f"{before.rstrip() or _HEAD.rstrip()}\n\n{added}")
        return tuple(id_ for id_, _ in made)

    def revoke(self, ids: Sequence[str]) -> tuple[Kept, ...]:
        """Take back those of `ids` that are here, and say which. Raises `ApprovalError`."""
        with self._locked():
            before = self._text()
            whole = self._whole(before)
            gone = tuple(kept for kept in self._contents(whole).kept if kept.id in ids)
            if gone:
                lines = {kept.rule.meta.origin.line for kept in gone}
                self._replace(before, _without(whole, str(self.path), lines))
        return gone

    def _text(self) -> str:
        try:
            with open(
                self.path, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)
            ) as file:
                data = file.read(MOST_BYTES + 1)
            text = data.decode("utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ApprovalError(f"cannot read `{self.path}`: {why}", "repair it or move it away") from None
        if len(data) > MOST_BYTES:
            raise ApprovalError(f"`{self.path}` is larger than {MOST_BYTES} bytes", "revoke what has ended")
        return text

    def _whole(self, text: str) -> str:
        """`text` in its canonical form. Raises `ApprovalError` where the file is broken: it is left alone then."""
        from execpolicy.lang.format import format_text  # late: a session that keeps nothing needs no parser
        from execpolicy.lang.lower import parse_rules

        parsed = parse_rules(text, str(self.path), self.layer)
        formatted = format_text(text, str(self.path))
        wrong = (*parsed.diagnostics, *formatted.diagnostics)
        if wrong or formatted.text is None:
            raise ApprovalError(
                f"`{self.path}` is broken, so it is left as it is: {wrong[0].message}",
                "what it allows does not count now; repair it: `agent policy check` shows where",
            )
        return formatted.text

    def _contents(self, text: str) -> Contents:
        from execpolicy.lang.lower import parse_rules  # late, as above
        from execpolicy.lang.parser import parse

        path = str(self.path)
        parsed = parse_rules(text, path, self.layer)
        broken = parsed.diagnostics[0].message if parsed.diagnostics else ""
        syntax, _ = parse(text, path)
        source = SourceText(path, text)
        places = {source.position(one.span.start)[0]: one.span for one in syntax.statements}
        notes = {source.position(one.span.start)[0]: one.text for one in syntax.comments if one.own_line}
        kept = []
        for rule in parsed.file.rules:
            line = rule.meta.origin.line
            span = places.get(line)
            if rule.meta.decision is not Decision.ALLOW or span is None:
                continue
            above = []
            while (line := line - 1) in notes:
                above.append(notes[line].lstrip("#").strip())
            kept.append(
                Kept(
                    rule.meta.id,
                    rule,
                    text[span.start : span.end],
                    tuple(reversed(above)),
                    rule.meta.id.startswith(PREFIX),
                )
            )
        return Contents(tuple(kept), broken)

    def _replace(self, before: str, text: str) -> None:
        """INVARIANT: at every moment the file is what it was or what it will be, also after a power cut.

        `before` is what was read of it: somebody who edits it by hand takes no lock.
        """
        whole = self._whole(text).encode()
        if why := self.why_not():
            raise ApprovalError(f"`{self.path}` is left as it is: {why}", "change the file that it leads to")
        target = Path(os.path.realpath(self.path)) if self.layer is not Layer.PROJECT else self.path
        try:
            target.parent.mkdir(
                mode=0o700 if self.layer is Layer.USER else 0o755, parents=True, exist_ok=True
            )
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".approvals-", suffix=".new")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(whole)
                    file.flush()
                    os.fchmod(file.fileno(), self._mode(target))
                    os.fsync(file.fileno())
                if self._text() != before:
                    raise ApprovalError(f"`{self.path}` was changed meanwhile, and is left so", "try again")
                os.replace(name, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise ApprovalError(
                f"cannot write `{target}`: {error.strerror}", "make its folder writable for you"
            ) from None

    def _mode(self, target: Path) -> int:
        """As the file has it. A new one of a project may be read by whoever reads the project."""
        try:
            return stat.S_IMODE(os.stat(target).st_mode)
        except FileNotFoundError:
            return 0o600 if self.layer is Layer.USER else 0o644

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        folder = self.home / "locks"
        name = sha256(os.path.realpath(self.path).encode("utf-8", "surrogateescape")).hex()[:16]
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(folder / f"approvals-{name}.lock", timeout=LOCK_SECONDS, mode=0o600)
            lock.acquire()
        except Timeout:
            raise ApprovalError(f"another process holds `{self.path}`", "try again") from None
        except OSError as error:
            raise ApprovalError(
                f"cannot lock `{self.path}`: {error.strerror}", "set AGENT_HOME to a folder you can write"
            ) from None
        try:
            yield
        finally:
            lock.release()


def _without(text: str, path: str, lines: set[int]) -> str:
    """`text` in canonical form without the statements that begin in `lines`, and the comments right above them."""
    from execpolicy.lang.parser import parse  # late, as above

    syntax, _ = parse(text, path)
    source = SourceText(path, text)
    rows = text.split("\n")
    comments = {source.position(one.span.start)[0] for one in syntax.comments if one.own_line}
    drop: set[int] = set()
    for one in syntax.statements:
        first, last = source.position(one.span.start)[0], source.position(one.span.end - 1)[0]
        if first in lines:
            drop.update(range(first, last + 1))
            while (first := first - 1) in comments:
                drop.add(first)
    return "\n".join(row for number, row in enumerate(rows, 1) if number not in drop)


__all__ = ["NAME", "ApprovalFile", "Contents", "Kept"]
