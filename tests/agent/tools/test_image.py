"""Pictures for the model: judged by path, bounded, made smaller, and never what a command may not read."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeJudge, Rig, ScriptedModel, calls, done, of, says

from agent.protocol.events import Status, ToolEnded
from agent.sandbox.spec import SandboxSpec
from agent.tools import image
from agent.tools.image import ImageTool
from execpolicy.decision import Decision, SandboxMode

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def view(folder: Path, path: str, judge: FakeJudge | None = None) -> tuple[Any, list[Any], FakeJudge]:
    model = ScriptedModel([*calls("view_image", "c1", path=path), *done()], [*says("ok"), *done()])
    judge = judge or FakeJudge()
    rig = Rig(model, folder, judge=judge, tools=(ImageTool(str(folder)),))
    events = await rig.turn()
    (output,) = [
        item["output"] for item in model.requests[-1].input if item["type"] == "function_call_output"
    ]
    return output, of(ToolEnded, events), judge


async def test_a_picture_goes_to_the_model(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    output, events, _ = await view(tmp_path, "a.png")
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert output == [{"type": "input_image", "image_url": url, "detail": "high"}]
    assert [event.status for event in events] == [Status.COMPLETED]


async def test_a_link_is_judged_for_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    (tmp_path / "a.png").symlink_to("secret.png")
    _, _, judge = await view(tmp_path, "a.png")
    paths = [path for path, _ in judge.judged[0].accesses]  # type: ignore[union-attr]
    assert paths == [str(tmp_path / "a.png"), str(tmp_path / "secret.png")]


async def test_a_denied_picture_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(PNG)
    output, events, _ = await view(tmp_path, "secret.png", FakeJudge(secret=Decision.DENY))
    assert "rejected" in output
    assert [event.refusal is not None for event in events] == [True]


async def test_what_commands_may_not_read_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "a.png").write_bytes(PNG)
    judge = FakeJudge()
    judge.spec = SandboxSpec(mode=SandboxMode.FULL_ACCESS, workspace="/", hidden=(str(tmp_path / "hidden"),))
    output, _, _ = await view(tmp_path, "hidden/a.png", judge)
    assert "no command may read" in output


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param("none", None, "no such file", id="missing"),
        pytest.param("text", b"hello", "is no PNG", id="text"),
        pytest.param("empty", b"", "is no PNG", id="empty"),
        pytest.param("broken", PNG[:20], "cannot be read as a picture", id="broken"),
        pytest.param("fifo", "fifo", "no ordinary file", id="fifo"),
        pytest.param("folder", "folder", "no ordinary file", id="folder"),
        pytest.param("long", b"\x89PNG\r\n\x1a\n" + b"x" * 3000, "larger than", id="long"),
        pytest.param("a\0b", None, "no path", id="nul"),
        pytest.param("", None, "no path", id="nothing"),
        pytest.param("\ud800", None, "", id="surrogate"),
    ],
)
async def test_what_cannot_be_shown(
    tmp_path: Path, name: str, content: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "MOST_BYTES", 2000)
    if content == "fifo":
        os.mkfifo(tmp_path / name)
    elif content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    output, _, _ = await view(tmp_path, name)
    assert isinstance(output, str)
    assert told in output


async def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pillow.new("RGB", (5000, 100), "red").save(tmp_path / "wide.png")
    output, _, _ = await view(tmp_path, "wide.png")
    raw = base64.b64decode(output[0]["image_url"].partition(",")[2])
    assert pillow.open(io.BytesIO(raw)).size == (2048, 41)


async def test_a_picture_of_too_many_points_is_refused(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pillow.new("1", (10_000, 10_000)).save(tmp_path / "bomb.png")
    output, _, _ = await view(tmp_path, "bomb.png")
    assert "too many" in output


@pytest.mark.parametrize("swapped", ["folder", "folder/inner", "folder/inner/a.png"])
async def test_what_is_swapped_for_a_link_after_the_verdict_is_not_followed(
    tmp_path: Path, swapped: str
) -> None:
    for place in (tmp_path / "folder" / "inner", tmp_path / "elsewhere" / "inner"):
        place.mkdir(parents=True)
        (place / "a.png").write_bytes(PNG)

    class Swaps(FakeJudge):
        def judge(self, *words: Any) -> Any:
            verdict = super().judge(*words)
            (tmp_path / swapped).rename(tmp_path / "aside")
            (tmp_path / swapped).symlink_to(tmp_path / swapped.replace("folder", "elsewhere"))
            return verdict

    output, events, _ = await view(tmp_path, "folder/inner/a.png", Swaps())
    assert "became a link" in output
    assert [event.status for event in events] == [Status.FAILED]
