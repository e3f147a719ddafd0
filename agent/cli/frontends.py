"""Puts a frontend on a conversation: opened by the host, run to its end, closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from agent.config.model import Settings
from agent.errors import ConfigError, UsageError
from agent.headless.answer import read_form
from agent.headless.images import data_urls
from agent.headless.run import End, Outcome, Show, run_task
from agent.protocol.conversation import Conversation
from agent.protocol.events import Warned
from agent.protocol.plain import message_text, visible
from execpolicy.values import frozen, replace

SCRIPTED = "no model key: the built-in scripted model answers (OPENAI_API_KEY or --base-url: a live one)"


@frozen
class Begin:
    """Where a conversation begins: anew, or with a stored session, gone on with or forked."""

    thread_id: str | None = None
    fork: bool = False
    worktree: bool = False  # in a checkout of its own

    async def open(self, settings: Settings, *, as_json: bool = False) -> Conversation:
        from agent.app.compose import compose
        from agent.app.curtain import Audience

        host = compose(settings, Audience.PROGRAM if as_json else Audience.PERSON)
        if self.thread_id is None:
            return await host.open()
        return await (host.fork(self.thread_id) if self.fork else host.resume(self.thread_id))


@frozen
class Task:
    """What `exec` was asked to do."""

    prompt: str | None
    images: tuple[str, ...] = ()  # paths
    schema: str | None = None
    last_message: str | None = None
    as_json: bool = False


def execute(settings: Settings, begin: Begin, task: Task) -> int:
    """`agent exec`: the exit status."""
    from agent.cli.stdin import read_prompt

    images = data_urls(task.images, Path.cwd())
    form = None
    if task.schema is not None:
        form = read_form(task.schema)
        if form.note:
            _note(form.note)
    text = read_prompt(task.prompt, 0, _note)
    with contextlib.ExitStack() as open_files:
        answer = open_files.enter_context(_created(task.last_message)) if task.last_message else None
        if settings.scripted:
            _note(SCRIPTED)

        async def run(settings: Settings, show: Show, hurry: Callable[[], None]) -> Outcome:
            return await run_task(
                await begin.open(settings, as_json=task.as_json),
                text,
                show,
                images=images,
                form=form,
                late=_late,
                hurry=hurry,
            )

        with _shown(as_json=task.as_json) as (show, hurry), _checkout(settings, begin) as there:
            outcome = asyncio.run(run(there, show, hurry))
        done = outcome.end is End.DONE
        if answer is not None and done:
            _written(answer, outcome.last_message)
            if not outcome.last_message:
                _note("warning: there is no final message; the file is empty")
        if not task.as_json and done and outcome.last_message:
            _print_answer(outcome.last_message)
    return _status(outcome, settings)


def converse(settings: Settings, begin: Begin, prompt: str | None, images: tuple[str, ...] = ()) -> int:
    """`agent`, `agent resume` and `agent fork`: the exit status."""
    from rich.console import Console

    from agent.cli.stdin import read_prompt, whole_text
    from agent.tui.app import Terminal
    from agent.tui.composer import open_input
    from agent.tui.transcript import Screen

    urls = data_urls(images, Path.cwd())
    if urls and not prompt:
        raise UsageError("pictures go with a task", "give one: `agent -i FILE PROMPT`")
    prompt = read_prompt(prompt, 0, _note) if prompt == "-" else whole_text(prompt) or None
    terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    screen = Screen(Console(highlight=False, markup=False, emoji=False))
    history = settings.agent_home / "history"
    source = open_input(history, _to_stdout, terminal=terminal, one_task=prompt is not None)
    if settings.scripted:
        screen.tell(SCRIPTED, "ask")

    async def run(settings: Settings) -> bool:
        conversation = await begin.open(settings)
        front = Terminal(conversation, screen, source, record=str(settings.audit), images=urls)
        await front.run(prompt)
        if not front.tasks and not terminal:
            raise UsageError("no task", "give one: `agent PROMPT`, or one a line on standard input")
        # At a terminal the person saw how each task ended, and ended the session as one does.
        return front.terminated or (front.failed and not terminal)

    with _checkout(settings, begin) as there:
        return 1 if asyncio.run(run(there)) else 0


@contextlib.contextmanager
def _checkout(settings: Settings, begin: Begin) -> Iterator[Settings]:
    """The settings for where the work is done: here, or in a checkout that is made for it."""
    if not begin.worktree:
        yield settings
        return
    from agent.cli.worktree import make_worktree

    made = make_worktree(settings.cwd)
    _note(f"working in {made.path} (branch {made.branch})")
    try:
        cwd = made.path / settings.cwd.resolve().relative_to(made.repository.resolve())
        if not cwd.is_dir():
            raise UsageError(
                f"`{settings.cwd}` is not in the last commit", "commit it, or work without --worktree"
            )
        yield replace(settings, cwd=cwd, workspace=made.path)
    finally:
        _note(made.settle())


def _print_answer(text: str) -> None:
    """As it is for a program; made harmless for a terminal, which has it from standard error already."""
    if not sys.stdout.isatty():
        print(text, flush=True)
    elif not sys.stderr.isatty():
        print(message_text(text), flush=True)


def _status(outcome: Outcome, settings: Settings) -> int:
    fail_on = settings.fail_on
    if outcome.unrecorded:
        _note(
            f"error: {outcome.unrecorded} call(s) were refused because the audit record could not be written\n"
            f"help: see that `{settings.audit}` can be written and `agent audit verify` finds it whole"
        )
        return 1
    if outcome.end is not End.DONE:
        return 1
    counted = {"never": 0, "deny": outcome.denied, "ask": outcome.denied + outcome.asked}[fail_on]
    if not counted:
        return 0
    what = "denied" if fail_on == "deny" else "denied or asked about"
    _note(f"error: {counted} action(s) were {what} (--fail-on {fail_on})")
    return 1


def _created(path: str) -> IO[str]:
    """The file of `-o`: made at once, so that a wrong path is told before anything runs."""
    try:
        return Path(path).open("w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"cannot write `{path}`: {error.strerror}", "check the path of `-o`") from None


def _written(file: IO[str], text: str) -> None:
    try:
        file.write(text)
        file.flush()
    except OSError as error:
        with contextlib.suppress(OSError):
            file.close()  # it would try to write once more
        raise ConfigError(
            f"cannot write `{file.name}`: {error.strerror}", "the task itself is done"
        ) from None


@contextlib.contextmanager
def _shown(*, as_json: bool) -> Iterator[tuple[Show, Callable[[], None]]]:
    """Where events go: progress for a person, or JSON Lines, which then have standard output for themselves.

    Also what to call when the run is to end, so that nobody is waited for who does not read.
    """
    if not as_json:
        from agent.headless.human import HumanText

        yield HumanText(_to_stderr), lambda: None
        return
    from agent.headless.jsonl import JsonLines
    from agent.headless.pipe import Pipe

    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)  # what anything else prints
    pipe = Pipe(ours)
    try:
        yield JsonLines(pipe.write), pipe.hurry
    finally:
        sys.stdout.flush()
        os.dup2(ours, 1)
        os.close(ours)


def _late(warned: Warned) -> None:
    """The events of the run are over by now."""
    _note(f"warning: {visible(warned.message)}" + (f"\nhelp: {visible(warned.help)}" if warned.help else ""))


def _note(text: str) -> None:
    _to_stderr(text + "\n")


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
