"""OTLP over HTTP, protobuf or JSON. Whatever the other side does, one request ends in time and takes little memory.

The standard library's client, because that of the OpenTelemetry package reads an answer of any length for any
time, and takes every 200 for a success.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import socket
import ssl
import threading
import urllib.request
from contextlib import suppress
from typing import Final
from urllib.parse import unquote, urlsplit

from compliance.otel.answers import http_answer
from compliance.otel.base import MOST_ANSWER, Answer, Encoding, Fate
from compliance.otel.settings import Protocol, Signal, Target

_BROKEN: Final = (OSError, http.client.HTTPException, ValueError, AttributeError)


class HttpWire:
    """One collector, one connection that is kept while it works."""

    def __init__(self, target: Target, agent: str = "policy-agent") -> None:
        """OSError when a certificate cannot be used."""
        self.encoding = Encoding.JSON if target.protocol is Protocol.JSON else Encoding.PROTOBUF
        self._target = target
        self._at = urlsplit(target.endpoint)
        self._agent = agent
        self._connection: http.client.HTTPConnection | None = None
        self._tls = _tls(target) if self._at.scheme == "https" else None
        self._proxy = _proxy(self._at.scheme, self._at.hostname or "")
        self._closed = False

    def send(self, signal: Signal, body: bytes) -> Answer:
        headers = {
            "User-Agent": self._agent,
            **dict(self._target.headers),
            "Content-Type": self.encoding.value,
        }
        if self._target.gzip:
            body = gzip.compress(body, 6)
            headers["Content-Encoding"] = "gzip"
        late = threading.Event()
        # Each read has a bound of its own, but a collector that sends a byte a second has no end.
        clock = threading.Timer(self._target.seconds, self._cut, (late,))
        clock.daemon = True
        clock.start()
        try:
            return self._ask(body, headers, late)
        except ssl.SSLCertVerificationError as error:
            return Answer(
                Fate.CLOSED, f"the certificate of the collector is not trusted: {error.verify_message}"
            )
        except _BROKEN as error:
            if late.is_set() or isinstance(error, TimeoutError):
                return Answer(Fate.LATER, f"the collector did not answer within {self._target.seconds:g} s")
            return Answer(Fate.LATER, _words(error))
        finally:
            clock.cancel()

    def close(self) -> None:
        self._closed = True
        self._cut(threading.Event())

    def _ask(self, body: bytes, headers: dict[str, str], late: threading.Event) -> Answer:
        again = self._connection is not None  # a kept connection may have been closed meanwhile
        while True:
            if self._connection is None:
                self._connection = self._connect()
            try:
                self._connection.request("POST", self._path(), body, self._with_proxy(headers))
                answer = self._connection.getresponse()
                break
            except (ConnectionError, http.client.RemoteDisconnected):
                self._drop()
                if not again or self._closed:
                    raise
                again = False
            except BaseException:
                self._drop()
                raise
        try:
            text = answer.read(MOST_ANSWER + 1)
            if late.is_set():  # to the reader a connection that was cut has simply ended
                raise TimeoutError
            if answer.length and len(text) <= MOST_ANSWER:
                raise http.client.IncompleteRead(b"", answer.length)
            whole = len(text) <= MOST_ANSWER and answer.isclosed()
        except BaseException:
            self._drop()
            raise
        if not whole or answer.will_close:
            self._drop()
        if len(text) > MOST_ANSWER:
            return Answer(Fate.CLOSED, "the answer is not that of a collector: it does not end")
        return http_answer(
            answer.status,
            answer.headers.get("Content-Type", ""),
            text,
            answer.headers.get("Retry-After", ""),
        )

    def _path(self) -> str:
        at = self._at
        path = (at.path or "/") + (f"?{at.query}" if at.query else "")
        return f"http://{at.netloc.rpartition('@')[2]}{path}" if self._proxy and self._tls is None else path

    def _with_proxy(self, headers: dict[str, str]) -> dict[str, str]:
        if self._proxy and self._tls is None and (known := _credentials(self._proxy)):
            return {**headers, "Proxy-Authorization": known}
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        at, seconds = self._at, self._target.seconds
        host, port = at.hostname or "", at.port
        hop = urlsplit(self._proxy) if self._proxy else None
        if self._tls is None:
            if hop is not None:
                host, port = hop.hostname or "", hop.port
            return http.client.HTTPConnection(host, port, timeout=seconds)
        if hop is None:
            return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)
        made = http.client.HTTPSConnection(hop.hostname or "", hop.port, timeout=seconds, context=self._tls)
        known = _credentials(self._proxy)
        made.set_tunnel(host, port or 443, {"Proxy-Authorization": known} if known else {})
        return made

    def _cut(self, late: threading.Event) -> None:
        late.set()
        connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()


def _tls(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.certificate or None)
    if target.client_certificate:
        context.load_cert_chain(target.client_certificate, target.client_key or None)
    return context


def _proxy(scheme: str, host: str) -> str:
    """The proxy that the usual variables name for `host`; empty: none."""
    if urllib.request.proxy_bypass(host):
        return ""
    named = urllib.request.getproxies().get(scheme, "")
    return named if not named or "://" in named else f"http://{named}"


def _credentials(proxy: str) -> str:
    at = urlsplit(proxy)
    if not at.username:
        return ""
    pair = f"{unquote(at.username)}:{unquote(at.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return f"no answer from the collector: {text}"
