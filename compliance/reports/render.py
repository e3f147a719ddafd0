"""A report as text, Markdown, CSV or JSON. Pure."""

from __future__ import annotations

import csv
import enum
import io
import json
from typing import assert_never

from compliance.export import plain_cell
from compliance.plain import visible
from compliance.reports.base import Cell, Report

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
            rows = [dict(zip(report.columns, row, strict=True)) for row in report.rows]
            return json.dumps({"title": report.title, "notes": report.notes, "rows": rows}, indent=2)
        case _:
            assert_never(form)


def _text(report: Report) -> str:
    cells = [report.columns, *(tuple(visible(str(cell), WIDEST) for cell in row) for row in report.rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [all(isinstance(row[at], int) for row in report.rows) for at in range(len(widths))]
    out = [report.title, ""]
    if report.rows:
        for row in cells:
            padded = (
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, numeric, strict=True)
            )
            out.append("  ".join(padded).rstrip())
        out.append("")
    else:
        out += ["nothing", ""]
    return "\n".join([*out, *report.notes])


def _markdown(report: Report) -> str:
    out = [f"## {report.title}", ""]
    out += [f"| {' | '.join(report.columns)} |", f"| {' | '.join('---' for _ in report.columns)} |"]
    out += [f"| {' | '.join(map(_markdown_cell, row))} |" for row in report.rows]
    return "\n".join([*out, "", *(f"- {note}" for note in report.notes)])


def _markdown_cell(cell: Cell) -> str:
    text = visible(str(cell)).replace("&", "&amp;").replace("<", "&lt;").replace("\\", "\\\\")
    for char in "|*_`[]":
        text = text.replace(char, "\\" + char)
    return text


def _csv(report: Report) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(report.columns)
    writer.writerows(
        [cell if isinstance(cell, int) else plain_cell(cell) for cell in row] for row in report.rows
    )
    return out.getvalue().rstrip("\n")
