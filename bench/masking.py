"""Masking: what it costs a record, a piece of output and a megabyte.

    python bench/masking.py

Beside each, in the same run, what is done with the same text anyway: an event made JSON, a text lowered.
"""

from __future__ import annotations

import base64
import itertools
import random
import time
from collections.abc import Callable

from measure import table

from compliance.codec import to_json
from compliance.events import Decided
from compliance.redact import Redactor
from compliance.stream import Stream
from execpolicy.bundle.load import PolicySource, load_policy
from execpolicy.bundle.shipped import folder
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict
from execpolicy.engine.masks import Masks
from execpolicy.engine.words import Places
from execpolicy.shell.analyse import analyse
from execpolicy.values import replace

ROUNDS = 5
VALUES = ("k7-Qz/9f+Wd=2mXb_81LpR.tY", "hunter2hunter", "Xk29dkqPzz81aa", "s3same-open-9", "qwerty-0987-zz")


def each(count: int, work: Callable[[], object]) -> list[float]:
    """Microseconds of one piece of work, measured ROUNDS times over `count`."""
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(count):
            work()
        found.append((time.perf_counter() - start) / count * 1e6)
    return found


def decided() -> Decided:
    rule = RuleMatch(
        rule_id="base.read-only",
        decision=Decision.ALLOW,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "/home/ann/.agent/rules/base.rules", 12),
        justification="reads only",
        words=("status",),
    )
    texts = ("git status --short", "grep -v tmp", "head -20")
    parts = tuple(Part(kind="command", text=text, decision=Decision.ALLOW, matches=(rule,)) for text in texts)
    verdict = Verdict(decision=Decision.ALLOW, parts=parts)
    return Decided("0198-session", "call_12", "exec_command", " | ".join(texts), "/home/ann/work", verdict)


def main() -> None:
    place = folder()
    assert place is not None
    found = load_policy([PolicySource(place / "masking" / "masking.rules", Layer.USER)]).policy.masks
    masks = Masks(found, places=Places("/w", "/w", "/h"), read=lambda script: analyse(script).commands)
    hide = Redactor(VALUES, masks=masks)
    event = decided()
    number = itertools.count()

    def fresh() -> None:
        hide.event(replace(event, subject=f"git status --short | grep -v tmp | head -{next(number)}"))

    stream = Stream(hide)
    secret = replace(event, subject="curl -H 'Authorization: Bearer abcdef123456' https://x.example")
    table(
        f"one event, 5 known values, {len(found)} masks",
        {
            "event to JSON": each(2000, lambda: to_json(event)),
            "no secret, texts met before": each(2000, lambda: hide.event(event)),
            "no secret, a new command": each(2000, fresh),
            "a secret in it": each(100, lambda: hide.event(secret)),
            "a piece of 40 characters of an output": each(
                300, lambda: stream.feed("   Compiling serde v1.0.219 (/srv/a/b)\n")
            ),
        },
        "event to JSON",
        "us",
    )
    dice = random.Random(1)
    texts = {
        "prose": "the quick brown fox jumps " * 40_000,
        "base64": base64.b64encode(dice.randbytes(750_000)).decode(),
        "escapes": "\\x41" * 250_000,
        "quotes": "'\"\\" * 333_333,
        "a secret a line": f"{VALUES[0]}\n" * 40_000,
    }
    times = {"lowered": each(3, texts["prose"].lower)}
    times |= {name: each(1, lambda text=text: hide.text(text)) for name, text in texts.items()}
    table(
        "one megabyte",
        {name: [one / 1000 for one in found] for name, found in times.items()},
        "lowered",
        "ms",
    )


if __name__ == "__main__":
    main()
