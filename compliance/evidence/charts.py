"""Charts as SVG that stands in the page and needs nothing else. Pure."""

from __future__ import annotations

from html import escape

from compliance.evidence.document import Bars, Stack
from compliance.plain import visible

WIDE, HIGH = 900, 260
LEFT, TOP, BOTTOM = 56, 34, 30


def stack(chart: Stack, number: int) -> str:
    """Bars over time with a scale, a legend and labels that do not touch."""
    most = _ceiling(max((sum(counts) for _, counts in chart.bars), default=0))
    room = HIGH - TOP - BOTTOM
    out = [_open(chart.title, number, HIGH)]
    for step in range(5):
        value, y = most * step // 4, TOP + room - room * step / 4
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDE}" y2="{y:.1f}" class="grid"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    slot = (WIDE - LEFT) / max(len(chart.bars), 1)
    bar = min(slot * 0.7, 48)
    every = max(1, round(80 / slot + 0.49))
    for at, (label, counts) in enumerate(chart.bars):
        x, y = LEFT + at * slot + (slot - bar) / 2, float(TOP + room)
        for (word, colour), count in zip(chart.layers, counts, strict=True):
            height = room * count / most
            y -= height
            tip = f"<title>{_text(label)}: {count} {_text(word)}</title>"
            out.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{height:.1f}" fill="{colour}">{tip}</rect>'
            )
        if at % every == 0:
            middle = LEFT + at * slot + slot / 2
            out.append(f'<text x="{middle:.1f}" y="{HIGH - 10}" text-anchor="middle">{_text(label)}</text>')
    for at, (word, colour) in enumerate(chart.layers):
        x = LEFT + at * 110
        out.append(f'<rect x="{x}" y="6" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{x + 18}" y="16">{_text(word)}</text>')
    return "".join([*out, "</svg>"])


def bars(chart: Bars, number: int) -> str:
    """Lying bars with their label before and their value behind."""
    most = max((value for _, value, _ in chart.bars), default=0) or 1
    left, row = 260, 28
    height = row * len(chart.bars) + 8
    out = [_open(chart.title, number, height)]
    for at, (label, value, colour) in enumerate(chart.bars):
        y = 4 + at * row
        width = (WIDE - left - 70) * value / most
        short = label if len(label) <= 36 else f"{label[:35]}…"
        out.append(f'<text x="{left - 10}" y="{y + 17}" text-anchor="end">{_text(short)}</text>')
        tip = f"<title>{_text(label)}: {value}</title>"
        out.append(
            f'<rect x="{left}" y="{y + 3}" width="{max(width, 1):.1f}" height="18" fill="{colour}">{tip}</rect>'
        )
        out.append(f'<text x="{left + max(width, 1) + 8:.1f}" y="{y + 17}">{value}</text>')
    return "".join([*out, "</svg>"])


def _open(title: str, number: int, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDE} {height}" role="img" aria-labelledby="chart{number}">'
        f'<title id="chart{number}">{_text(title)}</title>'
    )


def _ceiling(value: int) -> int:
    """The next number that divides well into four: 4, 8, 12, 16, 20, 24, 32, 40, 80, 120, ..."""
    unit = 1
    while True:
        for step in (4, 8, 12, 16, 20, 24, 32, 40):
            if step * unit >= value:
                return step * unit
        unit *= 10


def _text(text: str) -> str:
    return escape(visible(text))
