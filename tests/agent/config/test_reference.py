"""docs/reference/config.md says what the code does: its table is the table of keys."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

from agent.config.keys import KEYS, Key, Kind
from agent.config.model import Settings
from execpolicy.decision import SandboxMode

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "config.md"
BEGIN, END = "<!-- keys: begin -->\n", "<!-- keys: end -->\n"


def default(key: Key) -> str:
    value = next(field.default for field in fields(Settings) if field.name == key.field)
    if value is None or value in ((), ""):
        return "-"
    if isinstance(value, SandboxMode):
        return f"`{value.value}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if key.kind is Kind.MILLISECONDS and isinstance(value, float):
        return f"`{value * 1000:.0f}`"
    return f"`{value}`"


def table() -> str:
    rows = ["| key | value | default | variable | project | about |", "| --- | --- | --- | --- | --- | --- |"]
    for key in KEYS:
        variable = f"`{key.variable}`" if key.variable else "-"
        project = "yes" if key.project else "no"
        rows.append(
            f"| `{key.name}` | {key.wanted} | {default(key)} | {variable} | {project} | {key.about} |"
        )
    return "\n".join(rows) + "\n"


def test_the_page_has_the_keys_of_the_code() -> None:
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    wanted = head + BEGIN + table() + END + tail
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted


def test_every_key_sets_a_field_of_its_own() -> None:
    names = [key.field for key in KEYS]
    assert len(set(names)) == len(names)
    assert set(names) <= {field.name for field in fields(Settings)}
