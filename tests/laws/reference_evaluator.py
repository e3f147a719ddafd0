"""The definition of a verdict, written to be read and not to be fast.

A word that is not known is every word it may become, tried one by one from a small alphabet. A rule says yes to a
command when it matches all of its readings, no when it matches none, else maybe.
"""

from __future__ import annotations

import fnmatch
import itertools
import posixpath
import re
from collections.abc import Iterator, Sequence

from execpolicy.decision import Decision, Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.facts import Access, CommandFacts, FileAccess, ScriptFacts, Word, WordKind
from execpolicy.lang import rules as r

NO, MAYBE, YES = 0, 1, 2
END = "\0"
Layered = Sequence[tuple[Layer, r.RuleFile]]

# --- patterns are regular: let `re` match them over words joined by a separator ---------------


def word_re(pattern: r.WordPattern) -> str:
    match pattern:
        case r.Exact(text):
            return re.escape(text)
        case r.Glob(glob):
            return (
                "(?:"
                + fnmatch.translate(glob).replace("(?s:", "(?:").removesuffix("\\Z").replace(".", f"[^{END}]")
                + ")"
            )
        case r.Regex(text):
            return rf"(?=[^{END}]*)" + _searched(text)
        case r.AnyOf(options):
            return "(?:" + "|".join(map(word_re, options)) + ")"
        case r.NoneOf(options):
            return "".join(f"(?!{word_re(option)}{END})" for option in options) + f"[^{END}]*"
        case r.AllOf(options):
            return "".join(f"(?={word_re(option)}{END})" for option in options) + f"[^{END}]*"
        case r.Within():
            raise NotImplementedError


def _searched(text: str) -> str:
    start, end = text.startswith("^"), text.endswith("$")
    body = text.removeprefix("^").removesuffix("$")
    any_ = f"[^{END}]*"
    return ("" if start else any_) + body + ("" if end else any_)


def list_re(elements: Sequence[r.Element]) -> str:
    out = ""
    for element in elements:
        match element:
            case r.End():
                out += r"\Z"
            case r.Rest(each):
                out += f"(?:{f'[^{END}]*' if each is None else word_re(each)}{END})*"
            case _:
                out += word_re(element) + END
    return out


def fits_list(elements: Sequence[r.Element], words: Sequence[str], whole: bool) -> bool:
    if whole or (elements and isinstance(elements[-1], r.Rest)):
        elements = (*elements, r.End())
    return re.match(list_re(elements), "".join(word + END for word in words), re.DOTALL) is not None


def fits(pattern: r.WordPattern, text: str) -> bool:
    return fits_list((pattern,), (text,), whole=True)


# --- every reading of a command --------------------------------------------------------------


def readings(argv: Sequence[Word], alphabet: Sequence[str]) -> Iterator[tuple[str, ...]]:
    choices: list[list[tuple[str, ...]]] = []
    for word in argv:
        if word.text is not None:
            choices.append([(word.text,)])
            continue
        texts = [
            text for text in (*alphabet, word.prefix, word.prefix + "zz") if text.startswith(word.prefix)
        ]
        found = [(text,) for text in dict.fromkeys(texts)]
        if word.many:
            more = texts if word.kind is WordKind.PATTERN else list(alphabet)
            found += [(one, two) for one in texts[:6] for two in more]
            if not word.prefix or word.kind is WordKind.PATTERN:
                found.append(())
        choices.append(found)
    for combination in itertools.islice(itertools.product(*choices), 3000):
        yield tuple(itertools.chain.from_iterable(combination))


def three(answers: Iterator[bool]) -> int:
    seen = set(answers)
    return YES if seen == {True} else NO if seen == {False} or not seen else MAYBE


# --- conditions -------------------------------------------------------------------------------


def holds(condition: r.Condition | None, context: CheckContext) -> int:
    match condition:
        case None:
            return YES
        case r.And(operands):
            return min(holds(operand, context) for operand in operands)
        case r.Or(operands):
            return max(holds(operand, context) for operand in operands)
        case r.Not(operand):
            return YES - holds(operand, context)
        case r.TimeBetween(start, end):
            return MAYBE if context.minute is None else YES * (start <= context.minute < end)
        case r.Truth(fact):
            return MAYBE if fact.name not in context.facts else YES * bool(context.facts[fact.name])
        case r.Compare(r.EnvFact(name), options):
            if context.env is None:
                return MAYBE
            return YES * any(fits(option, context.env.get(name, "")) for option in options)
        case r.Compare(r.Fact(name), options):
            if name not in context.facts:
                return MAYBE
            return YES * any(fits(option, str(context.facts[name])) for option in options)
    raise NotImplementedError


# --- identity ---------------------------------------------------------------------------------


def may_mean(pattern: r.WordPattern, text: str, context: CheckContext) -> int:
    """Whether a rule that asks or denies may mean the program `text`."""
    match pattern:
        case r.AnyOf(options):
            return max(may_mean(option, text, context) for option in options)
        case r.Exact(wanted) if "/" in wanted:
            path = absolute(text, context)
            if text == wanted or path == posixpath.normpath(posixpath.join(context.workspace, wanted)):
                return YES
            same_name = posixpath.basename(wanted) == posixpath.basename(text)
            return MAYBE if same_name and (path is None or not wanted.startswith("/")) else NO
        case _:
            names = {text, posixpath.basename(text), absolute(text, context) or text}
            return YES * any(fits(pattern, name) for name in names)


def absolute(text: str, context: CheckContext) -> str | None:
    if "/" in text:
        return posixpath.normpath(posixpath.join(context.cwd, text))
    return context.resolver.program(text, context.cwd) if context.resolver else None


def is_proven(pattern: r.WordPattern, text: str, context: CheckContext, files: Layered, layer: Layer) -> bool:
    match pattern:
        case r.AnyOf(options):
            return any(is_proven(option, text, context, files, layer) for option in options)
        case r.Exact(wanted) if "/" in wanted:
            return text == wanted or (wanted.startswith("/") and absolute(text, context) == wanted)
        case _:
            base = posixpath.basename(text)
            return fits(pattern, base) and trusted(text, context, files, layer)


def trusted(text: str, context: CheckContext, files: Layered, layer: Layer) -> bool:
    base, path = posixpath.basename(text), absolute(text, context)
    if "/" in text and not text.startswith("/"):
        return False
    for owner in Layer:
        listed = [
            host.paths
            for at, file in files
            if at is owner
            for host in file.host_executables
            if host.name == base
        ]
        if owner <= layer and listed and path not in listed[-1]:
            return False
    if any(host.name == base for at, file in files if at <= layer for host in file.host_executables):
        return True
    if path is None:
        return "/" not in text
    if any(path == root or path.startswith(root + "/") for root in (context.workspace, *context.writable)):
        return False
    return "/" not in text or (
        context.resolver is not None and context.resolver.program(base, context.cwd) == path
    )


# --- rules on one known command ----------------------------------------------------------------


def operands_of(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options and operands where every option stands alone."""
    options: list[str] = []
    operands: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return options, [*operands, *words[index + 1 :]]
        if word.startswith("-") and word != "-":
            options.append(word.partition("=")[0])
        else:
            operands.append(word)
    return options, operands


def given(flag: str, options: Sequence[str]) -> bool:
    if flag.startswith("--"):
        return flag in options
    return any(not option.startswith("--") and flag[1] in option[1:] for option in options)


# Two spellings of one option, as the manual of `rm` has them.
RM_SPELLINGS = (("-f", "--force"), ("--force", "-f"))


def prefix_matches(rule: r.PrefixRule, words: Sequence[str]) -> bool:
    rest = rule.pattern[1:]
    if not fits_list(rest, words, whole=False):
        return False
    named = list(itertools.takewhile(lambda element: not isinstance(element, r.Rest | r.End), rest))
    behind = words[len(named) :]
    return not any(fits_list(elements, behind, whole=True) for elements in rule.unless)


def command_matches(rule: r.CommandRule, program: str, words: Sequence[str]) -> bool:
    options, operands = operands_of(words)
    if posixpath.basename(program) == "rm":
        options = [*options, *(other for one, other in RM_SPELLINGS if given(one, options))]
    flags = rule.flags
    if not all(given(flag, options) for flag in flags.all_of):
        return False
    if flags.any_of and not any(given(flag, options) for flag in flags.any_of):
        return False
    if any(given(flag, options) for flag in flags.none_of):
        return False
    whole = rule.args is not None
    if not fits_list((*rule.subcommand, *(rule.args or ())), operands, whole):
        return False
    return not any(fits_list((*rule.subcommand, *elements), operands, whole=True) for elements in rule.unless)


def speaks(
    rule: r.PrefixRule | r.CommandRule,
    command: CommandFacts,
    context: CheckContext,
    files: Layered,
    layer: Layer,
    alphabet: Sequence[str],
) -> int:
    first = command.argv[0].text
    pattern = rule.pattern[0] if isinstance(rule, r.PrefixRule) else rule.program
    if first is None:
        # Whatever the program, the decision is at least an ask: only a rule about every program adds to it.
        if rule.meta.decision is Decision.ALLOW or pattern != r.Glob("*"):
            return NO
        program = YES
    elif rule.meta.decision is Decision.ALLOW:
        program = YES * (not command.shadowed and is_proven(pattern, first, context, files, layer))
    else:
        shown = context if not command.shadowed else _blind(context)
        program = may_mean(pattern, first, shown)
    found = min(program, holds(rule.when, context))
    if found == NO:
        return NO
    return min(
        found,
        three(
            prefix_matches(rule, words)
            if isinstance(rule, r.PrefixRule)
            else command_matches(rule, first or "", words)
            for words in readings(command.argv[1:], alphabet)
        ),
    )


def _blind(context: CheckContext) -> CheckContext:
    from dataclasses import replace

    return replace(context, resolver=None)


# --- one command -------------------------------------------------------------------------------


def lapsed(meta: r.Meta, context: CheckContext) -> bool:
    return meta.expires is not None and context.today is not None and meta.expires < context.today


def opened(meta: r.Meta, layer: Layer, context: CheckContext, files: Layered) -> bool:
    return any(
        exception.to == meta.id
        and at <= layer
        and context.today is not None
        and context.today <= exception.until
        and holds(exception.when, context) == YES
        for at, file in files
        for exception in file.exceptions
    )


def enforced(files: Layered, context: CheckContext) -> Iterator[tuple[Layer, r.Rule]]:
    for layer, file in files:
        for rule in file.rules:
            meta = rule.meta
            if (
                meta.mode is r.Mode.ENFORCE
                and not lapsed(meta, context)
                and not opened(meta, layer, context, files)
            ):
                yield layer, rule


def declared(files: Layered, layer: Layer) -> list[r.Defaults]:
    return [file.defaults for at, file in files if at is layer and file.defaults is not None]


def decide_command(
    files: Layered, command: CommandFacts, context: CheckContext, alphabet: Sequence[str]
) -> Decision:
    said: list[Decision] = []
    yes: list[Layer] = []
    allows: list[Layer] = []
    for layer, rule in enforced(files, context):
        if not isinstance(rule, r.PrefixRule | r.CommandRule):
            continue
        answer = speaks(rule, command, context, files, layer, alphabet)
        if answer == YES:
            said.append(rule.meta.decision)
            yes.append(layer)
            if rule.meta.decision is Decision.ALLOW:
                allows.append(layer)
        elif answer == MAYBE and rule.meta.decision is not Decision.ALLOW:
            said.append(Decision.ASK)
    everything = [default for layer in Layer for default in declared(files, layer)]
    if not command.transparent:
        for layer in Layer:
            if not any(at <= layer for at in yes):
                said += [default.unmatched for default in declared(files, layer)]
        if not everything and not yes:
            said.append(Decision.ASK)
    unread = max([Decision.ASK, *(default.unknown for default in everything)])
    if command.argv[0].text is None or any(not unknown.code for unknown in command.unknowns):
        said.append(unread)
    elif command.unknowns:
        if not allows:
            said.append(unread)
        for layer in Layer:
            if not any(at <= layer for at in allows):
                said += [max(default.unknown, Decision.ASK) for default in declared(files, layer)]
    return max(said, default=Decision.ALLOW)


# --- one file ----------------------------------------------------------------------------------


def path_re(glob: str, context: CheckContext) -> str:
    glob = glob.replace("$WORKSPACE", context.workspace)
    if glob.startswith("~/"):
        glob = context.home + glob[1:]
    if not glob.startswith(("/", "**/")):
        glob = "**/" + glob
    pieces = re.split(r"(\*\*/|\*\*|\*)", glob)
    return "".join(
        {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}.get(piece, re.escape(piece)) for piece in pieces
    )


def decide_file(files: Layered, access: FileAccess, context: CheckContext) -> Decision:
    """For a path that is known."""
    assert access.path.text is not None
    path = posixpath.normpath(posixpath.join(context.cwd, access.path.text))
    changes = access.access in (Access.WRITE, Access.DELETE)
    inside = any(
        path == root or path.startswith(root + "/") for root in (context.workspace, *context.writable)
    )
    guarded = any(path == root or path.startswith(root + "/") for root in context.protected)
    if not changes or path == "/dev/null":
        silent = Decision.ALLOW
    elif guarded:
        return Decision.DENY
    elif inside and context.sandbox is not SandboxMode.READ_ONLY:
        silent = Decision.ALLOW
    else:
        silent = Decision.ASK
    said: list[Decision] = []
    sure = False
    for _layer, rule in enforced(files, context):
        if not isinstance(rule, r.PathRule) or access.access not in rule.access:
            continue
        fits_ = any(re.fullmatch(path_re(glob.pattern, context), path, re.DOTALL) for glob in rule.paths)
        answer = min(YES * fits_, holds(rule.when, context))
        if answer == YES:
            said.append(rule.meta.decision)
            sure = True
        elif answer == MAYBE and rule.meta.decision is not Decision.ALLOW:
            said.append(Decision.ASK)
    return max(said) if sure else max([*said, silent])


# --- a script ----------------------------------------------------------------------------------


def decide(files: Layered, script: ScriptFacts, context: CheckContext, alphabet: Sequence[str]) -> Decision:
    everything = [file.defaults.unknown for _, file in files if file.defaults is not None]
    found = [Decision.ALLOW]
    if script.unknowns or not script.readable:
        found.append(max([Decision.ASK, *everything]))
    for command in script.commands:
        found.append(decide_command(files, command, context, alphabet))
        found += [
            decide_file(files, access, context) for access in command.files if access.path.text is not None
        ]
    return max(found)
