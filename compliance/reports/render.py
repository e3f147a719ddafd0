"""A report as text, Markdown, CSV or JSON. Pure."""

from __future__ import annotations

import csv
import enum
import io
import json
import re
from typing import TYPE_CHECKING, Final, assert_never

from compliance.export import plain_cell
from compliance.plain import visible
from compliance.reports.base import Cell, Report, Table

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDEST = 60


class Form(enum.Enum):
    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def render(report: Report, form: Form) -> str:
    match form:
        case Form.TEXT:
            return _text(report)
        case Form.MARKDOWN:
            return _markdown(report)
        case Form.CSV:
            return _csv(report)
        case Form.JSON:
            return _json(report)
        case _:
            assert_never(form)


def rich_text(report: Report) -> list[RenderableType]:
    """The same for a terminal, whose width decides how cells are broken."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    out: list[RenderableType] = [Text(report.title, "bold"), Text()]
    for table in report.tables:
        if not table.rows:
            continue
        grid = Grid(
            box=box.SIMPLE_HEAD, title=table.name, title_justify="left", title_style="bold", pad_edge=False
        )
        shown = [at for at in range(len(table.columns)) if any(row[at] != "" for row in table.rows)]
        for at in shown:
            column = table.columns[at]
            grid.add_column(column, justify="right" if _numeric(table, at) else "left", overflow="fold")
        for row in table.rows:
            cells = (_TIME.sub(r"\1 \2", str(row[at])) for at in shown)
            grid.add_row(*(Text(visible(cell, 200), _STYLES.get(cell, "")) for cell in cells))
        out.append(grid)
    if not any(table.rows for table in report.tables):
        out += [Text("nothing"), Text()]
    return [*out, *(Text(visible(note), "dim") for note in report.notes)]


_TIME: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:[0-9]{2})\.[0-9]+Z")
_STYLES: Final = {"allow": "green", "ask": "yellow", "deny": "red", "differs": "red", "no": "yellow"}


def _numeric(table: Table, at: int) -> bool:
    return all(isinstance(row[at], int) for row in table.rows)


def _text(report: Report) -> str:
    out = [report.title, ""]
    filled = [table for table in report.tables if table.rows]
    for table in filled:
        if len(report.tables) > 1:
            out.append(f"{table.name}:")
        cells = [table.columns, *(tuple(visible(str(cell), WIDEST) for cell in row) for row in table.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        numeric = [_numeric(table, at) for at in range(len(widths))]
        for row in cells:
            padded = (
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            )
            out.append("  ".join(padded).rstrip())
        out.append("")
    if not filled:
        out += ["nothing", ""]
    return "\n".join([*out, *(visible(note) for note in report.notes)])


def _markdown(report: Report) -> str:
    out = [f"# {report.title}", ""]
    for table in report.tables:
        out += [f"## {table.name}", ""]
        if not table.rows:
            out += ["nothing", ""]
            continue
        out += [f"| {' | '.join(table.columns)} |", f"| {' | '.join('---' for _ in table.columns)} |"]
        out += [f"| {' | '.join(markdown_text(str(cell)) for cell in row)} |" for row in table.rows]
        out.append("")
    return "\n".join([*out, *(f"- {markdown_text(note)}" for note in report.notes)])


def markdown_text(text: str) -> str:
    """`text` as nothing but text wherever it stands in Markdown."""
    clean = (
        visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\\", "\\\\")
    )
    for char in "|*_`[]!#~":
        clean = clean.replace(char, "\\" + char)
    return clean.replace("://", ":\\//").replace("www.", "www\\.").replace("@", "&#64;")


def _csv(report: Report) -> str:
    """One table as it is; several as one with all columns, and the name of the table in the first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
    several = len(report.tables) > 1
    columns = list(dict.fromkeys(column for table in report.tables for column in table.columns))
    writer.writerow(["table", *columns] if several else columns)
    for table in report.tables:
        for row in table.rows:
            named = dict(zip(table.columns, row, strict=True))
            cells = [_csv_cell(named.get(column, "")) for column in columns]
            writer.writerow([table.name, *cells] if several else cells)
    return out.getvalue().rstrip("\n")


def _csv_cell(cell: Cell) -> Cell:
    return cell if isinstance(cell, int) else plain_cell(cell.replace("\r", "\\r"))


def _json(report: Report) -> str:
    tables = {
        table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in report.tables
    }
    return json.dumps({"title": report.title, "notes": report.notes, "tables": tables}, indent=2)
