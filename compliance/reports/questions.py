"""The questions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from compliance.reports.approvals import Approvals
from compliance.reports.base import Question
from compliance.reports.coverage import Coverage
from compliance.reports.decisions import Decisions
from compliance.reports.drift import Drift
from compliance.reports.gaps import Gaps
from compliance.reports.rules import Rules

QUESTIONS: Final[Mapping[str, Callable[[], Question]]] = MappingProxyType(
    {
        "decisions": Decisions,
        "approvals": Approvals,
        "rules": Rules,
        "coverage": Coverage,
        "drift": Drift,
        "gaps": Gaps,
    }
)


def question(name: str) -> Question:
    return QUESTIONS[name]()
