"""L005: an allow that hands over more than one program doing one thing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from execpolicy.decision import Decision
from execpolicy.diagnostics import Severity
from execpolicy.engine.check import check_argv
from execpolicy.engine.context import CheckContext
from execpolicy.engine.index import base_name
from execpolicy.engine.options import grammar_of
from execpolicy.lang.rules import CommandRule, Exact, PrefixRule, Rest
from execpolicy.lint.base import Finding, LintFile, Numbered, Subject
from execpolicy.lint.cover import program_of
from execpolicy.lint.words import takes_everything, texts
from execpolicy.shell import catalogue
from execpolicy.shell.catalogue import Form, Role

CONTEXT: Final = CheckContext(cwd="/workspace", workspace="/workspace", home="/home/user")
READERS: Final = frozenset(
    {
        Form.PLAIN,
        Form.COPY,
        Form.TAR,
        Form.UNZIP,
        Form.SEVENZIP,
        Form.DD,
        Form.CURL,
        Form.WGET,
        Form.TEST,
        Form.SED,
    }
    | {Form.FIND, Form.FD, Form.AWK, Form.QUERY, Form.EXPORT, Form.OPAQUE, Form.TRAP}
)
SHOWN: Final = 5  # programs named in one finding


class Overbroad:
    code = "L005"
    name = "over-broad"
    summary = "an allow on an interpreter, a shell, a wrapper, a bare program or a wildcard"

    def run(self, subject: Subject) -> Iterator[Finding]:
        for _, rule, file in Numbered(subject):
            if rule.meta.decision is not Decision.ALLOW or not isinstance(rule, PrefixRule | CommandRule):
                continue
            for severity, message, label, help_ in self._wrong(rule, subject):
                yield self._finding(rule, file, severity, message, label, help_)

    def _wrong(
        self, rule: PrefixRule | CommandRule, subject: Subject
    ) -> Iterator[tuple[Severity, str, str, str]]:
        id_ = rule.meta.id
        names = texts(program_of(rule))
        if names is None:
            every = takes_everything(program_of(rule))
            what = "every program" if every else "every program whose name fits a pattern"
            yield Severity.WARNING, f"rule `{id_}` allows {what}", "", "list the programs that are meant"
            return
        runs = list(_code_options(rule, names))
        if runs:
            message = f"rule `{id_}` allows {runs[0]} with any program text"
            yield Severity.WARNING, message, "", "allow a script by its path, or leave this to the default"
            return
        if not _bare(rule):
            return
        kinds: dict[tuple[Severity, str, str], list[str]] = {}
        for name in names:
            kind = _kind(base_name(name))
            if kind is not None:
                kinds.setdefault(kind, []).append(name)
        for (severity, what, help_), found in kinds.items():
            label = ""
            if severity is Severity.WARNING:
                label = _witness(found, subject)
            yield severity, f"rule `{id_}` allows {what} {_list(found)}", label, help_

    def _finding(
        self,
        rule: PrefixRule | CommandRule,
        file: LintFile,
        severity: Severity,
        message: str,
        label: str,
        help_: str,
    ) -> Finding:
        key = "pattern" if isinstance(rule, PrefixRule) else "program"
        return Finding(
            code=self.code,
            severity=severity,
            message=message,
            file=file,
            origin=rule.meta.origin,
            key=key,
            label=label,
            help=help_,
        )


def _bare(rule: PrefixRule | CommandRule) -> bool:
    """Whether nothing but the program is asked for. `when` and `unless` narrow a rule, but not by much."""
    if rule.unless:
        return False
    if isinstance(rule, PrefixRule):
        return all(isinstance(element, Rest) and element.each is None for element in rule.pattern[1:])
    flags = rule.flags
    return not (rule.subcommand or flags.all_of or flags.any_of or flags.none_of) and rule.args is None


def _kind(name: str) -> tuple[Severity, str, str] | None:
    entry = catalogue.program(name)
    several = bool(grammar_of(name).subcommands)
    if entry is None:
        if several:
            return Severity.WARNING, "every subcommand of", "allow the subcommands that are meant"
        return Severity.NOTE, "every use of", "name the subcommand, the flags or the arguments that are meant"
    if entry.form is Form.SHELL or entry.hard:
        return Severity.WARNING, "any script of the shell", "what `-c` carries is judged anyway: take it out"
    if entry.form in (Form.CODE, Form.EVAL):
        return Severity.WARNING, "any program text of the interpreter", "allow scripts or modules by name"
    if entry.form is Form.GIT or entry.subs or several:
        return Severity.WARNING, "every subcommand of", "allow the subcommands that are meant"
    if entry.code:
        return Severity.NOTE, "whatever project files make of", "fine where the sandbox bounds it"
    if entry.transparent:
        return Severity.NOTE, "the wrapper", "what it carries is judged by itself: the rule is needless"
    if entry.form in READERS:
        return None
    return Severity.WARNING, "the wrapper", "it gives what it carries more power: allow whole commands"


def _code_options(rule: PrefixRule | CommandRule, names: Sequence[str]) -> Iterator[str]:
    """`python3 -c`, when that is what the rule is about and nothing more is asked for."""
    options: Sequence[str] = ()
    if isinstance(rule, PrefixRule):
        if len(rule.pattern) == 2 and isinstance(rule.pattern[1], Exact) and not rule.unless:
            options = (rule.pattern[1].text,)
    elif rule.args is None and not rule.unless:
        options = (*rule.flags.all_of, *rule.flags.any_of)
    for name in names:
        entry = catalogue.program(base_name(name))
        for option in options:
            if entry is not None and entry.roles.get(option) is Role.CODE:
                yield f"`{name} {option}`"


def _witness(names: Sequence[str], subject: Subject) -> str:
    """A use that the policy allows and nobody has looked at."""
    for name in names[:SHOWN]:
        for words in ((name, "./unseen"), (name, "-c", "..."), (name, "-e", "..."), (name, "anything")):
            if check_argv(words, subject.policy, CONTEXT).decision is Decision.ALLOW:
                return f"`{' '.join(words)}` is allowed"
    return ""


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
