"""Nothing is connected that was not judged; one lookup, one address, one question, one record."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent.network.base import Bounds
from agent.network.guard import Flow, Refusal
from execpolicy.decision import Decision

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY


async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_name_is_looked_up_once_and_its_address_pinned(net: Any) -> None:
    port = await net.server(quiet)
    net.judge.inexact.add("ok.test")
    net.resolver.table["ok.test"] = [("8.8.8.8",), ("127.0.0.1",)]
    net.bounds = Bounds(connect_seconds=0.1)
    await net.start()
    found = await net.guard.connect("ok.test", port, "http")
    assert isinstance(found, Refusal)
    assert "8.8.8.8" in found.text
    assert net.resolver.asked == ["ok.test"], "the second answer is not even asked for"
    found = await net.guard.connect("ok.test", port, "http")
    assert isinstance(found, Refusal)
    assert "has the address 127.0.0.1, which is not of the public internet (loopback)" in found.text
    await net.end()


@pytest.mark.parametrize(
    "addresses",
    [
        ("8.8.8.8", "127.0.0.1"),
        ("2606:4700::1111", "::1"),
        ("169.254.169.254",),
        ("::ffff:10.0.0.1",),
        ("fe80::1%lo",),
        ("64:ff9b::a9fe:a9fe",),
        ("no address",),
    ],
)
async def test_one_bad_answer_spoils_all(net: Any, addresses: tuple[str, ...]) -> None:
    net.judge.table["mixed.test"] = ALLOW
    net.judge.inexact.add("mixed.test")
    net.resolver.table["mixed.test"] = addresses
    await net.start()
    found = await net.guard.connect("mixed.test", 443, "https")
    assert isinstance(found, Refusal)
    assert not found.failed
    assert 'network_rule(host = "mixed.test", decision = "allow")' in found.help
    assert net.witness.lines == ["refused https://mixed.test:443"]
    await net.end()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0x7f.1", "2130706433", "[::1]", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1"]
)
async def test_a_private_address_is_not_even_asked_about(net: Any, host: str) -> None:
    net.judge.answer = lambda target: ALLOW
    await net.start()
    found = await net.guard.connect(host, 80, "http")
    assert isinstance(found, Refusal)
    assert net.judge.asked == []
    await net.end()


async def test_a_yes_does_not_open_a_private_network(net: Any) -> None:
    net.judge.answer = lambda target: ALLOW
    net.resolver.table["inside.test"] = ("10.0.0.1",)
    await net.start()
    found = await net.guard.connect("inside.test", 80, "http")
    assert isinstance(found, Refusal)
    assert net.judge.asked == ["inside.test:80"]
    await net.end()


async def test_a_rule_that_names_an_address_opens_it(net: Any) -> None:
    port = await net.server(quiet, "127.0.0.1")
    await net.start()
    found = await net.guard.connect("0x7f.1", port, "http")
    assert isinstance(found, Flow)
    assert (str(found.target), found.address) == (f"127.0.0.1:{port}", "127.0.0.1")
    net.guard.ended(found)
    await net.end()


async def test_connections_wait_for_one_answer(net: Any) -> None:
    port = await net.server(quiet, "asked.test")
    net.judge.table["asked.test"] = ASK
    answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
    net.judge.answer = lambda target: answer
    net.resolver.table["asked.test"] = ("8.8.8.8",)
    net.bounds = Bounds(connect_seconds=0.05)
    await net.start()
    waiting = [asyncio.create_task(net.guard.connect("asked.test", port, "http")) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert net.judge.asked == [f"asked.test:{port}"]
    assert net.resolver.asked == [], "a name is a message, too: nobody hears of it before the yes"
    waiting[0].cancel()
    await asyncio.sleep(0)
    answer.set_result(ALLOW)
    found = await asyncio.gather(*waiting[1:])
    assert all(isinstance(one, Refusal) and one.failed for one in found)
    assert net.resolver.asked == ["asked.test"] * 4
    await net.end()


async def test_questions_have_an_end(net: Any) -> None:
    net.bounds = Bounds(questions=3)
    await net.start()
    for number in range(6):
        await net.guard.connect(f"h{number}.test", 80, "http")
    assert net.judge.asked == ["h0.test:80", "h1.test:80", "h2.test:80"]
    assert "too many hosts" in net.guard.news()[-1]
    await net.end()


async def test_nobody_answers(net: Any) -> None:
    net.judge.answer = lambda target: asyncio.get_running_loop().create_future()
    net.bounds = Bounds(ask_seconds=0.05)
    await net.start()
    found = await net.guard.connect("asked.test", 80, "http")
    assert isinstance(found, Refusal)
    assert "nobody answered in time" in found.text
    await net.end()


async def test_what_cannot_be_recorded_is_not_opened(net: Any) -> None:
    heard = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    port = await net.server(serve)
    net.witness.broken = True
    await net.start()
    found = await net.guard.connect("ok.test", port, "http")
    assert isinstance(found, Refusal)
    assert "cannot be recorded" in found.text
    net.witness.broken = False
    assert isinstance(await net.guard.connect("ok.test", port, "http"), Refusal), (
        "for the rest of the command"
    )
    await net.end()
    assert set(heard) <= {b""}


async def test_equal_refusals_are_counted(net: Any) -> None:
    net.judge.table["evil.test"] = DENY
    await net.start()
    for _ in range(50):
        await net.guard.connect("evil.test", 80, "http")
    assert len(net.guard.news()) == 1
    await net.end()
    assert [one.count for one in net.witness.seen] == [1, 49]


async def test_a_flood_of_refusals_ends_it(net: Any) -> None:
    net.bounds = Bounds(refused=10)
    port = await net.server(quiet)
    await net.start()
    for number in range(30):
        await net.guard.connect(f"h{number}.test", 80, "http")
    assert len(net.witness.seen) == 10
    assert isinstance(await net.guard.connect("ok.test", port, "http"), Refusal)
    assert len(net.guard.news()) <= 22
    await net.end()


@pytest.mark.parametrize(
    ("host", "port", "why"),
    [("a b", 80, "the host"), ("", 80, "the host"), ("1.2.3.4.5", 80, "the host"), ("ok.test", 0, "no port")],
)
async def test_what_names_no_host_is_refused_and_recorded(net: Any, host: str, port: int, why: str) -> None:
    await net.start()
    found = await net.guard.connect(host, port, "http")
    assert isinstance(found, Refusal)
    assert why in found.text
    assert [(one.outcome.value, one.target.port) for one in net.witness.seen] == [("refused", port)]
    assert why in net.witness.seen[0].why
    net.witness.broken = True
    found = await net.guard.connect(host, port, "https")
    assert isinstance(found, Refusal)
    assert "cannot be recorded" in found.text
    await net.end()
