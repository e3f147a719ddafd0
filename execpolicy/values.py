"""Frozen and slotted classes like those of `dataclasses`, at a twentieth of what those cost to define.

A program that answers one question and ends pays for every class that it defines, not for those that it uses. So
`__init__` is written when the first value is made, and the rest is shared. `dataclasses.replace`, `fields` and
`asdict` work on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")
C = TypeVar("C", bound=type)


class _Missing:
    __slots__ = ()


MISSING = _Missing()


class Field:
    """What a class says about one field beside its default."""

    __slots__ = ("compare", "default", "factory", "kw_only", "repr")

    def __init__(
        self,
        default: object = MISSING,
        factory: Callable[[], object] | None = None,
        *,
        compare: bool = True,
        kw_only: bool = False,
        repr: bool = True,
    ) -> None:
        self.default = default
        self.factory = factory
        self.compare = compare
        self.kw_only = kw_only
        self.repr = repr


def field(
    *,
    default: Any = MISSING,
    default_factory: Callable[[], Any] | None = None,
    compare: bool = True,
    kw_only: bool = False,
    repr: bool = True,
) -> Any:
    """As `dataclasses.field`."""
    return Field(default, default_factory, compare=compare, kw_only=kw_only, repr=repr)


@overload
def frozen(cls: C, /) -> C: ...
@overload
def frozen(*, kw_only: bool = False, slots: bool = True) -> Callable[[C], C]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: C | None = None, /, *, kw_only: bool = False, slots: bool = True) -> C | Callable[[C], C]:
    """As `dataclass(frozen=True, slots=True)`."""

    def made(cls: C) -> C:
        return _define(cls, kw_only=kw_only, slots=slots, mutable=False)

    return made if cls is None else made(cls)


@dataclass_transform(field_specifiers=(field,))
def slotted(cls: C, /) -> C:
    """As `dataclass(slots=True)`."""
    return _define(cls, kw_only=False, slots=True, mutable=True)


def replace(old: T, /, **changes: object) -> T:
    """A value that differs from `old` in `changes`."""
    return type(old)(**{name: getattr(old, name) for name in _fields(type(old))} | changes)


def fields(cls: type) -> Mapping[str, Field]:
    """The fields of such a class, those that it inherits first."""
    return _fields(cls)


def _fields(cls: type) -> Mapping[str, Field]:
    found: Mapping[str, Field] = cls.__dict__["__value_fields__"]
    return found


def _define(cls: C, *, kw_only: bool, slots: bool, mutable: bool) -> C:
    space = dict(cls.__dict__)
    own = {name: _field(space, name, kw_only=kw_only) for name in _annotations(cls)}
    fields = _inherited(cls) | own
    space["__value_fields__"] = fields
    space["__match_args__"] = tuple(name for name, one in fields.items() if not one.kw_only)
    space["__dataclass_fields__"] = _DataclassFields()
    space.setdefault("__repr__", _repr)
    space["__reduce__"] = _reduce
    if not mutable:
        space["__setattr__"] = _refuse_setting
        space["__delattr__"] = _refuse_deleting
    compared = [name for name, one in fields.items() if one.compare]
    key: Callable[[Any], object] = attrgetter(*compared) if compared else _nothing

    def __eq__(self: object, other: object) -> Any:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: object) -> int:
        return hash(key(self))

    space.setdefault("__eq__", __eq__)
    if not mutable:
        space.setdefault("__hash__", __hash__)
    space.pop("__dict__", None)
    space.pop("__weakref__", None)
    if slots:
        space["__slots__"] = tuple(own)
    made: Any = type(cls)(cls.__name__, cls.__bases__, space)
    made.__qualname__ = cls.__qualname__

    def __init__(self: object, *args: object, **named: object) -> None:
        made.__init__ = _init(made, mutable=mutable)
        made.__init__(self, *args, **named)

    made.__init__ = __init__
    found: C = made
    return found


def _inherited(cls: type) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        found |= base.__dict__.get("__value_fields__", {})
    return found


def _field(space: dict[str, Any], name: str, *, kw_only: bool) -> Field:
    """Takes the default out of the class, where it would stand in the way of the slot."""
    given = space.pop(name, MISSING)
    found = given if isinstance(given, Field) else Field(given)
    found.kw_only = found.kw_only or kw_only
    return found


def _init(cls: type, *, mutable: bool) -> Callable[..., None]:
    """`__init__` as somebody would write it; into what is frozen it stores past `__setattr__`."""
    named = sorted(_fields(cls).items(), key=lambda item: item[1].kw_only)
    words, by_name = ["self"], False
    lines: list[str] = []
    names: dict[str, object] = {"MISSING": MISSING}
    for name, one in named:
        slot = getattr(cls, name, None)
        names[f"set_{name}"] = slot.__set__ if slot is not None else _into_dict(name)
        if one.kw_only and not by_name:
            words.append("*")
            by_name = True
        value = name
        if one.factory is not None:
            names[f"make_{name}"] = one.factory
            words.append(f"{name}=MISSING")
            value = f"make_{name}() if {name} is MISSING else {name}"
        elif one.default is not MISSING:
            names[f"default_{name}"] = one.default
            words.append(f"{name}=default_{name}")
        else:
            words.append(name)
        lines.append(f"    self.{name} = {value}" if mutable else f"    set_{name}(self, {value})")
    text = f"def __init__({', '.join(words)}):\n" + ("\n".join(lines) or "    pass")
    exec(text, names)
    made: Any = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made  # type: ignore[no-any-return]


def _into_dict(name: str) -> Callable[[Any, object], None]:
    def store(self: Any, value: object) -> None:
        self.__dict__[name] = value

    return store


def _nothing(self: object) -> None:
    return None


def _repr(self: object) -> str:
    shown = ", ".join(
        f"{name}={getattr(self, name)!r}" for name, one in _fields(type(self)).items() if one.repr
    )
    return f"{type(self).__qualname__}({shown})"


def _refuse_setting(self: object, name: str, value: object) -> None:
    raise AttributeError(f"cannot assign to field `{name}`")


def _refuse_deleting(self: object, name: str) -> None:
    raise AttributeError(f"cannot delete field `{name}`")


def _reduce(self: object) -> tuple[object, ...]:
    return _again, (type(self), tuple(getattr(self, name) for name in _fields(type(self))))


def _again(cls: Callable[..., object], values: tuple[object, ...]) -> object:
    """A value from its fields in order, for `pickle` and `copy`."""
    return cls(**dict(zip(_fields(cls), values, strict=True)))  # type: ignore[arg-type]


class _DataclassFields:
    """The fields in the words of `dataclasses`, for whoever asks: its functions work then."""

    def __get__(self, instance: object, owner: type) -> dict[str, Any]:
        import dataclasses

        twin = dataclasses.make_dataclass(owner.__name__, list(_twins(owner, dataclasses)))
        found: dict[str, Any] = twin.__dataclass_fields__  # type: ignore[attr-defined]
        owner.__dataclass_fields__ = found  # type: ignore[attr-defined]  # it takes a millisecond to make
        return found


def _twins(owner: type, dataclasses: Any) -> Iterator[tuple[str, object, Any]]:
    for name, one in _fields(owner).items():
        more: dict[str, object] = {} if one.default is MISSING else {"default": one.default}
        if one.factory is not None:
            more = {"default_factory": one.factory}
        yield (
            name,
            _annotation(owner, name),
            dataclasses.field(compare=one.compare, kw_only=one.kw_only, repr=one.repr, **more),
        )


def _annotation(owner: type, name: str) -> object:
    return next(_annotations(cls)[name] for cls in owner.__mro__ if name in _annotations(cls))


def _annotations(cls: type) -> dict[str, object]:
    found: dict[str, object] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - `inspect` takes 6 ms
    return found
