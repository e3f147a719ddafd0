"""Every control that a shipped rule names stands in the catalogue, and the reference says which have no rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from compliance.evidence.catalogue import FRAMEWORKS, framework, is_ours, named_by
from compliance.rulebook import RuleCard, of_sources
from execpolicy.bundle.load import PolicySource
from execpolicy.decision import Decision, Layer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/bundles.md"


@pytest.fixture(scope="module")
def cards() -> tuple[RuleCard, ...]:
    found = of_sources(PolicySource(path, Layer.USER) for path in sorted(ROOT.glob("rules/*/*.rules")))
    assert not found.unread
    return found.rules


def test_every_named_control_stands_in_one_catalogue(cards: tuple[RuleCard, ...]) -> None:
    for card in cards:
        for text in card.controls:
            ours = [framework(name) for name in FRAMEWORKS if is_ours(framework(name), text)]
            assert len(ours) == 1, (card.id, text)
            assert len(named_by(ours[0], (text,))) == 1, (card.id, text)


def test_only_what_holds_something_back_speaks_for_a_control(cards: tuple[RuleCard, ...]) -> None:
    assert {card.decision for card in cards if card.controls} == {Decision.ASK, Decision.DENY}


def test_the_reference_says_which_bundle_speaks_for_which_control(cards: tuple[RuleCard, ...]) -> None:
    bundles: dict[str, set[str]] = {}
    for card in cards:
        for text in card.controls:
            bundles.setdefault(text, set()).add(Path(card.path).parent.name)
    rows = [f"| {text} | {', '.join(sorted(names))} |" for text, names in sorted(bundles.items())]
    assert "\n".join(rows) in PAGE.read_text(encoding="utf-8"), "\n".join(rows)


def test_the_reference_lists_the_controls_that_no_rule_names(cards: tuple[RuleCard, ...]) -> None:
    rows = []
    for name in FRAMEWORKS:
        found = framework(name)
        texts = tuple(sorted({text for card in cards for text in card.controls if is_ours(found, text)}))
        named = named_by(found, texts)
        rows.append(f"| {name} | {', '.join(one.id for one in found.controls if one not in named)} |")
    assert "\n".join(rows) in PAGE.read_text(encoding="utf-8"), "\n".join(rows)
