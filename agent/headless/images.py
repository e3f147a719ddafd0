"""Pictures that go with a task: files become data URLs, within bounds."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path

from agent.errors import UsageError

MOST_BYTES = 10 << 20  # of one picture
MOST_TOGETHER = 32 << 20
MOST_IMAGES = 20
_HEAD = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def data_urls(names: Sequence[str], base: Path) -> tuple[str, ...]:
    """The pictures that `names` mean; of one name, several with commas between. Raises `UsageError`."""
    paths = [base / Path(one).expanduser() for name in names for one in _split(name, base)]
    if len(paths) > MOST_IMAGES:
        raise UsageError(f"{len(paths)} pictures are too many", f"give at most {MOST_IMAGES}")
    urls = tuple(map(_data_url, paths))
    if sum(map(len, urls)) > MOST_TOGETHER * 4 // 3:
        raise UsageError(f"the pictures hold more than {MOST_TOGETHER >> 20} MiB", "make them smaller")
    return urls


def _split(name: str, base: Path) -> list[str]:
    if "," not in name or (base / Path(name).expanduser()).exists():
        return [name]
    return [one for one in name.split(",") if one]


def _data_url(path: Path) -> str:
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read the picture `{path}`: {error.strerror}", "check `--image`") from None
    if len(raw) > MOST_BYTES:
        raise UsageError(f"the picture `{path}` is larger than {MOST_BYTES >> 20} MiB", "make it smaller")
    kind = next((kind for head, kind in _HEAD if raw.startswith(head)), "")
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        kind = "image/webp"
    if not kind:
        raise UsageError(f"`{path}` is no PNG, JPEG, GIF or WebP picture", "convert it first")
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"
