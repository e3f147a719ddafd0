"""What one `mask(...)` hides: its selectors, read and held against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from execpolicy.lang import rules
from execpolicy.lang.expression import BadPattern
from execpolicy.lang.fields import Fields
from execpolicy.lang.regular import compile_word
from execpolicy.lang.values import KIND, Boolean, Items, Pattern, Text, Value
from execpolicy.values import replace

SELECTORS = ("program", "env", "header", "pattern", "tool", "server", "argument", "path")
KINDS = ("program", "env", "header", "pattern", "path")  # each hides in a way of its own
CALL = ("tool", "server", "argument")  # these belong together

ReadWord = Callable[[Fields, str], "rules.WordPattern | None"]
ReadPaths = Callable[[Fields, str], "tuple[rules.Glob, ...]"]


def read_mask(mask: rules.Mask, fields: Fields, word: ReadWord, paths: ReadPaths) -> rules.Mask | None:
    """`mask` with what it is about; None when that cannot be told, which is reported."""
    chosen = [key for key in KINDS if fields.has(key)]
    of_call = [key for key in CALL if fields.has(key)]
    place = fields.call.function.span
    if not chosen and not of_call:
        fields.report("E013", f"`mask` needs one of `{'`, `'.join((*KINDS, 'argument', 'tool'))}`", place)
    if len(chosen) + bool(of_call) > 1:
        second = (*chosen, *of_call)[1]
        fields.report("E016", f"a mask is about one thing, and `{second}` is another", fields.span(second),
                      help="write two masks")  # fmt: skip
    if of_call == ["server"]:
        fields.report("E013", "`server` needs `tool` or `argument` beside it", fields.span("server"))
    if not fields.has("program"):
        for key in ("subcommand", "option", "attached"):
            if fields.has(key):
                fields.report("E013", f"`{key}` needs `program` beside it", fields.span(key))
    header = word(fields, "header")
    whole = replace(
        mask,
        program=word(fields, "program"),
        subcommand=_subcommand(fields),
        option=_options(fields),
        attached=_attached(fields),
        env=word(fields, "env"),
        header=None if header is None else lowered(header),
        pattern=_patterns(fields),
        tool=word(fields, "tool"),
        server=word(fields, "server"),
        argument=word(fields, "argument"),
        paths=paths(fields, "path"),
    )
    for key in ("program", "env", "header", "tool", "server", "argument"):
        if _has_folder(getattr(whole, key)):
            fields.report("E015", f"`{key}` is no path", fields.span(key), "`path(...)` means a folder")
    return None if fields.broken else whole


def lowered(pattern: rules.WordPattern) -> rules.WordPattern:
    """The pattern for names that are compared in lower case."""
    match pattern:
        case rules.Exact(text):
            return rules.Exact(text.lower())
        case rules.Glob(text):
            return rules.Glob(text.lower())
        case rules.Regex(text):
            insensitive = rules.Regex(text if text.startswith("(?i)") else f"(?i){text}")
            return insensitive if _compiles(insensitive) else pattern
        case rules.AnyOf(options):
            return rules.AnyOf(tuple(map(lowered, options)))
        case rules.AllOf(options):
            return rules.AllOf(tuple(map(lowered, options)))
        case rules.NoneOf(options):
            return rules.NoneOf(tuple(map(lowered, options)))
        case rules.Within():
            return pattern


def _compiles(pattern: rules.Regex) -> bool:
    try:
        compile_word(pattern)
    except BadPattern:
        return False
    return True


def _has_folder(pattern: rules.WordPattern | None) -> bool:
    match pattern:
        case rules.Within():
            return True
        case rules.AnyOf(options) | rules.AllOf(options) | rules.NoneOf(options):
            return any(map(_has_folder, options))
        case _:
            return False


def _subcommand(fields: Fields) -> tuple[str, ...]:
    value = fields.value("subcommand")
    if isinstance(value, Text):
        if not value.text.strip():
            fields.report("E017", "`subcommand` cannot be empty", value.span)
        return tuple(value.text.split())
    return () if value is None else tuple(text for text, _ in fields.texts("subcommand") or ())


def _options(fields: Fields) -> tuple[str, ...]:
    value = fields.value("option")
    if isinstance(value, Text):
        value = Items((value,), value.span)
    if value is None:
        return ()
    if not isinstance(value, Items):
        fields.report("E015", "`option` is a list of options", value.span, f"this is {KIND[type(value)]}")
        return ()
    found: list[str] = []
    for item in value.items:
        text = item.text if isinstance(item, Text) else ""
        if len(text) > 1 and text[0] in "-+/" and not any(char.isspace() or char == "=" for char in text):
            found.append(text)
        else:
            fields.report("E015", "an option is a string that begins with `-`", item.span)
    if not value.items:
        fields.report("E017", "`option` cannot be empty", value.span)
    return tuple(found)


def _attached(fields: Fields) -> bool:
    value = fields.value("attached")
    if value is not None and not isinstance(value, Boolean):
        fields.report("E015", "`attached` is True or False", value.span)
    if isinstance(value, Boolean) and value.truth and not fields.has("option"):
        fields.report("E013", "`attached` needs `option` beside it", value.span)
    return isinstance(value, Boolean) and value.truth


def _patterns(fields: Fields) -> tuple[rules.Exact | rules.Regex, ...]:
    value = fields.value("pattern")
    return () if value is None else tuple(_texts(fields, value))


def _texts(fields: Fields, value: Value) -> Iterator[rules.Exact | rules.Regex]:
    match value:
        case Text(text, span):
            if text.strip():
                yield rules.Exact(text)
            else:
                fields.report("E017", "`pattern` cannot be empty", span)
        case Pattern(rules.Regex() as pattern, span):
            if compile_word(pattern).matches(""):
                message = "this pattern fits an empty text, so it would hide everything or nothing"
                fields.report("E020", message, span, help="write what has to stand there")
            else:
                yield pattern
        case Pattern(rules.Exact() as pattern, _):
            yield pattern
        case Pattern(rules.AnyOf(options), span):
            for option in options:
                yield from _texts(fields, Pattern(option, span))
        case Items(items, span):
            if not items:
                fields.report("E017", "`pattern` cannot be empty", span)
            for item in items:
                yield from _texts(fields, item)
        case _:
            help_ = "`regex(...)`, a text, or a list of them"
            fields.report("E015", f"{_kind(value)} is not a text to find", value.span, help=help_)


def _kind(value: Value) -> str:
    if isinstance(value, Pattern):
        return "a glob" if isinstance(value.pattern, rules.Glob) else "a pattern of a whole word"
    return KIND[type(value)]
