"""From a host that was allowed to a connection: looked up once, every answer looked at, the address pinned."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from agent.network.addresses import not_public
from agent.network.base import Bounds, Ruling, Target
from execpolicy.hostname import is_address
from execpolicy.values import frozen

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_LOOKUPS = 4  # at one time; each keeps a thread, and a slow server of names may keep it long


class Resolver(Protocol):
    async def resolve(self, host: str) -> Sequence[str]:
        """Every address of `host`, best first. Raises OSError."""
        ...


class SystemResolver:
    """What this machine says, hosts file included."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUPS, "resolve")

    async def resolve(self, host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> tuple[str, ...]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


@frozen
class Unreachable:
    """No connection can be made, and why. `refused`: because none may be."""

    why: str
    help: str = ""
    refused: bool = False


async def pin(
    target: Target, ruling: Ruling, resolver: Resolver, bounds: Bounds
) -> tuple[str, ...] | Unreachable:
    """The addresses that may be tried for `target`, best first."""
    if is_address(target.host):
        return _checked(target, ruling, (target.host,))
    try:
        async with asyncio.timeout(bounds.resolve_seconds):
            found = await resolver.resolve(target.host)
    except TimeoutError:
        return Unreachable(f"the name {target.host} was not resolved in time")
    except (OSError, UnicodeError) as error:
        return Unreachable(f"the name {target.host} cannot be resolved ({error})")
    if not found:
        return Unreachable(f"the name {target.host} has no address")
    return _checked(target, ruling, tuple(found))


def _checked(target: Target, ruling: Ruling, found: tuple[str, ...]) -> tuple[str, ...] | Unreachable:
    """One forbidden answer spoils all: whoever owns the name mixes them to be let through."""
    if not ruling.exact:
        for address in found:
            what = not_public(address)
            if what is not None:
                where = "it" if address == target.host else f"{target.host} has the address {address}, which"
                return Unreachable(
                    f"{where} is not of the public internet ({what})",
                    f'a rule has to name it: `network_rule(host = "{target.host}", decision = "allow")`',
                    refused=True,
                )
    return found


async def dial(target: Target, addresses: Sequence[str], bounds: Bounds) -> tuple[Streams, str] | Unreachable:
    """A connection to the first of `addresses` that answers."""
    why = ""
    for address in addresses[: bounds.addresses]:
        try:
            async with asyncio.timeout(bounds.connect_seconds):
                streams = await asyncio.open_connection(address, target.port, limit=bounds.chunk)
        except TimeoutError:
            why = why or f"{address} does not answer"
        except OSError as error:
            why = why or (error.strerror or str(error))
        else:
            return streams, address
    return Unreachable(f"no connection to {target}: {why}")
