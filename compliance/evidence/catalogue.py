"""The controls of a framework, as data: what each asks, which facts of a record show it, what none can."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

FRAMEWORKS: Final = ("soc2", "iso27001", "iso42001", "nist-800-53", "pci", "eu-ai-act")


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    title: str
    shown_by: tuple[str, ...]  # names of facts, see `facts.py`
    beyond: tuple[str, ...]  # what no record of this kind can show


class Framework(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    controls: tuple[Control, ...]


@cache
def framework(name: str) -> Framework:
    data = files("compliance.evidence").joinpath("catalogue", f"{name}.json").read_bytes()
    return msgspec.json.decode(data, type=Framework)


def same_control(framework: str, written: str, control: Control) -> bool:
    """Whether `controls` of a rule, such as `soc2:CC6.1` or `CC6.1`, name this control."""
    scheme, colon, id = written.rpartition(":")
    return _plain(id) == _plain(control.id) and (not colon or _plain(scheme) == _plain(framework))


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum() or char in ".()")
