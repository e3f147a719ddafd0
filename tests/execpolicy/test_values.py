"""Classes of our own making behave as those of `dataclasses` do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from functools import cached_property
from typing import Any

import pytest

from execpolicy.values import field, frozen, replace, slotted


@frozen
class Ours:
    a: int
    b: str = "x"
    c: int = field(default=0, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    a: int
    b: str = "x"
    c: int = dataclasses.field(default=0, compare=False)


@frozen(kw_only=True)
class OursByName:
    d: dict[str, int] = field(default_factory=dict)
    e: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TheirsByName:
    d: dict[str, int] = dataclasses.field(default_factory=dict)
    e: int


@frozen
class OurHeir(Ours):
    f: int = 7
    g: tuple[str, ...] = field(default=(), kw_only=True)
    h: int = 8


@dataclasses.dataclass(frozen=True, slots=True)
class TheirHeir(Theirs):
    f: int = 7
    g: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)
    h: int = 8


@frozen
class _OurBase:
    s: str
    m: tuple[str, ...] = field(default=(), kw_only=True)


@frozen
class OurEvent(_OurBase):
    t: int


@dataclasses.dataclass(frozen=True, slots=True)
class _TheirBase:
    s: str
    m: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)


@dataclasses.dataclass(frozen=True, slots=True)
class TheirEvent(_TheirBase):
    t: int


@frozen(slots=False)
class Lazy:
    text: str

    @cached_property
    def size(self) -> int:
        return len(self.text)


@slotted
class Open:
    a: int
    b: list[int] = field(default_factory=list)


@frozen
class Empty:
    """No field."""


PAIRS: list[tuple[Any, Any]] = [(Ours, Theirs), (OursByName, TheirsByName)]


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ((1,), {}),
        ((1, "y"), {}),
        ((1, "y", 5), {}),
        ((1,), {"c": 3}),
        ((), {}),
        ((1, "y", 5, 6), {}),
        ((1,), {"a": 2}),
        ((1,), {"z": 2}),
        ((), {"e": 1}),
        ((), {"e": 1, "d": {"k": 1}}),
    ],
)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_the_same_is_made_and_refused(
    ours: Any, theirs: Any, args: tuple[object, ...], named: dict[str, object]
) -> None:
    try:
        want: object = dataclasses.asdict(theirs(*args, **named))
    except TypeError:
        with pytest.raises(TypeError):
            ours(*args, **named)
        return
    made = ours(*args, **named)
    assert dataclasses.asdict(made) == want
    assert repr(made) == repr(theirs(*args, **named)).replace(theirs.__name__, ours.__name__)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_the_fields_are_the_same(ours: Any, theirs: Any) -> None:
    assert ours.__match_args__ == theirs.__match_args__
    mine, others = dataclasses.fields(ours), dataclasses.fields(theirs)
    assert [repr(one) for one in mine] == [repr(one) for one in others]


def test_equality_leaves_out_what_is_not_compared() -> None:
    assert Ours(1, "x", 1) == Ours(1, "x", 2)
    assert hash(Ours(1, "x", 1)) == hash(Ours(1, "x", 2))
    assert Ours(1) != Ours(2)
    assert Ours(1) != Theirs(1)
    assert Empty() == Empty()
    assert len({Empty(), Empty()}) == 1


def test_a_default_that_is_made_is_made_each_time() -> None:
    one, other = Open(1), Open(1)
    one.b.append(1)
    assert other.b == []
    with pytest.raises(TypeError):
        hash(one)


@pytest.mark.parametrize("name", ["a", "z"])
def test_a_value_stays_what_it_is(name: str) -> None:
    one = Ours(1)
    with pytest.raises(AttributeError):
        setattr(one, name, 2)
    with pytest.raises(AttributeError):
        delattr(one, name)
    assert not hasattr(one, "__dict__")


def test_values_are_copied_replaced_and_pickled() -> None:
    one = OursByName(e=1, d={"k": 1})
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    assert replace(one, e=2) == dataclasses.replace(one, e=2) == OursByName(e=2, d={"k": 1})
    with pytest.raises(TypeError):
        replace(one, z=2)


def test_a_class_without_slots_can_remember() -> None:
    lazy = Lazy("four")
    assert (lazy.size, lazy.size, Lazy("four")) == (4, 4, lazy)
    with pytest.raises(AttributeError):
        lazy.text = "five"  # type: ignore[misc]


def test_patterns_take_it_apart() -> None:
    match Ours(1, "y"):
        case Ours(a, b):
            assert (a, b) == (1, "y")


@pytest.mark.parametrize(
    ("ours", "theirs", "args", "named"),
    [
        (OurHeir, TheirHeir, (1,), {}),
        (OurHeir, TheirHeir, (1, "y", 2, 3, 4), {"g": ("z",)}),
        (OurEvent, TheirEvent, ("s", 5), {}),
        (OurEvent, TheirEvent, ("s",), {"m": ("k",), "t": 6}),
        (OursByName, TheirsByName, (), {"e": 1}),
    ],
)
def test_heirs_have_the_fields_of_both(
    ours: Any, theirs: Any, args: tuple[object, ...], named: dict[str, Any]
):
    mine, other = ours(*args, **named), theirs(*args, **named)
    assert dataclasses.asdict(mine) == dataclasses.asdict(other)
    assert repr(mine).replace("Our", "Their") == repr(other)
    assert mine == ours(*args, **named)
    assert ours.__match_args__ == theirs.__match_args__
    assert (
        inspect.signature(ours.__init__).parameters.keys()
        == inspect.signature(theirs.__init__).parameters.keys()
    )
    assert [(one.name, one.kw_only) for one in dataclasses.fields(ours)] == [
        (one.name, one.kw_only) for one in dataclasses.fields(theirs)
    ]
    assert not hasattr(mine, "__dict__")
    assert pickle.loads(pickle.dumps(mine)) == mine
    assert replace(mine, **named) == mine
    with pytest.raises(TypeError):
        ours(*args, *range(9))


def test_what_is_not_shown_is_not_shown():
    @frozen
    class Account:
        name: str
        key: str = field(repr=False)

    assert repr(Account("a", "secret")).endswith("Account(name='a')")
    assert [one.repr for one in dataclasses.fields(Account)] == [True, False]  # type: ignore[arg-type]
