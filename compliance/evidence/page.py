"""A pack as one HTML file that needs nothing else, and as Markdown. Pure."""

from __future__ import annotations

from html import escape
from typing import Final

from compliance.evidence.pack import Finding, Pack
from compliance.plain import visible

_COLOURS: Final = (("allow", "#3a7d44"), ("ask", "#c98a00"), ("deny", "#b3261e"))
_STYLE: Final = """\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
h2{border-top:1px solid #ccc;padding-top:1rem}.missing{color:#8a1c14}.shown{color:#1f5a2a}
li{overflow-wrap:anywhere}@media print{body{margin:0}}"""
_MOST_DAYS: Final = 92


def html(pack: Pack) -> str:
    title = f"Evidence: {pack.title}"
    out = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{_h(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_h(title)}</h1>",
        f"<p>Period: {_h(pack.period)}</p>",
        f"<p>Log: {_h(pack.seal.text)}; checkpoints that agree: {pack.seal.checkpoints}</p>",
        f"<p>{_h(_summary(pack))}</p>",
        _chart(pack),
    ]
    for finding in pack.findings:
        out.append(f"<h2>{_h(finding.control.id)} {_h(finding.control.title)}</h2>")
        for heading, kind, texts in _lists(finding):
            items = "".join(f"<li>{_h(text)}</li>" for text in texts)
            out.append(f'<h3>{heading}</h3><ul class="{kind}">{items}</ul>')
    if pack.notes:
        out.append(f"<h2>Notes</h2><ul>{''.join(f'<li>{_h(note)}</li>' for note in pack.notes)}</ul>")
    return "\n".join([*out, "</body></html>", ""])


def markdown(pack: Pack) -> str:
    out = [
        f"# Evidence: {_m(pack.title)}",
        "",
        f"Period: {_m(pack.period)}",
        "",
        f"Log: {_m(pack.seal.text)}; checkpoints that agree: {pack.seal.checkpoints}",
        "",
        _m(_summary(pack)),
        "",
        "| day | allow | ask | deny |",
        "| --- | --- | --- | --- |",
        *(f"| {_m(day)} | {allow} | {ask} | {deny} |" for day, (allow, ask, deny) in pack.days),
        "",
    ]
    for finding in pack.findings:
        out += [f"## {_m(finding.control.id)} {_m(finding.control.title)}", ""]
        for heading, _, texts in _lists(finding):
            out += [f"### {heading}", "", *(f"- {_m(text)}" for text in texts), ""]
    if pack.notes:
        out += ["## Notes", "", *(f"- {_m(note)}" for note in pack.notes), ""]
    return "\n".join(out)


def _lists(finding: Finding) -> list[tuple[str, str, tuple[str, ...]]]:
    lists = [
        ("Shown by the record", "shown", finding.shown),
        ("Rules that name it", "shown", finding.rules),
        ("Missing", "missing", finding.missing),
    ]
    return [one for one in lists if one[2]]


def _summary(pack: Pack) -> str:
    shown = sum(bool(finding.shown) for finding in pack.findings)
    ruled = sum(bool(finding.rules) for finding in pack.findings)
    return (
        f"{shown} of {len(pack.findings)} controls have records that speak for them, {ruled} are named by rules "
        "that were enforced; what is missing stands with each. This is evidence, not a judgement of conformity"
    )


def _chart(pack: Pack) -> str:
    """Verdicts a day, as bars."""
    days = pack.days[-_MOST_DAYS:]
    if not days:
        return "<p>No verdict was recorded in the period.</p>"
    most = max(sum(counts) for _, counts in days)
    step = 900 / len(days)
    bars = []
    for number, (day, counts) in enumerate(days):
        below = 170.0
        for (word, colour), count in zip(_COLOURS, counts, strict=True):
            height = 150 * count / most
            below -= height
            bars.append(
                f'<rect x="{number * step:.1f}" y="{below:.1f}" width="{min(step * 0.8, 60):.1f}" '
                f'height="{height:.1f}" fill="{colour}"><title>{_h(day)}: {count} {word}</title></rect>'
            )
    legend = "".join(
        f'<text x="{at * 80}" y="12" font-size="12" fill="{colour}">{word}</text>'
        for at, (word, colour) in enumerate(_COLOURS)
    )
    ends = (
        f'<text x="0" y="190" font-size="12">{_h(days[0][0])}</text>'
        f'<text x="900" y="190" font-size="12" text-anchor="end">{_h(days[-1][0])}, at most {most} a day</text>'
    )
    return (
        '<svg viewBox="0 0 900 200" width="100%" role="img" aria-label="verdicts a day">'
        f"{legend}{''.join(bars)}{ends}</svg>"
    )


def _h(text: str) -> str:
    return escape(visible(text))


def _m(text: str) -> str:
    clean = visible(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for char in "|*_`[]":
        clean = clean.replace(char, "\\" + char)
    return clean
