"""What is known at one point of a script: values of variables, the folder, functions, what is around."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace

from execpolicy.facts import Carrier, Word, WordKind

# Variables that bash sets itself: reading one gives a number.
NUMBERS = frozenset({"?", "$", "#", "UID", "EUID", "PPID", "RANDOM", "SECONDS", "LINENO", "BASHPID", "SHLVL"})
# ... or the path of a folder.
FOLDERS = frozenset({"PWD", "HOME", "OLDPWD"})


@dataclass(slots=True)
class State:
    """Changes as the walk goes on; `fork` where what happens inside stays inside."""

    values: dict[str, str] = field(default_factory=dict)  # variables whose value is certain
    touched: set[str] = field(default_factory=set)  # names the script may have set
    cwd: Word | None = None
    functions: dict[str, bool] = field(default_factory=dict)  # name: certainly defined by now
    context: tuple[str, ...] = ()
    via: tuple[Carrier, ...] = ()
    dialect: str = "bash"
    elsewhere: bool = False  # on another machine or in a container: paths are not those of this one
    anything_set: bool = False  # something unread may have set any variable
    errexit: bool = False  # `set -e`: a command that fails ends the script
    stdin: str | None = None  # the text that standard input is known to be

    def fork(self) -> State:
        return replace(
            self, values=dict(self.values), touched=set(self.touched), functions=dict(self.functions)
        )

    def inside(self, what: str) -> State:
        """A fork that stands inside of `what`."""
        forked = self.fork()
        forked.context = (*self.context, what)
        return forked

    # --- variables ---

    def set(self, name: str, value: str | None) -> None:
        """`value` None: set to something that is not known."""
        self.touched.add(name)
        if value is None:
            self.values.pop(name, None)
        else:
            self.values[name] = value

    def forget_values(self) -> None:
        """Something unread may have set any variable."""
        self.values.clear()
        self.anything_set = True

    def forget(self) -> None:
        """Something unread ran in this shell: no variable, no folder is certain any more."""
        self.forget_values()
        self.errexit = False
        self.cwd = Word.unknown("folder that unread text may change")

    def merge(self, *branches: State) -> None:
        """Take over what is the same whichever of the branches ran."""
        for branch in branches:
            self.touched |= branch.touched
            self.anything_set = self.anything_set or branch.anything_set
            self.errexit = self.errexit and branch.errexit
            if branch.cwd != self.cwd:
                self.cwd = Word.unknown("folder that only one branch changes")
            for name, certain in branch.functions.items():
                if name not in self.functions or not certain:
                    self.functions[name] = False
        first, *others = (self, *branches)
        self.values = {
            name: value
            for name, value in first.values.items()
            if all(other.values.get(name) == value for other in others)
        }

    def is_special(self, name: str) -> bool:
        """Whether the script left a variable of bash's own alone."""
        return name not in self.touched and not self.anything_set

    def splits(self) -> bool:
        """Whether unquoted text is split at blanks, tabs and newlines as by default."""
        return self.is_special("IFS")

    # --- folders ---

    def change_folder(self, target: Word | None) -> None:
        self.cwd = joined(self.cwd, target)


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
