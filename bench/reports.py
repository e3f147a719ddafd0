"""Reports, exports and evidence packs over long logs: time and peak memory, each in a process of its own.

    python bench/reports.py [RECORDS...]

Two lengths of log show whether memory grows with it. Beside each, the same bytes read and hashed.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compliance.chain import START, seal
from compliance.codec import to_json
from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Outcome,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SessionEnded,
    SessionStarted,
)
from compliance.segments import HEAD_NAME, Head, pack_head, segment_name
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

SEGMENT = 64 * 1024 * 1024
PEAK = (
    "import resource,sys\nfrom compliance.cli import app\ntry:\n app()\n"
    "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)"
)


def events(count: int) -> list[AuditEvent]:
    """One session of thirty calls, over and over: three in ten are asked about or denied."""
    chance = random.Random(1)
    session = f"0199-{count:08}"
    found: list[AuditEvent] = [
        SessionStarted(
            session, "1", "m", "/w", "/w", "workspace-write", "user", user="ann", host=f"h{count % 40}"
        ),
        PolicyLoaded(session, (PolicyFile("/r/team.rules", "user", "a" * 64, True),)),
    ]
    for number in range(30):
        decision = chance.choices(list(Decision), [7, 2, 1])[0]
        rule = RuleMatch(
            rule_id=f"rule-{chance.randrange(400)}",
            decision=decision,
            certainty=Certainty.YES,
            origin=Origin(Layer.USER, "/r/team.rules", 12),
            controls=("SOC2:CC6.1",),
        )
        text = f"tool-{chance.randrange(3000)} --option {count}"
        part = Part(kind="command", text=text, decision=decision, matches=(rule,))
        verdict = Verdict(decision=decision, parts=(part,))
        call = f"call-{number}"
        found.append(Decided(session, call, "exec_command", text, "/w", verdict))
        if decision is Decision.ASK:
            found.append(Approved(session, call, Reply.YES, "ann", seconds=2.0))
        if decision is Decision.DENY:
            found.append(Refused(session, call, "denied"))
        else:
            found.append(Ran(session, call, 0, Outcome.COMPLETED, 0.1, "0" * 64, 12, "bubblewrap"))
    return [*found, SessionEnded(session, "done")]


def write(folder: Path, count: int) -> None:
    """A log as the agent writes it, without its locks and flushes."""
    folder.mkdir()
    link, number, size, session = START, 1, 0, 0
    stream = (folder / segment_name(number)).open("wb")
    while link.seq < count:
        session += 1
        for event in events(session):
            second = link.seq // 20
            day, rest = divmod(second, 86_400)
            at = f"2026-11-{day + 1:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.000000Z"
            line, link = seal(link, at, to_json(event))
            if size + len(line) > SEGMENT:
                stream.close()
                number, size = number + 1, 0
                stream = (folder / segment_name(number)).open("wb")
            size += stream.write(line)
    stream.close()
    (folder / HEAD_NAME).write_bytes(pack_head(Head(link.digest, segment_name(number), link.seq, size)))


def measured(words: list[str]) -> tuple[float, int]:
    """Seconds and megabytes at the peak."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    return time.perf_counter() - start, int(done.stderr.split()[-1])


def hashed(folder: Path) -> float:
    start = time.perf_counter()
    for path in sorted(folder.glob("records-*")):
        with path.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")
    return time.perf_counter() - start


def main(lengths: list[int]) -> None:
    environment = os.environ.get("BENCH_DIR")
    with tempfile.TemporaryDirectory(dir=environment) as place:
        logs = {count: Path(place) / f"audit-{count}" for count in lengths}
        for count, folder in logs.items():
            write(folder, count)
            measured(["checkpoint", "--dir", str(folder)])
        heads = " | ".join(f"{count:,} records: s | peak MB" for count in lengths)
        print(f"\n### Reports over long logs\n\n| work | {heads} |\n|---|{'---:|---:|' * len(lengths)}")
        print(
            f"| read and hash (baseline) | {' | '.join(f'{hashed(logs[one]):.1f} | ' for one in lengths)} |"
        )
        jobs = [["report", name] for name in ("decisions", "approvals", "rules", "coverage", "drift", "gaps")]
        jobs += [["export", "--format", name] for name in ("csv", "ocsf", "ecs", "cef")]
        jobs += [["evidence", "--framework", "nist-800-53"]]
        for job in jobs:
            cells = []
            for count, folder in logs.items():
                more = ["-o", f"{place}/pack-{count}"] if job[0] == "evidence" else []
                seconds, peak = measured([*job, "--dir", str(folder), *more])
                cells.append(f"{seconds:.1f} | {peak}")
            print(f"| `{' '.join(job)}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [100_000, 1_000_000])
