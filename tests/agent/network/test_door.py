"""The proxy of one command: whenever it is closed, nothing of it stays open."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from agent.network.door import ProxyDoor
from agent.network.guard import Guard
from agent.network.rooms import Rooms


@pytest.mark.parametrize("steps", range(4))
async def test_closed_at_any_step_it_leaves_no_listener(net: Any, steps: int) -> None:
    door = ProxyDoor(Rooms(), Guard(net.judge, net.witness, net.resolver, net.bounds))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.setblocking(False)
    standing = asyncio.create_task(door.serve(listener))
    for _ in range(steps):
        await asyncio.sleep(0)
    standing.cancel()
    door.close()
    with contextlib.suppress(asyncio.CancelledError):
        await standing
    await asyncio.sleep(0)
    if steps == 0:  # not begun: the socket is still the caller's
        listener.close()
    assert listener.fileno() == -1
