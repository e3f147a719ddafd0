"""Where another shell would read a text differently than bash does."""

from __future__ import annotations

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


def may_be_eaten(text: str) -> bool:
    """Whether taking lines out of a script on standard input may turn text in it into commands.

    Commands that read standard input take lines of the script away. That is harmless as long as no
    quotes, no array, no here-document and no continuation reaches over the end of a line.
    """
    lines = text.rstrip("\n").split("\n")
    if len(lines) < 2:
        return False
    if len(lines) > 500:
        return True
    return any("<<" in line or "=(" in line or line.endswith("\\") or _open_quote(line) for line in lines)


def _open_quote(line: str) -> bool:
    if not any(mark in line for mark in "'\"`"):
        return False
    failure = read(line).failure
    return failure is not None and failure.why.endswith("not closed")
