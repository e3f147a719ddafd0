"""What one expression finds is what a search for each of the texts finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execpolicy.lang.literals import EACH, LONGEST, WORTH, Literals, shortest

FEW = st.text("ab.*(|\\ \n^$", max_size=5)


@given(st.lists(FEW, max_size=12), FEW | st.text("ab.*(|\\ \n^$", max_size=30))
def test_one_expression_finds_what_each_text_finds(texts: list[str], text: str) -> None:
    want = any(one in text for one in texts)
    find = Literals(texts)
    assert find.within(text) == want
    find.within("-" * WORTH)
    assert find.within(text) == want
    assert any(one in text for one in shortest(texts)) == want


def test_texts_that_are_too_long_for_one_expression_are_found_all_the_same() -> None:
    find = Literals(["a" * (LONGEST + 1), "b"])
    for _ in range(WORTH // EACH + 1):
        assert not find.within("a" * LONGEST)
    assert find.within("a" * (LONGEST + 1))
