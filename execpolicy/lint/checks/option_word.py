"""L013: a command_rule that looks for an option among operands, where no option is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from execpolicy.diagnostics import Severity
from execpolicy.lang.rules import CommandRule, Element, End, Rest
from execpolicy.lint.base import Finding, Numbered, Subject
from execpolicy.lint.words import texts


class OptionWord:
    code = "L013"
    name = "option-word"
    summary = "a command_rule that looks for an option among the operands"

    def run(self, subject: Subject) -> Iterator[Finding]:
        for _, rule, file in Numbered(subject):
            if not isinstance(rule, CommandRule):
                continue
            places = (("subcommand", rule.subcommand), ("args", rule.args or ()))
            for key, elements in (*places, *(("unless", one) for one in rule.unless)):
                option = _option(elements)
                if option:
                    yield Finding(
                        code=self.code,
                        severity=Severity.WARNING,
                        message=f"`{option}` in `{key}` fits no option: operands are what stands beside them",
                        file=file,
                        origin=rule.meta.origin,
                        key=key,
                        help=_HELP["unless" if key == "unless" else "flags"].format(option),
                    )


_HELP = {
    "unless": "write `flags = none_of(...)` with the option; behind `--` alone `{0}` is an operand",
    "flags": "write `flags = any_of(...)` with the option; behind `--` alone `{0}` is an operand",
}


def _option(elements: Sequence[Element]) -> str:
    """The first word that is an option, where a word has to be one."""
    for element in elements:
        pattern = element.each if isinstance(element, Rest) else element
        listed = None if pattern is None or isinstance(pattern, End) else texts(pattern)
        if listed and all(len(text) > 1 and text.startswith("-") and text != "--" for text in listed):
            return listed[0]
    return ""
