"""Texts that the model reads, as files, and how they are put together."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from agent.protocol.items import JsonObject, developer_message
from agent.sandbox.spec import Network
from execpolicy.decision import SandboxMode

_MODES = {
    SandboxMode.READ_ONLY: "read_only",
    SandboxMode.WORKSPACE_WRITE: "workspace_write",
    SandboxMode.FULL_ACCESS: "full_access",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the model is told about where it works."""

    cwd: str
    workspace: str
    writable: tuple[str, ...] = ()
    mode: SandboxMode
    network: Network
    can_ask: bool
    today: str  # ISO date
    instructions: str = ""  # the AGENTS.md texts


def opening(around: Surroundings) -> tuple[JsonObject, ...]:
    """The messages that stand before the first prompt."""
    return (
        developer_message(text("base")),
        developer_message(_permissions(around)),
        _environment(around),
    )


def _permissions(around: Surroundings) -> str:
    """What the model may do. INVARIANT: never the text of a rule."""
    lines = [text(_MODES[around.mode])]
    if around.mode is SandboxMode.WORKSPACE_WRITE:
        roots = ", ".join(f"`{root}`" for root in (around.workspace, *around.writable))
        lines.append(f"Writable: {roots}, and temporary folders.")
    if around.network or around.mode is SandboxMode.FULL_ACCESS:
        lines.append("Network: open, as far as the policy allows the command.")
    elif around.network.proxied:
        lines.append(text("proxied"))
    else:
        lines.append("Network: closed. Commands that download or connect fail.")
    lines.append(text("asked" if around.can_ask else "unasked"))
    return "<permissions>\n" + "\n".join(lines) + "\n</permissions>"


def _environment(around: Surroundings) -> JsonObject:
    texts = []
    if around.instructions:
        texts.append(
            f"# AGENTS.md instructions for {around.cwd}\n\n"
            f"<INSTRUCTIONS>\n{around.instructions}\n</INSTRUCTIONS>"
        )
    texts.append(
        "<environment_context>\n"
        f"  <cwd>{_escaped(around.cwd)}</cwd>\n"
        f"  <workspace>{_escaped(around.workspace)}</workspace>\n"
        "  <shell>bash</shell>\n"
        f"  <current_date>{around.today}</current_date>\n"
        "</environment_context>"
    )
    return {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": text} for text in texts],
    }


def text(name: str) -> str:
    """The text of that name."""
    return resources.files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
