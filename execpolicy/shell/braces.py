"""Brace expansion: `{a,b}` and `{1..5}` in the pieces of a word."""

from __future__ import annotations

import re

from execpolicy.late import late_pattern
from execpolicy.shell.tree import Part, Text

MAX_WORDS = 64
_NUMBERS = late_pattern(r"([+-]?[0-9]{1,6})\.\.([+-]?[0-9]{1,6})(?:\.\.([+-]?[0-9]{1,6}))?\Z")
_LETTERS = late_pattern(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.([+-]?[0-9]{1,6}))?\Z")

Atom = str | Part  # an unquoted character, or a piece that braces do not look into


def may_expand(parts: tuple[Part, ...]) -> bool:
    """Whether unquoted text holds what brace expansion needs."""
    if not any(isinstance(part, Text) and "{" in part.text and not part.quoted for part in parts):
        return False
    text = "".join(part.text if isinstance(part, Text) and not part.quoted else "\0" for part in parts)
    opening = text.find("{")
    return opening >= 0 and "}" in text[opening:] and ("," in text[opening:] or ".." in text[opening:])


def expand(parts: tuple[Part, ...]) -> list[tuple[Part, ...]] | None:
    """Every word that braces make of `parts`; None when they are too many or not read."""
    atoms: list[Atom] = []
    for part in parts:
        if isinstance(part, Text) and not part.quoted:
            atoms.extend(part.text)
        else:
            atoms.append(part)
    if len(atoms) > 4096:
        return None
    words = _expand(atoms, 0)
    return None if words is None else [_parts(word) for word in words]


def _expand(atoms: list[Atom], depth: int) -> list[list[Atom]] | None:
    if depth > 16:
        return None
    start = 0
    while True:
        opening = _find(atoms, "{", start)
        if opening is None:
            return [atoms]
        if atoms[opening + 1 : opening + 2] == ["}"]:  # `{}` stays
            start = opening + 2
            continue
        closing, commas = _match(atoms, opening)
        if closing is None:
            # bash looks on behind a brace that nothing closes, with rules of its own.
            rest = atoms[opening + 1 :]
            if "{" in rest or ("}" in rest and "," in rest):
                return None
            return [atoms]
        middles = _middles(atoms[opening + 1 : closing], [comma - opening - 1 for comma in commas], depth)
        if middles is None:
            return None
        if not middles:
            if "{" in atoms[opening + 1 :] or "," in atoms[opening + 1 : closing]:
                inner = _expand(atoms[opening + 1 :], depth + 1)
                return None if inner is None else [[*atoms[: opening + 1], *word] for word in inner]
            return [atoms]
        endings = _expand(atoms[closing + 1 :], depth + 1)
        if endings is None or len(middles) * len(endings) > MAX_WORDS:
            return None
        return [[*atoms[:opening], *middle, *ending] for middle in middles for ending in endings]


def _middles(inside: list[Atom], commas: list[int], depth: int) -> list[list[Atom]] | None:
    """What stands for the braces; empty when they are no brace expansion."""
    if not commas:
        if any(not isinstance(atom, str) for atom in inside):
            return []
        return _sequence("".join(atom for atom in inside if isinstance(atom, str)))
    found: list[list[Atom]] = []
    for start, end in zip([-1, *commas], [*commas, len(inside)], strict=True):
        words = _expand(inside[start + 1 : end], depth + 1)
        if words is None or len(found) + len(words) > MAX_WORDS:
            return None
        found.extend(words)
    return found


def _sequence(text: str) -> list[list[Atom]] | None:
    """`1..5`, `a..e..2`."""
    numbers = _NUMBERS.match(text)
    if numbers is not None:
        first, last = int(numbers[1]), int(numbers[2])
        step = abs(int(numbers[3])) if numbers[3] else 1
        padded = any(re.match(r"[+-]?0[0-9]", end) for end in (numbers[1], numbers[2]))
        if padded or step == 0 or text.count("+"):
            return None
        values = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
        return None if len(values) > MAX_WORDS else [list(str(value)) for value in values]
    letters = _LETTERS.match(text)
    if letters is None:
        return []
    first, last = ord(letters[1]), ord(letters[2])
    step = abs(int(letters[3])) if letters[3] else 1
    if step == 0 or letters[1].isupper() != letters[2].isupper():
        return None
    codes = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    return [[chr(code)] for code in codes]


def _find(atoms: list[Atom], char: str, start: int) -> int | None:
    for index in range(start, len(atoms)):
        if atoms[index] == char and isinstance(atoms[index], str):
            return index
    return None


def _match(atoms: list[Atom], opening: int) -> tuple[int | None, list[int]]:
    """The brace that closes the one at `opening`, and the commas directly between them."""
    level = 0
    commas: list[int] = []
    for index in range(opening, len(atoms)):
        atom = atoms[index]
        if not isinstance(atom, str):
            continue
        if atom == "{":
            level += 1
        elif atom == "}":
            level -= 1
            if level == 0:
                return index, commas
        elif atom == "," and level == 1:
            commas.append(index)
    return None, commas


def _parts(atoms: list[Atom]) -> tuple[Part, ...]:
    """Atoms as pieces again, neighbouring characters joined."""
    parts: list[Part] = []
    run: list[str] = []
    for atom in atoms:
        if isinstance(atom, str):
            run.append(atom)
            continue
        if run:
            parts.append(Text("".join(run), False))
            run = []
        parts.append(atom)
    if run:
        parts.append(Text("".join(run), False))
    return tuple(parts)
