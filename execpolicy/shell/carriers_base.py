"""What a carrier runs and touches, as values; and the pad on which the forms note it down."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from execpolicy.facts import Access, Assignment, Effect, FileAccess, Unknown, Word, WordKind
from execpolicy.shell.carriers_options import Scan, known
from execpolicy.shell.catalogue import Entry, Role
from execpolicy.values import field, frozen, slotted

ACCESSES: Mapping[Role, Access] = {
    Role.READ: Access.READ,
    Role.WRITE: Access.WRITE,
    Role.DELETE: Access.DELETE,
    Role.EXECUTE: Access.EXECUTE,
}
# What an unknown word could turn into and then needs nobody's consent.
HARMLESS = frozenset({Role.READ, Role.CHDIR})


@frozen
class ShellText:
    """Text that a shell reads again."""

    text: Word  # INVARIANT: literal
    dialect: str  # the shell's name: bash, sh, dash, zsh, ...


@frozen
class StdinScript:
    """Standard input is run as a script of `dialect`.

    `unknown` is the very value that stands in `Carried.unknowns`: who can read the input (a
    here-document) judges it and drops that one unknown.
    """

    dialect: str
    unknown: Unknown


@frozen(kw_only=True)
class Carried:
    """What a command line runs and touches beside being run itself."""

    name: str = ""  # of the carrier; empty: it carries nothing
    argvs: tuple[tuple[Word, ...], ...] = ()  # carried commands, each possibly a carrier again
    texts: tuple[ShellText, ...] = ()
    effects: frozenset[Effect] = frozenset()
    transparent: bool = False
    unknowns: tuple[Unknown, ...] = ()
    files: tuple[FileAccess, ...] = ()
    assignments: tuple[Assignment, ...] = ()  # for what is carried: `env A=1 cmd`
    cwd: Word | None = None  # where what is carried runs, when the carrier changes that
    stdin: StdinScript | None = None


NOTHING = Carried()


@lru_cache(maxsize=1024)
def _nothing_of(program: str, effects: frozenset[Effect], transparent: bool) -> Carried:
    """What most commands are: a known program that runs and touches nothing else."""
    return Carried(name=program, effects=effects, transparent=transparent)


@slotted
class Pad:
    """Notes of one reading. `program` names what was read, for the phrases."""

    program: str
    entry: Entry
    argvs: list[tuple[Word, ...]] = field(default_factory=list)
    texts: list[ShellText] = field(default_factory=list)
    unknowns: list[Unknown] = field(default_factory=list)
    files: list[FileAccess] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    effects: set[Effect] = field(default_factory=set)
    cwd: Word | None = None
    stdin: StdinScript | None = None

    def carried(self, *, transparent: bool | None = None) -> Carried:
        entry = self.entry
        passes = entry.transparent if transparent is None else transparent
        if not (
            self.unknowns or self.files or self.argvs or self.texts or self.assignments or self.effects
        ) and (self.cwd is None and self.stdin is None):
            return _nothing_of(self.program, entry.effects, passes)
        return Carried(
            name=self.program,
            argvs=tuple([argv for argv in self.argvs if argv]) if self.argvs else (),
            texts=tuple(self.texts),
            effects=entry.effects | self.effects if self.effects else entry.effects,
            transparent=passes,
            unknowns=tuple(self.unknowns if len(self.unknowns) < 2 else dict.fromkeys(self.unknowns)),
            files=tuple(self.files),
            assignments=tuple(self.assignments),
            cwd=self.cwd,
            stdin=self.stdin,
        )

    def unknown(self, why: str, word: Word, *, code: bool = False) -> None:
        self.unknowns.append(Unknown(why, word.span, code=code))

    def touch(self, path: Word, access: Access, why: str = "") -> None:
        if known(path) not in ("", "-"):
            self.files.append(FileAccess(path, access, why or f"operand of {self.program}", path.span))

    def shell_text(self, text: Word, dialect: str, *, where: str = "") -> None:
        if known(text) is None:
            self.unknown(f"the shell text{where} of `{self.program}` is not known", text)
        else:
            self.texts.append(ShellText(text, dialect))

    def stdin_script(self, dialect: str, at: Word) -> None:
        unknown = Unknown(f"`{self.program}` runs its standard input", at.span)
        self.unknowns.append(unknown)
        self.stdin = StdinScript(dialect, unknown)

    def run_split(self, value: Word) -> None:
        """Words in one, split at blanks, run without a shell; the program adds arguments."""
        text = known(value)
        if text is None or any(mark in text for mark in "\"'\\$`"):
            self.unknown(f"what `{self.program}` would run is not known", value)
            return
        words = tuple(Word.literal(piece, span=value.span) for piece in text.split())
        if words:
            self.argvs.append((*words, self.more(value)))

    def more(self, at: Word) -> Word:
        """Arguments that the program adds."""
        return Word.unknown(f"arguments that {self.program} adds", many=True, span=at.span)

    def doubts(self, scan: Scan) -> None:
        """Note where the reading may be wrong, when that could hide anything."""
        if scan.doubts and (
            self.entry.options.strict or any(role not in HARMLESS for role in self.entry.roles.values())
        ):
            self.unknowns.extend(scan.doubts)

    def roles(self, scan: Scan) -> None:
        """Note what the options mean by their roles."""
        roles = self.entry.roles
        if not roles:
            return
        for option in scan.options:
            role = roles.get(option.name)
            if role is not None:
                at = option.value or Word.literal(option.name)
                self.role(role, option.value, at, f"`{option.name}` of {self.program}")

    def role(self, role: Role, value: Word | None, at: Word, what: str) -> None:
        """Note one value; None: an option that was given without a value."""
        if role is Role.CONFIG:
            self.unknown(f"{what} can make it run anything", at)
        elif role is Role.CODE:
            self.unknown(f"program text ({what})", at, code=True)
        elif value is None:
            return
        elif role is Role.WRITE and value.prefix[:1] in ("|", "!") and self.program == "strace":
            self.unknown(f"{what} names a program", at)
        elif role in ACCESSES:
            self.touch(value, ACCESSES[role], what)
        elif role is Role.SHELL:
            self.shell_text(value, "sh", where=f" of {what}")
        elif role is Role.SPLIT or role is Role.PROGRAM:
            self.run_split(value)
        elif role is Role.SCRIPT:
            self.touch(value, Access.EXECUTE, what)
            self.unknown(f"program text in a file ({what})", value, code=True)
        elif role is Role.CHDIR:
            self.cwd = value
        elif role is Role.ASSIGN:
            self.assign(value)
        elif role is Role.ARITH:
            self.arith(value)
        elif role is Role.TRANSPORT:
            self.transport(value)

    def assign(self, word: Word) -> bool:
        """Note NAME=VALUE; False when the word is not one for certain."""
        name, equals, _ = word.prefix.partition("=")
        if not equals or not name or word.many:
            return False
        value: Word | None
        if word.kind is WordKind.LITERAL:
            value = Word.literal(word.prefix[len(name) + 1 :], span=word.span)
        else:
            value = Word.unknown(word.why, raw=word.raw, prefix=word.prefix[len(name) + 1 :], span=word.span)
        self.assignments.append(Assignment(name, value))
        return True

    def arith(self, word: Word) -> None:
        """Note a word that the shell reads as a variable name: a subscript in it is evaluated."""
        text = known(word)
        if text is None or "[" in text:
            self.unknown("a subscript is evaluated by the shell", word)

    def transport(self, word: Word) -> None:
        """Note an address of git: `ext::CMD` and unknown helpers run programs."""
        scheme, colons, _ = word.prefix.partition("::")
        if colons and scheme.isidentifier() and scheme not in ("http", "https", "git", "ssh", "file"):
            self.unknown(f"git runs a helper for `{scheme}::`", word)
        elif known(word) is None and not word.prefix:
            self.unknown("an address of git that is not known may name a program", word)

    def runs_code(self, scan: Scan, at: Word) -> None:
        """Note that a program runs text of its own, unless it was only asked about itself."""
        if self.entry.code and not scan.has(*self.entry.inert):
            self.unknown(
                self.entry.note or f"`{self.program}` runs program text", at, code=not self.entry.hard
            )

    def operand_roles(self, read: Scan) -> None:
        """Note what operands mean by their places."""
        entry = self.entry
        if not read.operands:
            return
        places = list(read.operands)
        if entry.leading is not None and places and not read.has(*entry.leading):
            places.pop(0)
        if not places:
            return
        if entry.write_with and read.has(*entry.write_with):
            for place in places:
                self.touch(place, Access.WRITE)
            return
        if entry.read_with and read.has(*entry.read_with):
            for place in places:
                self.touch(place, Access.READ)
            return
        what = f"operand of {self.program}"
        if entry.first is not None and places:
            first = places.pop(0)
            self.role(entry.first, first, first, what)
        if entry.last is not None and (len(places) > 1 or (entry.operands is None and places)):
            last = places.pop()
            self.role(entry.last, last, last, what)
        if entry.operands is not None:
            for place in places:
                self.role(entry.operands, place, place, what)
