"""The patch tool: judged by paths before a file is read, applied whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FakeJudge, Rig, ScriptedModel, calls_custom, done, of, says

from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.events import FileChange, PatchEnded, PatchStarted, Refusal, Status
from agent.tools.base import BadCall, Request, ToolCall
from agent.tools.edit import PatchTool
from agent.tools.judgement import Judgement
from execpolicy.decision import Decision
from execpolicy.facts import Access


def patch(*lines: str) -> str:
    return "\n".join(("*** Begin Patch", *lines, "*** End Patch"))


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def rig(tmp_path: Path, text: str, **decisions: Decision) -> Rig:
    model = ScriptedModel([*calls_custom("apply_patch", text, "c1"), *done()], done())
    return Rig(model, tmp_path, judge=FakeJudge(**decisions), tools=(PatchTool(str(tmp_path)),))


ALL = patch(
    "*** Add File: sub/new.txt",
    "+new",
    "*** Update File: a.txt",
    "@@",
    "-a",
    "+A",
    "*** Update File: m.txt",
    "*** Move to: moved/m2.txt",
    "@@",
    "-m",
    "+M",
    "*** Delete File: d.txt",
)


async def test_add_update_move_delete(tmp_path: Path) -> None:
    for name in "amd":
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    one = rig(tmp_path, ALL)
    events = await one.turn()
    assert one.model.outputs()["c1"].endswith(
        "Output:\nSuccess. Updated the following files:\nA sub/new.txt\nM a.txt\nM moved/m2.txt\nD d.txt\n"
    )
    assert files(tmp_path) == {"a.txt": "A\n", "moved/m2.txt": "M\n", "sub/new.txt": "new\n"}
    changes = (
        FileChange(f"{tmp_path}/sub/new.txt", "add"),
        FileChange(f"{tmp_path}/a.txt", "update"),
        FileChange(f"{tmp_path}/m.txt", "update"),
        FileChange(f"{tmp_path}/d.txt", "delete"),
    )
    assert of(PatchStarted, events) == [PatchStarted("c1", changes)]
    ended = of(PatchEnded, events)[0]
    assert (ended.changes, ended.status) == (changes, Status.COMPLETED)
    assert "+A" in ended.diff
    assert one.recorded() == ["Decided", "Patched"]


def test_every_path_is_judged_with_what_is_done_to_it(tmp_path: Path) -> None:
    prepared = PatchTool(str(tmp_path)).read(ToolCall("c", "apply_patch", ALL, custom=True))
    assert not isinstance(prepared, BadCall)
    assert set(prepared.request.accesses) == {  # type: ignore[union-attr]
        (f"{tmp_path}/sub/new.txt", Access.WRITE),
        (f"{tmp_path}/a.txt", Access.WRITE),
        (f"{tmp_path}/a.txt", Access.READ),
        (f"{tmp_path}/m.txt", Access.DELETE),
        (f"{tmp_path}/m.txt", Access.READ),
        (f"{tmp_path}/moved/m2.txt", Access.WRITE),
        (f"{tmp_path}/d.txt", Access.DELETE),
    }


async def test_a_denied_patch_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the secret line\n")
    text = patch("*** Update File: secret.txt", "@@", "-the wrong line", "+x")
    one = rig(tmp_path, text, secret=Decision.DENY)
    events = await one.turn()
    assert "the secret line" not in one.model.outputs()["c1"]
    assert of(PatchEnded, events)[0].refusal is Refusal.POLICY


async def test_a_patch_that_does_not_fit_is_told_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    one = rig(tmp_path, patch("*** Update File: a.txt", "@@", "-two", "+x"))
    events = await one.turn()
    assert one.model.outputs()["c1"].startswith("apply_patch verification failed: ")
    assert of(PatchEnded, events)[0].status is Status.FAILED
    assert one.recorded() == ["Decided", "Refused"]
    assert (tmp_path / "a.txt").read_text() == "one\n"


async def test_a_person_is_shown_the_difference(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    one = rig(tmp_path, patch("*** Update File: a.txt", "@@", "-one", "+two"), apply_patch=Decision.ASK)
    seen: list[ApprovalRequest] = []

    def person(request: ApprovalRequest) -> Answer:
        seen.append(request)
        (tmp_path / "a.txt").write_text("changed meanwhile\n")
        return Answer.YES

    events = await one.turn(person=person)
    assert "-one\n+two" in seen[0].diff
    assert seen[0].session_grant == ""
    # What was shown no longer holds, so nothing is changed.
    assert of(PatchEnded, events)[0].status is Status.FAILED
    assert (tmp_path / "a.txt").read_text() == "changed meanwhile\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="no-envelope"),
        pytest.param("*** Begin Patch\n*** End Patch", id="nothing"),
        pytest.param("*** Begin Patch\n*** Frob File: x\n*** End Patch", id="header"),
        pytest.param("*** Begin Patch\n*** Add File: a\0b\n+x\n*** End Patch", id="nul"),
    ],
)
def test_what_is_no_patch_is_an_answer(tmp_path: Path, text: str) -> None:
    found = PatchTool(str(tmp_path)).read(ToolCall("c", "apply_patch", text, custom=True))
    assert isinstance(found, BadCall)
    assert found.message.startswith("apply_patch verification failed: ")


def test_a_link_is_judged_for_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    prepared = PatchTool(str(tmp_path)).read(
        ToolCall("c", "apply_patch", patch("*** Add File: link/x", "+x"), custom=True)
    )
    assert not isinstance(prepared, BadCall)
    assert prepared.request.accesses == (("/etc/x", Access.WRITE),)  # type: ignore[union-attr]


async def test_a_link_put_in_the_way_after_the_verdict_is_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "work" / "sub", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir(parents=True)

    class Swaps(FakeJudge):
        def judge(self, tool: str, request: Request) -> Judgement:
            judged = super().judge(tool, request)
            inside.rename(tmp_path / "work" / "gone")
            inside.symlink_to(outside)
            return judged

    text = patch("*** Add File: sub/a.txt", "+new")
    model = ScriptedModel([*calls_custom("apply_patch", text, "c1"), *done()], [*says("ok"), *done()])
    cwd = tmp_path / "work"
    rig = Rig(model, cwd, judge=Swaps(), tools=(PatchTool(str(cwd)),))
    await rig.turn()
    assert "elsewhere" in model.outputs()["c1"]
    assert files(outside) == {}
