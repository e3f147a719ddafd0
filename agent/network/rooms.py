"""Listening sockets inside the network namespaces of commands, made by one small process a session."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from itertools import count
from pathlib import Path

from agent.sandbox.proxied import ADDRESS, PORT

_SECONDS = 20.0  # until a listener stands
_END_SECONDS = 2.0
_MESSAGE = 400


class NoRoom(Exception):
    """There is no listener, and why."""


class Rooms:
    """Starts its process when the first listener is wanted, and again should it have died."""

    def __init__(self, python: str = "") -> None:
        self._python = python or sys.executable
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = count(1)
        self._waiting: dict[bytes, asyncio.Future[socket.socket]] = {}

    async def listener(self, told: int) -> socket.socket:
        """A listener in the network of the child that `told` will name; takes the descriptor. Raises `NoRoom`."""
        name = next(self._numbers).to_bytes(8, "big")
        try:
            channel = self._started()
            future = self._waiting[name] = self._future()
            socket.send_fds(channel, [name], [told])
        except OSError as error:
            self._waiting.pop(name, None)
            self._fail(str(error))
            raise NoRoom(str(error)) from error
        finally:
            os.close(told)
        try:
            async with asyncio.timeout(_SECONDS):
                return await future
        except TimeoutError:
            raise NoRoom("the sandbox did not stand in time") from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().close()
            raise
        finally:
            self._waiting.pop(name, None)

    def close(self) -> None:
        """End the process."""
        self._fail("the session has ended")
        if self._process is not None:
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _future(self) -> asyncio.Future[socket.socket]:
        return asyncio.get_running_loop().create_future()

    def _started(self) -> socket.socket:
        if self._channel is not None:
            return self._channel
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                # A session of its own: an interrupt from the terminal is not for it.
                self._process = subprocess.Popen(
                    [self._python, "-I", "-S", _program(), str(theirs.fileno()), ADDRESS, str(PORT)],
                    cwd="/",
                    env={"LC_ALL": "C"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours.fileno(), self._read)
        self._channel = ours
        return ours

    def _read(self) -> None:
        if self._channel is None:
            return
        try:
            data, descriptors, _, _ = socket.recv_fds(self._channel, _MESSAGE, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(str(error))
            return
        if not data:
            self._fail("the process that makes listeners has ended")
            return
        future = self._waiting.get(data[:8])
        if future is None or future.done():
            for descriptor in descriptors:
                os.close(descriptor)
        elif descriptors:
            listener = socket.socket(fileno=descriptors[0])
            listener.setblocking(False)
            future.set_result(listener)
        else:
            future.set_exception(NoRoom(data[9:].decode(errors="replace")))

    def _fail(self, why: str) -> None:
        if self._channel is not None:
            if self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: so is its reader
                    self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(NoRoom(why))


def _program() -> str:
    return str(Path(__file__).with_name("inside.py"))
