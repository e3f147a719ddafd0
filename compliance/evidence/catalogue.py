"""The controls of a framework, as data: what each asks, which facts of a record show it, what none can."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

import msgspec

FRAMEWORKS: Final = ("soc2", "iso27001", "iso42001", "nist-800-53", "pci", "eu-ai-act")

Line = Annotated[str, msgspec.Meta(min_length=2, max_length=160, pattern=r"^[^\n<>|`]+$")]
Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.()\- ]{0,30}$")]
FactName = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+$")]


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Id
    title: Line
    aim: Line  # in our own words: what of it such a record can show
    shown_by: tuple[FactName, ...]  # names of facts, see `facts.py`
    beyond: tuple[Line, ...]  # what no record of this kind can show
    aliases: tuple[Id, ...] = ()

    @property
    def token(self) -> str:
        """The id as OSCAL wants it: a letter first, no brackets or spaces."""
        plain = re.sub(r"[^a-z0-9.]+", "-", re.sub(r"\((\w+)\)", r".\1", self.id.casefold())).strip("-.")
        return plain if plain[:1].isalpha() else f"req-{plain}"


class Framework(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Line
    schemes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]  # how rules may call it
    nested: bool  # 10.2.1 speaks for 10.2
    controls: Annotated[tuple[Control, ...], msgspec.Meta(min_length=1)]


@cache
def framework(name: str) -> Framework:
    data = files("compliance.evidence").joinpath("catalogue", f"{name}.json").read_bytes()
    return msgspec.json.decode(data, type=Framework)


def named_by(framework: Framework, texts: tuple[str, ...]) -> tuple[Control, ...]:
    """The controls that `controls` of a rule name: `SOC2:CC6.1`, `soc 2/cc6.1` or, without framework, `CC6.1`."""
    return tuple(
        control for control in framework.controls if any(_same(framework, text, control) for text in texts)
    )


def is_ours(framework: Framework, text: str) -> bool:
    """Whether `text` names this framework, whatever control follows."""
    return _parted(framework, text)[0]


def _same(framework: Framework, text: str, control: Control) -> bool:
    named, written = _parted(framework, text)
    if not named and _schemed(text):  # of another framework
        return False
    found = _normal(written)
    for id in (control.id, *control.aliases):
        if not named and id != control.id:  # an alias such as `12` says nothing without its framework
            continue
        wanted = _normal(id)
        if found == wanted or (framework.nested and found.startswith(f"{wanted}.")):
            return True
    return False


def _parted(framework: Framework, text: str) -> tuple[bool, str]:
    """Whether the framework is named, and what follows."""
    plain = re.sub(r"\s*([:/])\s*", r"\1", text.strip().casefold())
    for scheme in sorted(framework.schemes, key=len, reverse=True):
        for mark in (":", "/", " "):
            if plain.startswith(scheme.casefold() + mark):
                return True, plain[len(scheme) + 1 :]
    return False, plain


def _schemed(text: str) -> bool:
    return ":" in text or "/" in text


def _normal(id: str) -> str:
    """One spelling: `AC-03 (1)` is `ac-3.1`, `Article 12` is `art.12`."""
    text = re.sub(r"\s+", "", id.casefold()).replace("article", "art.").replace("art..", "art.")
    text = re.sub(r"\((\w+)\)", r".\1", text).replace("_", "-")
    return re.sub(r"(?<!\d)0+(?=\d)", "", text).strip(".")
