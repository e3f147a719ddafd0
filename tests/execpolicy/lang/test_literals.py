"""What one expression finds is what a search for each of the texts finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from execpolicy.lang.literals import EACH, LONGEST, MANY, WORTH, Literals, shortest

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


def test_of_very_many_none_is_left_out_and_each_is_found() -> None:
    texts = [f"t{at}x" for at in range(MANY)] + ["x"]
    find = Literals(texts)
    assert len(find.texts) == len(texts)
    for _ in range(2):
        assert find.within("a t7x")
        assert not find.within("t7")
        find.within("-" * WORTH)
