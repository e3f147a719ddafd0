"""The picture tool: a file of the user, judged as a file that is read, bounded and handed to the model."""

from __future__ import annotations

import asyncio
import base64
import errno
import io
import os
import stat
import time
import warnings
from collections.abc import Iterable

import msgspec

from agent.protocol.events import Event, Refusal, Status, ToolEnded
from agent.protocol.items import JsonObject
from agent.sandbox.secrets import default_hidden
from agent.sandbox.spec import SandboxSpec
from agent.tools.arguments import read_arguments
from agent.tools.base import BadCall, ChangeFiles, Emit, Grant, Prepared, Ran, ToolCall
from execpolicy.facts import Access
from execpolicy.values import frozen

NAME = "view_image"
MOST_BYTES = 20 << 20  # of the file
SENT_BYTES = 4 << 20  # of what goes to the model
MOST_PIXELS = 50_000_000
LONGEST_SIDE = 2048
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HEADS = ((b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF87a", "gif"), (b"GIF89a", "gif"))


class _Arguments(msgspec.Struct, frozen=True):
    path: str


class ImageTool:
    """`view_image`."""

    name = NAME
    exclusive = False

    def __init__(self, cwd: str) -> None:
        self._cwd = cwd

    @property
    def schema(self) -> JsonObject:
        return {
            "type": "function",
            "name": NAME,
            "description": "Shows you a picture of this machine: PNG, JPEG, GIF or WebP.",
            "strict": False,
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string", "description": "The file."}},
                "required": ["path"],
                "additionalProperties": False,
            },
        }

    def instead(self, call: ToolCall) -> ToolCall | None:
        return None

    def read(self, call: ToolCall) -> Prepared | BadCall:
        arguments = read_arguments(call, _Arguments)
        if isinstance(arguments, BadCall):
            return arguments
        if "\0" in arguments.path or not arguments.path:
            return BadCall(f"{NAME} failed: that is no path")
        try:
            path = os.path.normpath(os.path.join(self._cwd, arguments.path))
            real = os.path.realpath(path)
            real.encode()
        except (ValueError, OSError):
            return BadCall(f"{NAME} failed: that is no path")
        return _PreparedImage(call, self._cwd, path, real)


@frozen
class _PreparedImage:
    call: ToolCall
    cwd: str
    path: str
    real: str  # where links lead; this is what is read

    @property
    def request(self) -> ChangeFiles:
        paths = dict.fromkeys((self.path, self.real))
        return ChangeFiles(
            accesses=tuple((path, Access.READ) for path in paths), cwd=self.cwd, subject=f"{NAME} {self.path}"
        )

    def check(self) -> str:
        return ""

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        started = time.monotonic()
        # Not cancelled with the call: a thread goes on to its end, which is bounded.
        url, flaw = await asyncio.to_thread(_load, self.real, grant.spec)
        seconds = time.monotonic() - started
        if flaw:
            text = f"{NAME} failed: `{self.path}`: {flaw}"
            return Ran(output=text, event=self._event(Status.FAILED, text, seconds), status=Status.FAILED)
        return Ran(
            output=f"{NAME}: {self.path}",
            content=({"type": "input_image", "image_url": url, "detail": "high"},),
            event=self._event(Status.COMPLETED, "", seconds),
            status=Status.COMPLETED,
            seconds=seconds,
            output_bytes=len(url),
        )

    def _event(
        self, status: Status, message: str, seconds: float = 0.0, refusal: Refusal | None = None
    ) -> ToolEnded:
        about: JsonObject = {"path": self.path}
        return ToolEnded(
            self.call.id,
            NAME,
            status,
            arguments=about,
            subject=self.path,
            message=message,
            seconds=seconds,
            refusal=refusal,
        )

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return self._event(status, message, refusal=refusal)


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _open(path: str) -> int:
    """The file at `path`, with no link in any part of it: a folder above may be swapped for one after the verdict."""
    folders, name = os.path.split(path)
    here = os.open("/", _FOLDER)
    try:
        for part in filter(None, folders.split("/")):
            inner = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        return os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)


def _load(path: str, spec: SandboxSpec) -> tuple[str, str]:
    """A data URL, or what is wrong."""
    hidden = (*spec.hidden, *default_hidden(os.path.expanduser("~")))
    kept = map(os.path.realpath, spec.readable)
    if _within(path, map(os.path.realpath, hidden)) and not _within(path, kept):
        return "", "it lies where no command may read"
    try:
        descriptor = _open(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return "", "a part of its path is no folder, or became a link meanwhile"
        return "", (error.strerror or str(error)).lower()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return "", "it is no ordinary file"
    with open(descriptor, "rb") as file:
        raw = file.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        return "", f"it is larger than {MOST_BYTES >> 20} MiB"
    kind = next((kind for head, kind in _HEADS if raw.startswith(head)), "")
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        kind = "webp"
    if not kind:
        return "", "it is no PNG, JPEG, GIF or WebP picture"
    made = _smaller(raw, kind)
    if isinstance(made, str):
        return "", made
    raw, kind = made
    if len(raw) > SENT_BYTES:
        return "", f"it is larger than {SENT_BYTES >> 20} MiB, and nothing here can make it smaller"
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}", ""


def _smaller(raw: bytes, kind: str) -> tuple[bytes, str] | str:
    """The picture with no side too long, where Pillow is installed; else as it is. Or what is wrong."""
    try:
        from PIL import Image
    except ImportError:
        return raw, kind
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # the bound below is ours
            Image.open(io.BytesIO(raw), formats=[kind.upper()]) as image,
        ):
            if image.width * image.height > MOST_PIXELS:
                return f"it has {image.width} x {image.height} points, which are too many"
            if max(image.size) <= LONGEST_SIDE and len(raw) <= SENT_BYTES:
                return raw, kind
            image.load()
            small = image.convert("RGBA" if image.has_transparency_data else "RGB")
            small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            out = io.BytesIO()
            small.save(out, "PNG")
            if out.tell() > SENT_BYTES:
                out = io.BytesIO()
                small.convert("RGB").save(out, "JPEG", quality=85)
                return out.getvalue(), "jpeg"
            return out.getvalue(), "png"
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError) as error:
        return f"it cannot be read as a picture ({type(error).__name__})"
