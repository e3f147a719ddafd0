"""Where another shell would read a text differently than bash does."""

from __future__ import annotations

from execpolicy.facts import CommandFacts
from execpolicy.late import late_pattern
from execpolicy.shell.reader import read

_BASH = frozenset({"bash", "rbash"})
_POSIX = frozenset({"sh", "dash", "ash", "ksh", "mksh", "busybox"})
# What bash reads in its own way and a POSIX shell may read otherwise.
_NOT_POSIX = late_pattern(
    r"""\$['"\[]|[<>]\(|\[\[|\(\(|&>|>&[^0-9 -]|\|&|<<<|=\(|\+=|\{[^}\s]*(?:,|\.\.)|!\(|[?*+@]\("""
    r"""|\$\{[^}]*[/^,@\[!]|\$\{[A-Za-z0-9_]+:[^-=?+]|\b(?:function|select|coproc|time|source|declare|typeset"""
    r"""|local|let|shopt|mapfile|readarray|pushd|popd|builtin|enable|caller|disown|bind|complete|compgen)\b"""
    r"""|\{[A-Za-z_]\w*\}[<>]|\\c|~[+-]|(?<![\w-])[0-9]{2,}[<>]|;;?&"""
)
# What every shell of this kind reads alike: words, simple quotes, lists, pipes, plain redirections.
_COMMON = late_pattern(
    r"""(?:[A-Za-z0-9_./: \t\n;|&-]|(?<!\S)'[^'!\\]*'(?!\S)|(?<!\S)"[^"$`\\!]*"(?!\S)|>)*"""
)
_PLAINEST = late_pattern(r"[A-Za-z0-9_./: -]*")  # where even quotes are other ones: cmd, PowerShell
_NEITHER = frozenset({"cmd", "cmd.exe", "powershell", "pwsh", "powershell.exe", "pwsh.exe"})
_NOT_COMMON = late_pattern(r"(?<!\S)[=+%]|&>|\|&|;[|;]|>&|>[(|!]|\bfunction\b|[;&|]\s*-")


def differs(text: str, dialect: str) -> str | None:
    """Why reading `text` as bash does may miss what `dialect` runs; None when it does not."""
    if dialect in _BASH:
        return None
    if dialect in _POSIX:
        return f"text that {dialect} may read differently than bash" if _NOT_POSIX.search(text) else None
    if dialect in _NEITHER:
        return None if _PLAINEST.fullmatch(text) else f"text for {dialect}, which is not read"
    if _COMMON.fullmatch(text) and not _NOT_COMMON.search(text):
        return None
    return f"text for {dialect}, which is not read"


_BLOCK = 4000  # what fits into one reading of a program is taken whole, or line by line


def may_be_eaten(text: str) -> bool:
    """Whether taking lines out of a script on standard input may turn text in it into commands.

    Commands that read standard input take lines of the script away. That is harmless as long as no
    quotes, no array, no here-document and no continuation reaches over the end of a line.
    """
    lines = text.rstrip("\n").split("\n")
    if len(lines) < 2:
        return False
    if len(lines) > 500 or len(text) > _BLOCK:
        return True
    return any("<<" in line or "=(" in line or line.endswith("\\") or _open_quote(line) for line in lines)


# Programs that can read a part of a line, or a part of what waits, and leave the rest.
_BY_BYTES = frozenset({"dd", "od", "xxd", "hexdump", "hd", "cmp", "script", "socat"})
_BY_OPTION = {
    "read": "nNdt",
    "mapfile": "d",
    "readarray": "d",
    "head": "cn",
    "tail": "cn",
    "sed": "us",
    "cat": "",
}


def reads_a_part(command: CommandFacts) -> bool:
    """Whether a command may leave its input in the middle of a line."""
    if not command.argv:
        return False
    name = command.argv[0].prefix.rpartition("/")[2]
    if name in _BY_BYTES:
        return True
    letters = _BY_OPTION.get(name)
    return letters is not None and any(
        word.text is None or (word.prefix.startswith("-") and bool(set(word.prefix) & set(letters)))
        for word in command.argv[1:]
    )


def _open_quote(line: str) -> bool:
    if not any(mark in line for mark in "'\"`"):
        return False
    failure = read(line).failure
    return failure is not None and failure.why.endswith("not closed")
