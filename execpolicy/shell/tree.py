"""The syntax tree of a script: what bash reads, before anything is expanded.

Every node knows its place in the source text; what lies between the nodes is blanks, comments,
operators and line continuations, so text and tree together lose nothing.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from execpolicy.source import NOWHERE, Span
from execpolicy.values import field, frozen, slotted

# --- words ----------------------------------------------------------------------------------


class Text(NamedTuple):
    """Characters that stand for themselves; unquoted ones may still be glob, brace or tilde."""

    text: str
    quoted: bool


@frozen
class Parameter:
    """`$x`, `${x}`, `${x:-word}`, `${#x}`, `${!x}`, `${x[i]}`, `$@`, `$1`, ..."""

    name: str
    quoted: bool
    span: Span
    operator: str = ""  # "" plain, "length", "!" indirect, "!*" names by prefix, else as written
    subscript: str | None = None
    operand: tuple[Part, ...] = ()
    operand_text: str = ""


@frozen
class Substitution:
    """`$(...)` or backquotes."""

    body: Block
    quoted: bool
    span: Span


@frozen
class ProcessSubstitution:
    """`<(...)` or `>(...)`."""

    body: Block
    span: Span


@frozen
class Arithmetic:
    """`$((...))`: `parts` are the expansions inside, `text` is the expression as written."""

    text: str
    parts: tuple[Part, ...]
    quoted: bool
    span: Span


@frozen
class ArrayValue:
    """`(words)` in an argument of `declare` and its like."""

    elements: tuple[WordNode, ...]
    span: Span


Part = ArrayValue | Text | Parameter | Substitution | ProcessSubstitution | Arithmetic


class WordNode(NamedTuple):
    """One word as written. `parts` is None for a plain word, whose text is `raw` itself."""

    raw: str
    start: int
    end: int
    parts: tuple[Part, ...] | None = None


class AssignNode(NamedTuple):
    """`name=word`, `name+=word`, `name[subscript]=word`, `name=(words)`."""

    name: str
    append: bool
    value: WordNode | None  # None: an array
    start: int
    end: int
    subscript: str | None = None
    subscript_parts: tuple[Part, ...] = ()
    elements: tuple[WordNode, ...] = ()


@slotted
class HereDocument:
    """The lines that stand below a command. Filled when the line of the command has ended."""

    delimiter: str
    quoted: bool
    strip_tabs: bool
    body: tuple[Part, ...] = ()
    span: Span = NOWHERE
    raw: str = ""


@frozen
class RedirectNode:
    """`3>>file`, `2>&1`, `<<END`, `<<<word`, `{fd}<file`."""

    operator: str
    target: WordNode | None  # None for a here-document
    start: int
    end: int
    descriptor: str = ""  # "", digits, or `{name}`
    document: HereDocument | None = None


# --- commands -------------------------------------------------------------------------------


class Simple(NamedTuple):
    words: tuple[WordNode, ...]
    start: int
    end: int
    assigns: tuple[AssignNode, ...] = ()
    redirects: tuple[RedirectNode, ...] = ()


class Connector(enum.Enum):
    """How a command hangs on the one before it in its list."""

    THEN = ";"  # also a new line
    AND = "&&"
    OR = "||"


@frozen
class Item:
    """One pipeline of a list."""

    pipeline: Pipeline
    connector: Connector = Connector.THEN
    background: bool = False


@frozen
class Pipeline:
    commands: tuple[Command, ...]
    negated: bool = False
    timed: bool = False


@frozen
class Block:
    """A list of pipelines."""

    items: tuple[Item, ...] = ()


class Frame(NamedTuple):
    """Where a compound command stands, and the redirections behind it."""

    start: int
    end: int
    redirects: tuple[RedirectNode, ...] = ()


class GroupKind(enum.Enum):
    SUBSHELL = "subshell"
    BRACE = "group"


@frozen
class Group:
    kind: GroupKind
    body: Block
    frame: Frame


@frozen
class If:
    branches: tuple[tuple[Block, Block], ...]  # condition, body
    otherwise: Block | None
    frame: Frame


@frozen
class While:
    """`while` and `until`."""

    condition: Block
    body: Block
    frame: Frame


@frozen
class For:
    """`for` and `select`."""

    name: str
    words: tuple[WordNode, ...] | None  # None: the positional parameters
    body: Block
    frame: Frame


@frozen
class ArithmeticFor:
    header: Arithmetic
    body: Block
    frame: Frame


@frozen
class Case:
    subject: WordNode
    clauses: tuple[tuple[tuple[WordNode, ...], Block], ...]
    frame: Frame


@frozen
class Test:
    """`[[ ... ]]`; `tests` holds operator and operands of each primary."""

    tests: tuple[tuple[str, tuple[WordNode, ...]], ...]
    frame: Frame


@frozen
class ArithmeticCommand:
    """`(( ... ))`."""

    expression: Arithmetic
    frame: Frame


@frozen
class Function:
    name: str
    body: Command
    start: int
    end: int


@frozen
class Coprocess:
    name: str
    body: Command
    start: int
    end: int


Compound = Group | If | While | For | ArithmeticFor | Case | Test | ArithmeticCommand
Command = Simple | Compound | Function | Coprocess


@frozen
class Failure:
    """Why and where reading stopped."""

    why: str
    span: Span


@frozen
class Script:
    """What was read. With a failure `lines` holds all complete lines before it and `loose` the
    simple commands of the line that was not read to its end."""

    lines: tuple[Block, ...]
    failure: Failure | None = None
    loose: tuple[Simple, ...] = field(default=())
