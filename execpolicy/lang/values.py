"""What an expression of a rule file stands for, constants put in and sums added up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Protocol, assert_never

from execpolicy.lang import rules, syntax
from execpolicy.lang.regular import BadPattern, compile_path, compile_word
from execpolicy.lang.scanner import IMPORT_HELP
from execpolicy.source import Span
from execpolicy.values import frozen


class Report(Protocol):
    """Takes one error of the file."""

    def __call__(self, code: str, message: str, span: Span, label: str = "", help: str = "") -> None: ...


@frozen
class Text:
    text: str
    span: Span


@frozen
class Number:
    number: int
    span: Span


@frozen
class Boolean:
    truth: bool
    span: Span


@frozen
class Nothing:
    span: Span


@frozen
class Items:
    items: tuple[Value, ...]
    span: Span


@frozen
class Table:
    entries: tuple[tuple[Value, Value], ...]
    span: Span


@frozen
class Pattern:
    pattern: rules.WordPattern
    span: Span


@frozen
class Several:
    """`rest(...)` or `end`: stands for any number of words."""

    element: rules.Rest | rules.End
    span: Span


@frozen
class Operands:
    """`args_match(...)`"""

    elements: tuple[rules.Element, ...]
    span: Span


@frozen
class Group:
    """`group("release-managers")`"""

    name: str
    span: Span


Value = Text | Number | Boolean | Nothing | Items | Table | Pattern | Several | Operands | Group

KIND = {
    Text: "a string",
    Number: "a number",
    Boolean: "true or false",
    Nothing: "None",
    Items: "a list",
    Table: "a dict",
    Pattern: "a pattern",
    Several: "`rest` or `end`",
    Operands: "`args_match`",
    Group: "a group",
}
FUNCTIONS = ("glob", "regex", "path", "any_of", "all_of", "none_of", "rest", "args_match", "group")
# fmt: off
STARLARK = frozenset({
    "abs", "all", "any", "bool", "chr", "dict", "dir", "enumerate", "fail", "float", "getattr", "hasattr", "hash",
    "int", "len", "list", "max", "min", "ord", "range", "repr", "reversed", "sorted", "str", "tuple", "type", "zip",
})
# fmt: on
NAMES = ("end", "rest", "True", "False", "None")
MAX_VALUES = 1_000_000  # of one constant: `A = A + A` doubles


def suggestion(word: str, known: Mapping[str, object] | tuple[str, ...] | list[str]) -> str:
    """`did you mean ...`, or nothing."""
    close = get_close_matches(word[:60], list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else ""


class Evaluator:
    """Evaluates expressions of one file. An answer of None means that the error has been reported."""

    def __init__(self, constants: Mapping[str, Value | None], report: Report) -> None:
        self.constants = constants
        self.report = report

    def value(self, expr: syntax.Expr) -> Value | None:
        match expr:
            case syntax.Str(text, _, span):
                return Text(text, span)
            case syntax.Num(raw, span):
                return self._number(raw, span)
            case syntax.Name():
                return self._name(expr)
            case syntax.ListExpr(items, span):
                values = [value for item in items if (value := self.value(item)) is not None]
                return Items(tuple(values), span) if len(values) == len(items) else None
            case syntax.DictExpr(entries, span):
                pairs = [(self.value(entry.key), self.value(entry.value)) for entry in entries]
                whole = [(key, value) for key, value in pairs if key is not None and value is not None]
                return Table(tuple(whole), span) if len(whole) == len(pairs) else None
            case syntax.Sum(operands, span):
                return self._sum(operands, span)
            case syntax.Group(inner, _):
                return self.value(inner)
            case syntax.Call():
                return self._call(expr)
            case syntax.TupleExpr(_, span):
                self.report("E015", "a tuple is no value here", span, "write a list: `[...]`")
                return None
            case syntax.Attribute(_, _, span) | syntax.Subscript(_, _, span):
                self.report("E015", "this stands for no value", span)
                return None
            case (
                syntax.Comparison(_, _, _, span)
                | syntax.NotTest(_, span)
                | syntax.AndTest(_, span)
                | syntax.OrTest(_, span)
            ):
                self.report("E015", "a condition is no value here", span, "conditions stand in `when`")
                return None
        assert_never(expr)

    def _number(self, raw: str, span: Span) -> Value | None:
        if raw.isascii() and raw.isdigit() and len(raw) <= 18 and (raw == "0" or raw[0] != "0"):
            return Number(int(raw), span)
        self.report("E015", f"`{raw[:40]}` is not a whole number", span)
        return None

    def _name(self, name: syntax.Name) -> Value | None:
        if name.id in self.constants:
            found = self.constants[name.id]
            return None if found is None else _moved(found, name.span)
        match name.id:
            case "end":
                return Several(rules.End(), name.span)
            case "rest":
                return Several(rules.Rest(), name.span)
            case "True" | "False":
                return Boolean(name.id == "True", name.span)
            case "None":
                return Nothing(name.span)
        known = [*self.constants, *NAMES, *FUNCTIONS]
        help_ = suggestion(name.id, known) if len(known) < 2000 else ""
        self.report("E011", f"`{name.id[:60]}` is not defined", name.span, help=help_)
        return None

    def _sum(self, operands: tuple[syntax.Expr, ...], span: Span) -> Value | None:
        values = [self.value(operand) for operand in operands]
        found = [value for value in values if value is not None]
        if len(found) < len(values):
            return None
        texts = [value.text for value in found if isinstance(value, Text)]
        lists = [value.items for value in found if isinstance(value, Items)]
        if sum(map(len, texts)) + sum(map(len, lists)) > MAX_VALUES:
            self.report("E006", "value is too long", span)
            return None
        if len(texts) == len(found):
            return Text("".join(texts), span)
        if len(lists) == len(found):
            return Items(tuple(item for items in lists for item in items), span)
        wanted: type[Value] = Items if isinstance(found[0], Items) else Text
        odd = next(value for value in found if not isinstance(value, wanted))
        self.report("E015", f"`+` cannot add {KIND[type(odd)]} to {KIND[wanted]}", odd.span)
        return None

    def _call(self, call: syntax.Call) -> Value | None:
        if not isinstance(call.function, syntax.Name):
            self.report("E010", "this cannot be called", call.function.span, help=IMPORT_HELP)
            return None
        name = call.function.id
        if name not in FUNCTIONS:
            help_ = IMPORT_HELP if name in STARLARK else suggestion(name, FUNCTIONS)
            self.report(
                "E010", f"`{name[:60]}` is not a function of the language", call.function.span, help=help_
            )
            return None
        if name == "path":
            return self._path(call)
        values: list[Value] = []
        for argument in call.arguments:
            if argument.name is not None:
                self.report("E012", f"`{name}` has no key `{argument.name.id[:60]}`", argument.name.span)
                return None
            value = self.value(argument.value)
            if value is None:
                return None
            values.append(value)
        return self._apply(name, values, call)

    def _apply(self, name: str, values: list[Value], call: syntax.Call) -> Value | None:
        match name:
            case "any_of" | "all_of" | "none_of":
                if len(values) == 1 and isinstance(values[0], Items):
                    values = list(values[0].items)
                options = [option for value in values if (option := self.word(value)) is not None]
                if len(options) < len(values):
                    return None
                if not options:
                    self.report("E017", f"`{name}` needs at least one option", call.span)
                    return None
                kinds: dict[str, Callable[[tuple[rules.WordPattern, ...]], rules.WordPattern]] = {
                    "any_of": rules.AnyOf,
                    "all_of": rules.AllOf,
                    "none_of": rules.NoneOf,
                }
                return Pattern(kinds[name](tuple(options)), call.span)
            case "args_match":
                elements = self.elements(values)
                return None if elements is None else Operands(elements, call.span)
            case "rest" if not values:
                return Several(rules.Rest(), call.span)
        if len(values) != 1:
            self.report("E015", f"`{name}` takes one value", call.span, f"{len(values)} given")
            return None
        only = values[0]
        if name == "rest":
            each = self.word(only)
            return None if each is None else Several(rules.Rest(each), call.span)
        if not isinstance(only, Text):
            self.report("E015", f"`{name}` takes a string", only.span, f"this is {KIND[type(only)]}")
            return None
        if name == "group":
            return Group(only.text, call.span)
        pattern = rules.Glob(only.text) if name == "glob" else rules.Regex(only.text)
        return Pattern(pattern, call.span) if self._compiles(pattern, only.span) else None

    def _path(self, call: syntax.Call) -> Value | None:
        if len(call.arguments) == 1:
            only = call.arguments[0]
            if only.name is not None and only.name.id == "within":
                root = self.value(only.value)
                if isinstance(root, Text) and root.text.strip():
                    return Pattern(rules.Within(root.text), call.span)
                if root is not None:
                    self.report("E015", "`within` is a folder", root.span, "expected a string")
                return None
        self.report("E013", "`path` takes one key, `within`", call.span, help='`path(within = "$WORKSPACE")`')
        return None

    def _compiles(self, pattern: rules.Glob | rules.Regex, span: Span) -> bool:
        try:
            compile_word(pattern)
        except BadPattern as error:
            self.report("E020", str(error), span, help=error.help)
            return False
        return True

    def path_compiles(self, glob: str, span: Span) -> bool:
        """Whether `glob` can be the glob of a path; reports why not."""
        try:
            compile_path(rules.Glob(glob))
        except BadPattern as error:
            self.report("E020", str(error), span, help=error.help)
            return False
        return True

    def word(self, value: Value) -> rules.WordPattern | None:
        """A value as the pattern of one word; a list holds alternatives."""
        match value:
            case Text(text, _):
                return rules.Exact(text)
            case Pattern(pattern, _):
                return pattern
            case Items(items, span):
                if not items:
                    self.report("E017", "a list of alternatives cannot be empty", span)
                    return None
                options = [option for item in items if (option := self._alternative(item)) is not None]
                if len(options) < len(items):
                    return None
                return options[0] if len(options) == 1 else rules.AnyOf(tuple(options))
            case _:
                self.report("E015", f"{KIND[type(value)]} is not the pattern of a word", value.span)
                return None

    def _alternative(self, item: Value) -> rules.WordPattern | None:
        if isinstance(item, (Text, Pattern)):
            return self.word(item)
        self.report(
            "E015", f"{KIND[type(item)]} is not an alternative", item.span, "expected a string or a pattern"
        )
        return None

    def elements(self, values: list[Value] | tuple[Value, ...]) -> tuple[rules.Element, ...] | None:
        """Values as the patterns of words in a row."""
        found: list[rules.Element] = []
        for index, value in enumerate(values):
            if isinstance(value, Several):
                if isinstance(value.element, rules.End) and index < len(values) - 1:
                    self.report("E023", "nothing can stand behind `end`", values[index + 1].span)
                    return None
                found.append(value.element)
                continue
            word = self.word(value)
            if word is not None:
                found.append(word)
        return tuple(found) if len(found) == len(values) else None


def _moved(value: Value, span: Span) -> Value:
    """The value of a constant, standing where its name stands: errors point to the use."""
    match value:
        case Text(text, _):
            return Text(text, span)
        case Items(items, _):
            return Items(items, span)
        case _:
            return value
