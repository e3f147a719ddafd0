"""`agent apply`: a diff that a person hands over goes into the files of the folder."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.options import Folder

MOST_BYTES = 64 << 20


def apply(
    diff: Annotated[
        str, typer.Argument(metavar="FILE", help="The diff, as git writes it; `-`: standard input.")
    ] = "-",
    cd: Folder = None,
    check: Annotated[bool, typer.Option("--check", help="Say whether it fits, and change nothing.")] = False,
    reverse: Annotated[bool, typer.Option("--reverse", "-R", help="Take the diff back.")] = False,
) -> None:
    """Apply a diff to the files here, all of it or nothing. Its paths start at the root of the repository.

    It is not judged by the policy: whoever types it decides. Files outside, and those of git itself, are never touched.
    """
    import subprocess
    import sys
    from pathlib import Path

    from agent.cli.options import current_folder
    from agent.errors import PatchError, UsageError

    folder = current_folder() / Path(cd or "").expanduser()
    if not folder.is_dir():
        raise UsageError(f"`--cd {cd}` is not a folder", "name an existing folder")
    if diff == "-":
        raw = sys.stdin.buffer.read(MOST_BYTES + 1)
    else:
        with open(diff, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise UsageError(f"the diff is larger than {MOST_BYTES >> 20} MiB", "apply it in parts")
    if not raw.strip():
        raise UsageError("there is no diff", "name a file, or pipe it in: `git diff … | agent apply`")
    words = ["git", "apply", "--whitespace=nowarn", *(["--check"] if check else ["--stat", "--apply"])]
    words += ["--reverse"] if reverse else []
    try:
        # Below its root git leaves out, in silence, what the diff says about other folders.
        root = subprocess.run(
            ["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, text=True, check=False
        ).stdout.strip()
        done = subprocess.run([*words, "-"], input=raw, cwd=root or folder, capture_output=True, check=False)
    except FileNotFoundError:
        raise PatchError("git is not installed", "install it, or use `patch -p1`") from None
    told = done.stderr.decode("utf-8", "replace").replace("error: ", "").strip()
    if done.returncode and "No valid patches in input" in told:
        raise PatchError("this is no diff", "hand over what `git diff` writes")
    if done.returncode:
        raise PatchError(
            f"the diff does not fit, nothing was changed:\n{told}", "make it anew from the files as they are"
        )
    typer.echo(done.stdout.decode("utf-8", "replace").rstrip() or "it fits")
