"""What is known at one point of a script: values of variables, the folder, functions, what is around."""

from __future__ import annotations

import posixpath

from execpolicy.facts import Carrier, Word, WordKind
from execpolicy.values import field, replace, slotted

# Variables that bash sets itself: reading one gives a number.
NUMBERS = frozenset({"?", "$", "#", "UID", "EUID", "PPID", "RANDOM", "SECONDS", "LINENO", "BASHPID", "SHLVL"})
# ... or the path of a folder.
FOLDERS = frozenset({"PWD", "HOME", "OLDPWD"})


# Variables that do not keep what is assigned to them: bash sets them, or refuses.
FICKLE = frozenset(
    [
        "UID",
        "EUID",
        "PPID",
        "BASHOPTS",
        "SHELLOPTS",
        "BASH_VERSINFO",
        "RANDOM",
        "SRANDOM",
        "SECONDS",
        "LINENO",
        "BASHPID",
        "BASH_SUBSHELL",
        "BASH_COMMAND",
        "BASH_REMATCH",
        "BASH_SOURCE",
        "BASH_LINENO",
        "BASH_ARGC",
        "BASH_ARGV",
        "BASH_ARGV0",
        "BASH_CMDS",
        "BASH_ALIASES",
        "EPOCHSECONDS",
        "EPOCHREALTIME",
        "FUNCNAME",
        "DIRSTACK",
        "GROUPS",
        "PIPESTATUS",
        "HISTCMD",
        "COLUMNS",
        "LINES",
        "COPROC",
        "_",
    ]
)
MAX_VARIABLES = 256  # beyond that no value is kept
MAX_VALUE = 1024  # characters; `x=$x$x` doubles at each step


@slotted
class State:
    """Changes as the walk goes on; `fork` where what happens inside stays inside.

    Forks share their dictionaries until one of them writes.
    """

    values: dict[str, str] = field(default_factory=dict)  # variables whose value is certain
    touched: frozenset[str] = frozenset()  # names the script may have set
    cwd: Word | None = None
    functions: dict[str, bool] = field(default_factory=dict)  # name: certainly defined by now
    context: tuple[str, ...] = ()
    via: tuple[Carrier, ...] = ()
    dialect: str = "bash"
    anything_set: bool = False  # something unread may have set any variable
    errexit: bool = False  # `set -e`: a command that fails ends the script
    stdin: str | None = None  # the text that standard input is known to be
    frozen: frozenset[str] = FICKLE  # names for which an assignment may not hold
    interrupted: bool = False  # a trap may run between any two commands: nothing stays certain

    def fork(self) -> State:
        return State(
            self.values,
            self.touched,
            self.cwd,
            self.functions,
            self.context,
            self.via,
            self.dialect,
            self.anything_set,
            self.errexit,
            self.stdin,
            self.frozen,
            self.interrupted,
        )

    def inside(self, what: str) -> State:
        """A fork that stands inside of `what`."""
        forked = self.fork()
        forked.context = (*self.context, what)
        return forked

    # --- variables ---

    def set(self, name: str, value: str | None) -> None:
        """`value` None: set to something that is not known."""
        if name in self.frozen or self.interrupted or (value is not None and len(value) > MAX_VALUE):
            value = None
        if name not in self.touched:
            if len(self.touched) >= MAX_VARIABLES:
                self.forget_values()
                return
            self.touched |= {name}
        if self.values.get(name) == value:
            return
        self.values = {known: text for known, text in self.values.items() if known != name}
        if value is not None:
            self.values[name] = value

    def freeze(self, name: str) -> None:
        """The variable is read-only from here on."""
        self.frozen |= {name}

    def define(self, name: str, *, certain: bool) -> None:
        """A function of this name is defined."""
        self.functions = {**self.functions, name: certain}

    def forget_values(self) -> None:
        """Something unread may have set any variable."""
        self.values = {}
        self.anything_set = True

    def forget(self) -> None:
        """Something unread ran in this shell: no variable, no folder is certain any more."""
        self.forget_values()
        self.errexit = False
        self.cwd = Word.unknown("folder that unread text may change")

    def interrupt(self) -> None:
        """A trap may run from here on, whenever it likes."""
        self.forget()
        self.interrupted = True

    def merge(self, branch: State) -> None:
        """Take over what is the same whether or not the branch ran."""
        if branch.touched is not self.touched:
            self.touched |= branch.touched
        self.anything_set = self.anything_set or branch.anything_set
        self.errexit = self.errexit and branch.errexit
        self.interrupted = self.interrupted or branch.interrupted
        if branch.frozen is not self.frozen:
            self.frozen |= branch.frozen
        if branch.cwd is not self.cwd and branch.cwd != self.cwd:
            self.cwd = Word.unknown("folder that only one branch changes")
        if branch.functions is not self.functions:
            self.functions = {
                name: self.functions.get(name, False) and branch.functions.get(name, False)
                for name in (*self.functions, *branch.functions)
            }
        if branch.values is not self.values:
            self.values = {
                name: value for name, value in self.values.items() if branch.values.get(name) == value
            }

    def take(self, other: State) -> None:
        """Go on as `other` did, in this place."""
        self.values = other.values
        self.touched = other.touched
        self.functions = other.functions
        self.cwd = other.cwd
        self.anything_set = other.anything_set
        self.errexit = other.errexit
        self.frozen = other.frozen
        self.interrupted = other.interrupted

    def is_special(self, name: str) -> bool:
        """Whether the script left a variable of bash's own alone."""
        return name not in self.touched and not self.anything_set

    def splits(self) -> bool:
        """Whether unquoted text is split at blanks, tabs and newlines as by default."""
        return self.is_special("IFS")

    # --- folders ---

    def change_folder(self, target: Word | None) -> None:
        self.cwd = (
            Word.unknown("folder that a trap may change") if self.interrupted else joined(self.cwd, target)
        )


def joined(cwd: Word | None, target: Word | None) -> Word:
    """The folder after `cd target` in `cwd` (None: where the script started)."""
    if target is None:
        return Word.unknown("the home folder", raw="~")
    if target.text is None:
        if target.kind is WordKind.PATH and not target.many:
            return target
        return Word.unknown(
            f"folder that is not known: {target.why or 'pattern'}", raw=target.raw, span=target.span
        )
    if target.text.startswith("/"):
        return target
    if target.text.startswith("-") or not target.text:
        return Word.unknown("the folder before this one", raw=target.raw, span=target.span)
    if cwd is None:
        return replace(target, prefix=target.text)
    if cwd.text is None:
        return Word.unknown(cwd.why, raw=cwd.raw, span=cwd.span)
    return Word.literal(posixpath.join(cwd.text, target.text), raw=target.raw, span=target.span)
