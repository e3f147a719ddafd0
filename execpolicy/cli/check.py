"""Answers one `policy check`: rules in force, one question, an exit status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from execpolicy.cli.asked import Asked, Format, codex_words, quickly
from execpolicy.cli.place import Place, SettingsOf, context_of, failed, load, no_settings
from execpolicy.decision import Decision, Verdict
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy

STATUS: Final = {Decision.ALLOW: 0, Decision.ASK: 10, Decision.DENY: 11}
FAILED: Final = 1
USAGE: Final = 2


def check_quickly(words: Sequence[str], settings_of: SettingsOf = no_settings) -> int | None:
    """The exit status of `policy check WORDS`; None when the words are not of a usual form."""
    codex = codex_words(words)
    if codex is not None:
        return check_as_codex(codex)
    asked = quickly(words)
    return None if asked is None else answer(asked, settings_of)


def check_as_codex(words: Sequence[str]) -> int:
    """Codex's dialect and Codex's answer."""
    from execpolicy.codex import main

    return main(list(words))


def answer(asked: Asked, settings_of: SettingsOf = no_settings) -> int:
    """Print the answer; the exit status is 0 allow, 10 ask, 11 deny, 1 failed."""
    place = Place.of(asked.folder)
    if place is None:
        failed(asked.format, f"`{asked.folder}` is no folder")
        return FAILED
    given = settings_of(place)
    if isinstance(given, str):
        failed(asked.format, given)
        return FAILED
    loaded = load(asked, place)
    if loaded is None:
        return FAILED
    context = context_of(asked, place, loaded, given)
    if asked.stdin:
        from execpolicy.cli.batch import answer_lines

        def elsewhere(folder: str) -> CheckContext:
            there = Place.at(folder, place.home)
            said = settings_of(there)
            if isinstance(said, str):
                from execpolicy.cli.jsonlines import BadLine

                raise BadLine(said)
            return context_of(asked, there, loaded, said)

        return answer_lines(loaded.policy, context, elsewhere)
    verdict = verdict_of(asked, loaded.policy, context)
    show(verdict, asked.format)
    return STATUS[verdict.decision]


def verdict_of(asked: Asked, policy: Policy, context: CheckContext) -> Verdict:
    """The verdict over what was asked about."""
    from execpolicy.bundle.session import check_call

    script = asked.read_as_script
    return check_call(asked.words if script is None else script, policy, context)


def show(verdict: Verdict, form: Format) -> None:
    from execpolicy.engine import explain

    if form is Format.JSON:
        print(json.dumps(explain.to_json(verdict), indent=2))
    else:
        print("\n".join(explain.lines(verdict)))
