"""A document as blocks, written once and rendered as HTML and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    level: int  # 1 to 4
    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Badge:
    """A state in a word or two."""

    text: str
    kind: str  # good | part | none | bad


@dataclass(frozen=True, slots=True)
class Banner:
    """The one thing that must not be overlooked."""

    good: bool
    text: str
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tiles:
    """Few numbers, each with its word."""

    tiles: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bullets:
    items: tuple[str, ...]
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A text that is more than a text: a badge, a link inside the document, a number."""

    text: str
    badge: str = ""  # good | part | none | bad
    link: str = ""  # an anchor of this document


@dataclass(frozen=True, slots=True)
class Grid:
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """Bars over time, each in layers."""

    title: str
    layers: tuple[tuple[str, str], ...]  # word, colour
    bars: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Lying bars, longest first."""

    title: str
    bars: tuple[tuple[str, int, str], ...]  # label, value, colour


Block = Heading | Text | Badge | Banner | Tiles | Bullets | Grid | Stack | Bars
