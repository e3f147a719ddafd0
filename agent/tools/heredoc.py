"""Recognises a shell command that is nothing but a patch: `apply_patch <<'EOF' ... EOF`, maybe after one `cd`.

Models write it often. Taken as the patch that it is, it is judged as a change of files and applied by us; the
shell never sees it. Whatever else stands in the command, it stays a command.
"""

from __future__ import annotations

import os
import re
import shlex

from execpolicy.values import frozen

_WORD = r"""(?:[\w@%+=:,./-]+|'[^'\n]*'|"[^"$`\\\n]*")"""
_HEREDOC = re.compile(
    rf"""\s*(?:cd\s+(?P<cd>{_WORD})\s*&&\s*)?
    (?:apply_patch|applypatch)\s*<<\s*(?P<quote>['"]?)(?P<end>[A-Za-z_]\w*)(?P=quote)[ \t]*\n
    (?P<text>.*?\n)(?P=end)\s*\Z""",
    re.DOTALL | re.VERBOSE,
)
_ARGUMENT = re.compile(
    rf"""\s*(?:cd\s+(?P<cd>{_WORD})\s*&&\s*)?(?:apply_patch|applypatch)\s+'(?P<text>[^']*)'\s*\Z""",
    re.DOTALL | re.VERBOSE,
)


@frozen
class ShellPatch:
    text: str
    cwd: str


def find_patch(script: str, cwd: str) -> ShellPatch | None:
    """The patch that `script` is, with the folder its paths are relative to."""
    if "*** Begin Patch" not in script:
        return None
    found = _HEREDOC.match(script) or _ARGUMENT.match(script)
    if found is None:
        return None
    folder = found["cd"]
    if folder is not None:
        word = shlex.split(folder)[0] if folder not in ("''", '""') else ""
        if word.startswith("-") or word == "":
            return None
        cwd = os.path.join(cwd, word)
    return ShellPatch(found["text"], os.path.normpath(cwd))
