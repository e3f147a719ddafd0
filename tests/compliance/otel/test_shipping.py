"""`agent audit ship`: at least once, in order, whatever ends it; and what it cannot send is counted."""

from __future__ import annotations

import json
import os
import re
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.protobuf import json_format

from compliance.export import Format, export
from compliance.log import AuditLog
from compliance.otel.base import Encoding
from compliance.otel.files import FileWire, otlp_files
from compliance.otel.form import request_of
from compliance.otel.http import HttpWire
from compliance.otel.settings import Protocol, Signal, Target
from compliance.query import Filter, entries
from compliance.segments import snapshot
from compliance.shipping import Shipper

pytest.importorskip("opentelemetry.proto")

from collectors import STORY, Collector, attributes, collector

COMMAND = "from compliance.cli import app; app()"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    log = AuditLog(tmp_path / "audit")
    for event in STORY:
        log.record(event)
    log.close()
    return tmp_path


def start(home: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "ship", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean | {"AGENT_HOME": str(home)} | env,
    )


def ship(home: Path, *words: str, **env: str) -> tuple[int, str, str]:
    with start(home, *words, **env) as process:
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def seqs(server: Collector) -> list[int]:
    return [attributes(event)["agent.audit.seq"] for event in server.taken.events()]


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_the_record_is_sent_once_and_then_only_what_is_new(home: Path, protocol: str) -> None:
    with collector() as server:
        env = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url}
        assert ship(home, **env)[:2] == (0, "sent 11 records and 0 lines of files\n")
        assert seqs(server) == list(range(1, 12))
        assert {headers["content-encoding"] for _, headers, _ in server.taken.raw} == {"gzip"}
        assert ship(home, **env)[:2] == (0, "sent 0 records and 0 lines of files\n")
        log = AuditLog(home / "audit")
        log.record(STORY[2])
        log.close()
        assert ship(home, **env)[:2] == (0, "sent 1 records and 0 lines of files\n")
        assert seqs(server) == list(range(1, 13))
        first = server.taken.events()[0]
        assert first.event_name == "agent.session.start"
        assert b"--token" not in b"".join(body for _, _, body in server.taken.raw)
    with collector() as another:  # it has nothing yet
        ship(home, "--endpoint", another.url)
        assert len(seqs(another)) == 12


def test_it_goes_on_where_the_collector_stopped(home: Path) -> None:
    with collector() as server:
        server.statuses = [(401, "")]
        status, out, _ = ship(home, "--endpoint", server.url)
        assert (status, "stopped: the collector answered 401" in out) == (1, True)
        server.statuses = [(503, "0"), (429, "0")]
        assert ship(home, "--endpoint", server.url)[0] == 0
        assert seqs(server) == list(range(1, 12))


def test_one_record_that_is_refused_keeps_no_other_back(home: Path) -> None:
    with collector() as server:
        server.statuses = [(400, ""), (200, ""), (400, ""), (400, ""), (400, "")]
        status, out, _ = ship(home, "--endpoint", server.url, "--format", "json")
        told = json.loads(out)
        assert status == 1
        assert told["refused"] >= 1
        assert told["records"] + told["refused"] == 11
        assert len(seqs(server)) == told["records"]


def test_what_is_thrown_away_is_told(home: Path) -> None:
    answer = b'{"partialSuccess":{"rejectedLogRecords":"4","errorMessage":"old"}}'
    with collector(answer=answer, kind="application/json") as server:
        status, out, _ = ship(home, "--endpoint", server.url)
    assert (status, "4 thrown away by the collector" in out) == (1, True)


def test_a_200_of_somebody_else_moves_nothing(home: Path) -> None:
    with collector(answer=b"<html>", kind="text/html") as server:
        status, out, _ = ship(home, "--endpoint", server.url)
    assert (status, "not that of a collector" in out) == (1, True)
    with collector() as real:
        ship(home, "--endpoint", real.url)
        assert seqs(real) == list(range(1, 12))


def test_killed_at_any_moment_it_loses_nothing(home: Path) -> None:
    log = AuditLog(home / "audit")
    for _ in range(200):
        log.record(STORY[2])
        log.record(STORY[4])
    log.close()
    program = COMMAND.replace("app()", "import compliance.shipping as s; s.BATCH = 7; app()")
    with collector(delay=0.01) as server:
        for _ in range(4):
            before = len(server.taken.raw)
            env = {**os.environ, "AGENT_HOME": str(home)}
            argv = [sys.executable, "-c", program, "ship", "--endpoint", server.url]
            with subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL) as process:
                end = time.monotonic() + 30
                while len(server.taken.raw) < before + 3 and process.poll() is None:
                    assert time.monotonic() < end
                    time.sleep(0.005)
                process.send_signal(signals.SIGKILL)
        assert ship(home, "--endpoint", server.url)[0] == 0
        found = seqs(server)
    assert set(found) == set(range(1, 412))


def test_files_are_sent_and_removed_and_half_a_line_is_counted(home: Path) -> None:
    folder = home / "telemetry"
    crashed = FileWire(folder, 1 << 20)
    body = json.dumps({"resourceSpans": []}).encode()
    crashed.send(Signal.TRACES, body)
    crashed.close()
    (path,) = otlp_files(folder)
    with path.open("ab") as file:
        file.write(b'{"resourceSpans":[{')
    writing = FileWire(folder, 1 << 20)
    writing.send(Signal.LOGS, json.dumps({"resourceLogs": []}).encode())
    with collector() as server:
        words = ("--endpoint", server.url, "--source", "files", "--format", "json")
        dry = json.loads(ship(home, *words, "--dry-run")[1])
        assert (dry["lines"], dry["torn"], dry["dry_run"]) == (2, 1, True)
        assert server.taken.raw == []
        done = json.loads(ship(home, *words, "--remove")[1])
        assert (done["lines"], done["torn"], done["removed"]) == (2, 1, 1)
        assert [one.name.partition("-")[0] for one in otlp_files(folder)] == ["logs"]  # it is being written
        writing.send(Signal.LOGS, json.dumps({"resourceLogs": []}).encode())
        writing.close()
        assert json.loads(ship(home, *words, "--remove")[1])["lines"] == 1
        assert otlp_files(folder) == []
    assert [path for path, _, _ in server.taken.raw] == ["/v1/traces", "/v1/logs", "/v1/logs"]


def test_files_have_a_quota_and_turn_over(tmp_path: Path) -> None:
    wire = FileWire(tmp_path / "t", 1000, rotate_bytes=300)
    answers = [wire.send(Signal.LOGS, b"x" * 99).why for _ in range(12)]
    wire.close()
    assert [bool(why) for why in answers] == [False] * 10 + [True] * 2
    assert "--remove` makes room" in answers[-1]
    sizes = [path.stat().st_size for path in otlp_files(tmp_path / "t")]
    assert sizes == [300, 300, 300, 100]
    assert wire.encoding is Encoding.JSON


def test_a_record_that_was_edited_is_not_sent(home: Path) -> None:
    (path,) = (home / "audit").glob("records-*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"exit_code":3', b'"exit_code":4'))
    with collector() as server:
        status, out, _ = ship(home, "--endpoint", server.url)
        assert (status, "1 records or lines not as they were written" in out) == (1, True)
        assert seqs(server) == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_half_a_line_is_waited_for_and_what_comes_in_its_place_is_sent(home: Path) -> None:
    (path,) = (home / "audit").glob("records-*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"digest":"' + b"0" * 900)
    with collector() as server:
        status, out, _ = ship(home, "--endpoint", server.url)
        assert (status, "1 halves of lines" in out) == (0, True)
        log = AuditLog(home / "audit")  # puts the half aside
        for _ in range(3):
            log.record(STORY[2])
        log.close()
        assert ship(home, "--endpoint", server.url)[0] == 0
        assert seqs(server) == list(range(1, 16))


def cut(audit: Path) -> None:
    (path,) = audit.glob("records-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]))


def archived(audit: Path) -> None:
    """Another log has begun, and it is longer by now than the old one was."""
    audit.rename(audit.parent / "archive")
    log = AuditLog(audit)
    for _ in range(3):
        for event in STORY:
            log.record(event)
    log.close()


def removed(audit: Path) -> None:
    next(audit.glob("records-*.jsonl")).unlink()
    (audit / "head").unlink()
    AuditLog(audit).record(STORY[2])


@pytest.mark.parametrize("change", [cut, archived, removed])
def test_another_log_in_its_place_is_sent_from_its_beginning(
    home: Path, change: Callable[[Path], None]
) -> None:
    with collector() as server:
        ship(home, "--endpoint", server.url)
        change(home / "audit")
        before = len(server.taken.events())
        ship(home, "--endpoint", server.url)
        sent = seqs(server)[before:]
        ship(home, "--endpoint", server.url)
        assert len(server.taken.events()) == before + len(sent)
    found = [entry.record.seq for entry in entries(snapshot(home / "audit"), Filter())]  # type: ignore[union-attr]
    assert sent == found


def spoiled(data: bytes) -> Iterator[bytes]:
    yield from (b"", b"{", b"null", b"[]", b"\xff" * 20, data[: len(data) // 2])
    for number in (-5, 7, 10**6, 10**30):
        for name in (b"offset", b"start", b"seq"):
            yield re.sub(b'"' + name + b'":[0-9]+', b'"%s":%d' % (name, number), data)
    yield data.replace(b"records-000000000001", b"records-000000000009")


def test_a_cursor_that_is_spoiled_loses_nothing(home: Path) -> None:
    path = home / "telemetry" / "shipped.json"
    with collector() as server:
        ship(home, "--endpoint", server.url)
        whole = path.read_bytes()
        log = AuditLog(home / "audit")
        log.record(STORY[2])
        log.close()
        for data in spoiled(whole):
            path.write_bytes(data)
            before = len(server.taken.events())
            wire = HttpWire(Target(Protocol.PROTOBUF, f"{server.url}/v1/logs"), "t")
            Shipper(path.parent, f"{server.url} {home / 'audit'}", lambda _, one=wire: one, time.sleep).ship(
                home / "audit"
            )
            wire.close()
            assert 12 in seqs(server)[before:], data


@pytest.mark.parametrize("offset", [-1, 3, 10**9, 10**30])
def test_no_file_is_removed_that_a_spoiled_cursor_passed_over(home: Path, offset: int) -> None:
    folder = home / "telemetry"
    wire = FileWire(folder, 1 << 20)
    wire.send(Signal.TRACES, json.dumps({"resourceSpans": []}).encode())
    wire.close()
    (path,) = otlp_files(folder)
    words = ("--source", "files", "--remove", "--format", "json")
    with collector() as server:
        name = f"{server.url} {home / 'audit'}"
        (folder / "shipped.json").write_text(json.dumps({name: {"files": {path.name: offset}}}))
        done = json.loads(ship(home, "--endpoint", server.url, *words)[1])
        assert (done["lines"], done["removed"], len(server.taken.raw)) == (1, 1, 1)


def test_a_file_of_which_something_is_refused_is_kept(home: Path) -> None:
    wire = FileWire(home / "telemetry", 1 << 20)
    for _ in range(3):
        wire.send(Signal.TRACES, json.dumps({"resourceSpans": []}).encode())
    wire.close()
    words = ("--source", "files", "--remove", "--format", "json")
    with collector() as server:
        server.statuses = [(200, ""), (400, ""), (200, "")]
        done = json.loads(ship(home, "--endpoint", server.url, *words)[1])
    assert (done["lines"], done["refused"], done["removed"]) == (2, 1, 0)
    assert len(otlp_files(home / "telemetry")) == 1


def test_of_several_at_once_one_sends_and_the_others_say_so(home: Path) -> None:
    env = {**os.environ, "AGENT_HOME": str(home)}
    with collector(delay=0.3) as server:
        argv = [sys.executable, "-m", "agent", "audit", "ship", "--endpoint", server.url]
        running = [
            subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for one in running:
            out, err = one.communicate(timeout=60)
            busy = err == "error: another `agent audit ship` is at work\nhelp: wait for its end\n"
            assert (one.returncode, out, err) == (0, out, "") if not busy else one.returncode == 1, err
        assert ship(home, "--endpoint", server.url)[0] == 0
        assert seqs(server) == list(range(1, 12))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a collector here or in OTEL_EXPORTER_OTLP_ENDPOINT"),
        (["--endpoint", "ftp://x"], "is no address of a collector"),
    ],
)
def test_wrong_usage_is_said(home: Path, words: list[str], said: str) -> None:
    status, _, err = ship(home, *words)
    assert status == 2
    assert said in " ".join(err.split())


def test_every_record_as_otlp_is_read_by_the_official_protobuf(home: Path) -> None:
    found = entries(snapshot(home / "audit"), Filter())
    lines = [line for line in export(found, Format.OTLP, Filter()) if isinstance(line, str)]
    assert len(lines) == len(STORY)
    names = []
    for line in lines:
        request = json_format.Parse(line, request_of(Signal.LOGS))
        (record,) = request.resource_logs[0].scope_logs[0].log_records
        names.append(record.event_name)
        assert attributes(record)["agent.audit.digest"]
        assert record.time_unix_nano > 1_600_000_000_000_000_000
    assert names[2:5] == ["agent.policy.decision", "agent.policy.approval", "agent.tool.end"]
