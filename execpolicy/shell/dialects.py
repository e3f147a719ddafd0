"""Where another shell would read a text differently than bash does."""

from __future__ import annotations

import re

_BASH = frozenset({"bash", "rbash"})
_POSIX = frozenset({"sh", "dash", "ash", "ksh", "mksh", "busybox"})
# What bash reads in its own way and a POSIX shell may read otherwise.
_NOT_POSIX = re.compile(
    r"""\$['"\[]|[<>]\(|\[\[|\(\(|&>|>&[^0-9 -]|\|&|<<<|=\(|\+=|\{[^}\s]*(?:,|\.\.)|!\(|[?*+@]\("""
    r"""|\$\{[^}]*[/^,@\[!]|\$\{[A-Za-z0-9_]+:[^-=?+]|\b(?:function|select|coproc|time|source|declare|typeset"""
    r"""|local|let|shopt|mapfile|readarray|pushd|popd|builtin|enable|caller|disown|bind|complete|compgen)\b"""
    r"""|\{[A-Za-z_]\w*\}[<>]|\\c|~[+-]|(?<![\w-])[0-9]{2,}[<>]|;;?&"""
)
# What every shell of this kind reads alike: words, simple quotes, lists, pipes, plain redirections.
_COMMON = re.compile(
    r"""(?:[A-Za-z0-9_./:@%+, \t\n;|&-]|(?<!\S)'[^'!\\]*'(?!\S)|(?<!\S)"[^"$`\\!]*"(?!\S)|>)*"""
)
_NOT_COMMON = re.compile(r"(?<!\S)[=+%]|&>|\|&|;[|;]|>&|>[(|!]|\bfunction\b|[;&|]\s*-")


def differs(text: str, dialect: str) -> str | None:
    """Why reading `text` as bash does may miss what `dialect` runs; None when it does not."""
    if dialect in _BASH:
        return None
    if dialect in _POSIX:
        return f"text that {dialect} may read differently than bash" if _NOT_POSIX.search(text) else None
    if _COMMON.fullmatch(text) and not _NOT_COMMON.search(text):
        return None
    return f"text for {dialect}, which is not read"
