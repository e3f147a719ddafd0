"""`--worktree`: the task gets a checkout of its own, beside the repository, on a branch of its own."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Worktree:
    """A checkout that was made for one run."""

    repository: Path
    path: Path
    branch: str
    start: str  # the commit that it began with

    def settle(self) -> str:
        """Remove it where nothing was changed in it; what a person is told."""
        head = _git(self.path, "rev-parse", "HEAD")
        # Not into submodules: their configuration may be of the model's making, and names programs.
        words = ("status", "--porcelain", "--ignored", "--ignore-submodules=dirty")
        why = ""
        if not _git(self.path, *words) and head == self.start:
            try:
                _git(self.repository, "worktree", "remove", str(self.path))
            except UsageError as error:  # git removes none that holds submodules
                why = f"nothing was changed, but it could not be removed ({error}); "
            else:
                with contextlib.suppress(UsageError):  # it is at the commit that it began with
                    _git(self.repository, "branch", "-D", self.branch)
                return "nothing was changed; the worktree was removed"
        return (
            f"{why}the worktree is {self.path} (branch {self.branch}); "
            f"when you are done with it: git worktree remove {self.path}"
        )


def make_worktree(folder: Path) -> Worktree:
    """A checkout of the commit that `folder` stands on. What is not committed is not in it."""
    try:
        root = Path(_git(folder, "rev-parse", "--show-toplevel"))
        start = _git(folder, "rev-parse", "--verify", "HEAD^{commit}")
    except UsageError:
        raise UsageError(
            f"`--worktree` needs a git repository with a commit, and `{folder}` is none",
            "begin with `git init`",
        ) from None
    name = secrets.token_hex(3)
    path = root.with_name(f"{root.name}-agent-{name}")
    branch = f"agent/{name}"
    _git(root, "worktree", "add", "--quiet", "-b", branch, str(path), start)
    return Worktree(root, path, branch, start)


def _git(folder: Path, *words: str) -> str:
    # No hook of the repository runs for what a person did not type.
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *words]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError("git is not installed", "`--worktree` needs it") from None
    if done.returncode:
        said = done.stderr.strip().removeprefix("fatal: ") or "no reason given"
        raise UsageError(f"git {words[0]}: {said}", "see `git worktree list`")
    return done.stdout.strip()
