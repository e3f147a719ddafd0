"""The terminal as a person has it: keys go in, the screen is looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux on this machine")

SCRIPT = """
import asyncio, sys
from pathlib import Path
from rich.console import Console
from agent.protocol.approvals import ApprovalRequest
from agent.protocol.events import *
from agent.protocol.items import Usage
from agent.protocol.scripted import Pause, ScriptedConversation
from agent.tui.app import Terminal
from agent.tui.composer import open_input
from agent.tui.transcript import Screen
from execpolicy.decision import Decision, Part, Verdict

bad = "rm -rf build\\x1b[2K\\x1b[1Gls"
part = Part(kind="command", text=bad, decision=Decision.ASK, why="no rule speaks about `rm`")
verdict = Verdict(decision=Decision.ASK, parts=(part,))
ask = ApprovalAsked(ApprovalRequest(id="a", call_id="c", tool="exec_command", subject=bad, cwd="/w",
                                    verdict=verdict, session_grant="exactly this command"))
end = TurnCompleted(Usage(10, 0, 5))
conversation = ScriptedConversation(
    [TurnStarted("1", "first"), TextDelta("I ask "), TextDelta("now."), MessageDone("I ask now."), ask,
     MessageDone("answered"), end],
    [TurnStarted("2", "second"), ask, MessageDone("answered again"), end],
    [TurnStarted("3", "third"), MessageDone("long work"), Pause()],
)
history = Path(sys.argv[1])
source = open_input(history, sys.stdout.write, terminal=True, one_task=True)
print(type(source).__name__)
front = Terminal(conversation, Screen(Console(highlight=False, markup=False)), source, record="/h/audit")
asyncio.run(front.run("first"))
for reply in conversation.replies:
    print("GOT", reply.answer.value, reply.message)
print("ENDED")
"""


class Tmux:
    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "tmux")
        self.folder = folder

    def command(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, timeout=20)
        return done.stdout

    def start(self, line: str) -> None:
        env = {name: value for name, value in os.environ.items() if name != "TMUX"}
        subprocess.run(
            [
                "tmux",
                "-S",
                self.socket,
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-x",
                "100",
                "-y",
                "60",
                line,
            ],
            check=True,
            env=env,
            timeout=20,
        )
        self.command("set-option", "-g", "remain-on-exit", "on")

    def keys(self, *keys: str) -> None:
        self.command("send-keys", *keys)

    def screen(self) -> str:
        return self.command("capture-pane", "-p", "-S", "-")

    def wait(self, text: str, times: int = 1) -> str:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            shown = self.screen()
            if shown.count(text) >= times:
                return shown
            time.sleep(0.05)
        raise AssertionError(f"`{text}` did not come:\n{self.screen()}")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    made = Tmux(tmp_path)
    yield made
    made.command("kill-server")


@pytest.mark.parametrize("kind", ["TerminalInput", "LineInput"])
def test_a_session_at_a_terminal(tmux: Tmux, tmp_path: Path, kind: str) -> None:
    (tmp_path / "front.py").write_text(SCRIPT)
    term = "dumb" if kind == "LineInput" else "screen"
    tmux.start(
        f"sleep 0.3; TERM={term} NO_COLOR=1 {sys.executable} {tmp_path / 'front.py'} {tmp_path / 'history'}; sleep 30"
    )
    shown = tmux.wait("answer:")
    assert kind in shown
    assert "› first" in shown
    assert "I ask now." in shown
    assert "│ $ rm -rf build␛[2K␛[1Gls" in shown
    assert "ask   rm -rf build" in shown
    tmux.keys("y", "Enter")
    tmux.wait("done · ")
    assert "record: /h/audit" in tmux.wait("record:")
    tmux.keys("second", "Enter")
    tmux.wait("answer:", 2)
    tmux.keys("n", "Enter")
    tmux.wait("tell the model")
    tmux.keys("use make clean", "Enter")
    tmux.wait("done · ", 2)
    tmux.keys("third", "Enter")
    tmux.wait("long work")
    tmux.keys("C-c")
    tmux.wait("interrupted by the user")
    tmux.wait("interrupted · ")
    time.sleep(0.2)
    tmux.keys("C-c")
    tmux.wait("Ctrl-C again or Ctrl-D")
    tmux.keys("C-d")
    shown = tmux.wait("ENDED")
    assert "GOT yes" in shown
    assert "GOT no use make clean" in shown
    assert "Traceback" not in shown
    # The composer stands for the echo of a typed task.
    assert shown.count("› second") == 1
    if kind == "TerminalInput":
        history = tmp_path / "history"
        assert history.stat().st_mode & 0o777 == 0o600
        assert "+second" in history.read_text()
        assert "+y" not in history.read_text().split("\n")


LASTING = """
from agent.protocol.approvals import Offer, Offers
from dataclasses import replace
offer = Offer(wide=False, extent="exactly these words", rules=("prefix_rule(...)",), also=("timeout 60 make",),
              still=("make --force",), ends="2027-02-22")
ask = ApprovalAsked(replace(ask.request, offers=Offers(user=(offer, replace(offer, wide=True)))))
"""


def test_a_lasting_answer_at_a_terminal(tmux: Tmux, tmp_path: Path) -> None:
    head, _, tail = SCRIPT.partition("end = TurnCompleted")
    tail = tail.replace("reply.message)", "reply.wide)")
    (tmp_path / "front.py").write_text(head + LASTING + "end = TurnCompleted" + tail)
    tmux.start(
        f"sleep 0.3; TERM=screen NO_COLOR=1 {sys.executable} {tmp_path / 'front.py'} {tmp_path / 'history'}; sleep 30"
    )
    shown = tmux.wait("answer:")
    assert "always would allow until 2027-02-22: exactly these words" in shown
    assert "also timeout 60 make" in shown
    assert "[u+] yes, always, for you" in shown
    tmux.keys("p", "Enter")
    tmux.wait("is not on offer here")
    tmux.keys("u+", "Enter")
    tmux.wait("done · ")
    tmux.keys("second", "Enter")
    tmux.wait("always would allow", 2)
    tmux.keys("u", "Enter")
    tmux.wait("done · ", 2)
    tmux.keys("C-d")
    shown = tmux.wait("ENDED")
    assert "GOT user True" in shown
    assert "GOT user False" in shown
