"""The page of telemetry names whatever of ours is sent: it is the schema that the data refers to."""

from __future__ import annotations

import re
from pathlib import Path

from compliance import semconv

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "telemetry.md").read_text()
SOURCES = [ROOT / "compliance" / name for name in ("semconv.py", "otlp.py", "otel/story.py")]


def test_every_name_of_ours_is_on_the_page() -> None:
    text = "\n".join(path.read_text() for path in SOURCES)
    names = set(re.findall(r'"(agent\.[a-z_.]+)"', text))
    assert len(names) > 50
    assert sorted(name for name in names if f"`{name}`" not in PAGE) == []


def test_every_candidate_is_on_the_page() -> None:
    assert semconv.SCHEMA_URL in PAGE
    for ours, candidate in semconv.CANDIDATES.items():
        assert f"| `{ours}` | `{candidate}`" in PAGE
