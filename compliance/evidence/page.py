"""A document as one HTML file that loads nothing, prints well and is read aloud well; and as Markdown. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Final, assert_never

from compliance.evidence.charts import bars, stack
from compliance.evidence.document import (
    Badge,
    Banner,
    Bars,
    Block,
    Bullets,
    Cell,
    Grid,
    Heading,
    Stack,
    Text,
    Tiles,
)
from compliance.plain import visible
from compliance.reports.render import markdown_text

_BADGES: Final = frozenset({"good", "part", "none", "bad"})


def html(blocks: Sequence[Block], title: str) -> str:
    style = files("compliance.evidence").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    out = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{_h(title)}</title><style>{style}</style></head><body><main>",
    ]
    out += [_html(block, number) for number, block in enumerate(blocks)]
    return "\n".join([*out, "</main></body></html>", ""])


def _html(block: Block, number: int) -> str:
    match block:
        case Heading(level=level, text=text, anchor=anchor):
            id = f' id="{_h(anchor)}"' if anchor else ""
            return f"<h{level}{id}>{_h(text)}</h{level}>"
        case Text(text=text):
            return f"<p>{_h(text)}</p>"
        case Badge(text=text, kind=kind):
            return f"<p>{_cell(Cell(text, badge=kind))}</p>"
        case Banner(good=good, text=text, more=more):
            items = f"<ul>{''.join(f'<li>{_h(one)}</li>' for one in more)}</ul>" if more else ""
            kind, role = ("good", "status") if good else ("bad", "alert")
            return f'<div class="banner {kind}" role="{role}"><strong>{_h(text)}</strong>{items}</div>'
        case Tiles(tiles=tiles):
            found = "".join(
                f'<div class="tile"><b>{_h(value)}</b><span>{_h(word)}</span></div>' for word, value in tiles
            )
            return f'<div class="tiles">{found}</div>'
        case Bullets(items=items, warns=warns):
            kind = ' class="warns"' if warns else ""
            return f"<ul{kind}>{''.join(f'<li>{_h(item)}</li>' for item in items)}</ul>"
        case Grid():
            return _grid(block)
        case Stack():
            return f"<figure><figcaption>{_h(block.title)}</figcaption>{stack(block, number)}</figure>"
        case Bars():
            return f"<figure><figcaption>{_h(block.title)}</figcaption>{bars(block, number)}</figure>"
        case other:
            assert_never(other)


def _grid(grid: Grid) -> str:
    numeric = [
        bool(grid.rows) and all(isinstance(row[at], int) for row in grid.rows)
        for at in range(len(grid.columns))
    ]
    heads = "".join(
        f'<th scope="col"{_n(right)}>{_h(column)}</th>'
        for column, right in zip(grid.columns, numeric, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(f'<td{_n(right)}>{_cell(cell)}</td>' for cell, right in zip(row, numeric, strict=True))}</tr>"
        for row in grid.rows
    )
    return (
        f'<div class="scroll"><table><caption>{_h(grid.caption)}</caption><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _n(right: bool) -> str:
    return ' class="n"' if right else ""


def _cell(cell: str | int | Cell) -> str:
    if not isinstance(cell, Cell):
        return _h(str(cell))
    text = _h(cell.text)
    if cell.badge in _BADGES:
        text = f'<span class="badge {cell.badge}">{text}</span>'
    return f'<a href="#{_h(cell.link)}">{text}</a>' if cell.link else text


def markdown(blocks: Sequence[Block]) -> str:
    return "\n".join([*(_markdown(block) for block in blocks), ""])


def _markdown(block: Block) -> str:
    match block:
        case Heading(level=level, text=text):
            return f"{'#' * level} {_m(text)}\n"
        case Text(text=text):
            return f"{_m(text)}\n"
        case Badge(text=text):
            return f"**{_m(text)}**\n"
        case Banner(good=good, text=text, more=more):
            lines = [
                f"> **{'Verified' if good else 'WARNING'}:** {_m(text)}",
                *(f"> - {_m(one)}" for one in more),
            ]
            return "\n".join(lines) + "\n"
        case Tiles(tiles=tiles):
            return "\n".join(f"- {_m(word)}: {_m(value)}" for word, value in tiles) + "\n"
        case Bullets(items=items):
            return "\n".join(f"- {_m(item)}" for item in items) + "\n"
        case Grid():
            return _table(block.caption, block.columns, block.rows)
        case Stack():
            words = tuple(word for word, _ in block.layers)
            return _table(
                block.title, ("time", *words), tuple((label, *counts) for label, counts in block.bars)
            )
        case Bars():
            return _table(
                block.title, ("what", "number"), tuple((label, value) for label, value, _ in block.bars)
            )
        case other:
            assert_never(other)


def _table(caption: str, columns: tuple[str, ...], rows: Sequence[Sequence[str | int | Cell]]) -> str:
    out = [f"{_m(caption)}:", "", f"| {' | '.join(_m(column) for column in columns)} |"]
    out.append(f"| {' | '.join('---' for _ in columns)} |")
    out += [
        f"| {' | '.join(_m(cell.text if isinstance(cell, Cell) else str(cell)) or ' ' for cell in row)} |"
        for row in rows
    ]
    return "\n".join(out) + "\n"


def _m(text: str) -> str:
    """Nothing but text, also at the beginning of a line."""
    found = markdown_text(text)
    digits = len(found) - len(found.lstrip("0123456789"))
    if digits and found[digits : digits + 1] in {".", ")"}:
        return f"{found[:digits]}\\{found[digits:]}"
    return f"\\{found}" if found[:1] in {"-", "+", "=", ":"} else found.lstrip(" ")


def _h(text: str) -> str:
    return escape(visible(text))
