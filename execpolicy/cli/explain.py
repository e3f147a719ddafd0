"""Answers one `policy explain`: the verdict, and for each command why the nearest other rules did not speak."""

from __future__ import annotations

import json

from execpolicy.bundle.session import with_tool_rules
from execpolicy.cli.asked import Asked, Format
from execpolicy.cli.check import FAILED, STATUS
from execpolicy.cli.place import Place, SettingsOf, context_of, failed, load, no_settings
from execpolicy.diagnostics import printable
from execpolicy.engine.check import check_facts
from execpolicy.engine.explain import lines, to_json
from execpolicy.engine.trace import NearMiss, near_misses
from execpolicy.shell.analyse import analyse, analyse_argv


def explain(asked: Asked, settings_of: SettingsOf = no_settings) -> int:
    """Print the trace; the exit status is that of `check`."""
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
    policy, context = loaded.policy, context_of(asked, place, loaded, given)
    script = asked.read_as_script
    facts = analyse(script, cwd=context.cwd) if script is not None else analyse_argv(asked.words)
    asked_about = asked.words if script is None else script
    verdict = with_tool_rules(check_facts(facts, policy, context), asked_about, policy, context)
    silent = [
        (" ".join(word.raw for word in command.argv), near_misses(policy, command, context))
        for command in facts.commands
        if command.argv
    ]
    if asked.format is Format.JSON:
        answer = to_json(verdict)
        answer["silent"] = [
            {"command": text, "rules": [_object(miss) for miss in misses]}
            for text, misses in silent
            if misses
        ]
        answer["layers"] = [
            {"layer": layer.word, "unmatched": declared.unmatched.word, "unknown": declared.unknown.word}
            for layer, declared in policy.defaults
        ]
        print(json.dumps(answer, indent=2))
        return STATUS[verdict.decision]
    print("\n".join(lines(verdict)))
    for text, misses in silent:
        if misses:
            print(f"  about `{printable(text)}` these rules are silent:")
        for miss in misses:
            print(
                printable(
                    f"    {miss.decision.word} {miss.pattern} ({miss.rule_id}, {miss.origin}): {miss.reason}"
                )
            )
    print(f"  rules in force: {len(policy.rules)}")
    for layer, declared in policy.defaults:
        print(
            f"  {layer.word} layer: unmatched is {declared.unmatched.word}, unknown is {declared.unknown.word}"
        )
    return STATUS[verdict.decision]


def _object(miss: NearMiss) -> dict[str, object]:
    return {
        "id": miss.rule_id,
        "decision": miss.decision.word,
        "origin": str(miss.origin),
        "pattern": miss.pattern,
        "reason": miss.reason,
    }
