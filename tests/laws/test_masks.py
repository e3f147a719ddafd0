"""Masks only add: whatever one hides stays hidden beside any others, in any layer and order."""

from __future__ import annotations

from collections.abc import Sequence

import strategies as some
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.decision import Layer
from execpolicy.engine.masks import Masks
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import Places
from execpolicy.lang import rules as r
from execpolicy.shell.analyse import analyse

PLACES = Places(workspace="/ws", cwd="/ws", home="/home/me")


def made(*masks: Sequence[r.Mask]) -> Masks:
    """One layer each, from the top."""
    files = [
        (layer, r.RuleFile(path="t.rules", digest="", masks=tuple(found)))
        for layer, found in zip((Layer.USER, Layer.SESSION), masks, strict=False)
    ]
    return Masks(Policy.build(files).masks, places=PLACES, read=lambda text: analyse(text).commands)


def hidden(masks: Masks, text: str, tool: str | None) -> set[int]:
    found = list(masks.find(text, tool, "b"))
    assert masks.may(text, text.lower()) or tool is not None or not found
    return {at for one in found for at in range(one.start, one.end)}


lists = st.lists(some.masks, max_size=3)
tools = st.sampled_from((None, "A", "token"))


@given(lists, lists, some.masked_texts, tools)
def test_a_lower_layer_only_hides_more(
    above: list[r.Mask], below: list[r.Mask], text: str, tool: str | None
) -> None:
    assert hidden(made(above), text, tool) <= hidden(made(above, below), text, tool)
    assert hidden(made((), below), text, tool) <= hidden(made(above, below), text, tool)


@given(lists, some.masked_texts, tools)
def test_masks_together_hide_what_each_hides_alone(masks: list[r.Mask], text: str, tool: str | None) -> None:
    alone = [hidden(made([mask]), text, tool) for mask in masks]
    assert hidden(made(masks), text, tool) == set().union(*alone)
    assert hidden(made(masks[::-1]), text, tool) == set().union(*alone)


@given(lists, lists, st.sampled_from(some.NAMES), st.sampled_from(some.PATHS), tools)
def test_what_a_layer_names_stays_named(
    above: list[r.Mask], below: list[r.Mask], name: str, path: str, tool: str | None
) -> None:
    one, both = made(above), made(above, below)
    assert both.variable(name) or not one.variable(name)
    assert both.file(path) or not one.file(path)
    assert both.argument(name, tool, "b") or not one.argument(name, tool, "b")
    assert both.reads(f"cat {path}") or not one.reads(f"cat {path}")
    assert tool is None or both.whole_call(tool, "b") or not one.whole_call(tool, "b")


def test_a_value_that_one_mask_hides_may_hold_the_name_of_another() -> None:
    env = r.Mask(id="env", origin=some.origin(), env=r.Exact("A"))
    header = r.Mask(id="header", origin=some.origin(), header=r.Exact("b"))
    text = "A=b: secret more"
    assert hidden(made([header]), text, None) == set(range(5, 16))
    assert hidden(made([header], [env]), text, None) == set(range(2, 16)) - {4}
