"""What analyse finds: a table of scripts, the commands in them, and what is not known."""

from __future__ import annotations

import pytest

from execpolicy.facts import Access, CommandFacts, ScriptFacts, Word, WordKind
from execpolicy.shell.analyse import analyse, analyse_argv


def shown(word: Word) -> str:
    if word.text is not None:
        return word.text
    mark = {"unknown": "?", "pattern": "*", "path": "~", "number": "#"}[word.kind.value]
    return f"<{word.prefix}{mark}{'..' if word.many else ''}>"


def commands(facts: ScriptFacts) -> list[list[str]]:
    return [[shown(word) for word in command.argv] for command in facts.commands if command.argv]


def doubts(facts: ScriptFacts) -> set[str]:
    return {one.why for one in facts.unknowns} | {one.why for cmd in facts.commands for one in cmd.unknowns}


# Programs that nothing is known about, so that only the shell is looked at.
CASES = {
    "plain": ("p a b", [["p", "a", "b"]]),
    "blanks": (" \tp  a\tb ", [["p", "a", "b"]]),
    "other-white-space-is-text": ("p\x0ba\x0c\r", [["p\x0ba\x0c\r"]]),
    "carriage-return-stays": ("p a\r\nq b\r", [["p", "a\r"], ["q", "b\r"]]),
    "no-break-space-is-text": ("p\xa0a", [["p\xa0a"]]),
    "lists": ("a; b & c && d || e\nf", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"]]),
    "pipes": ("a | b |& c", [["a"], ["b"], ["c"]]),
    "comment": ("a # b; c\nd#e #", [["a"], ["d#e"]]),
    "comment-ends-at-backslash-newline": ("a # b \\\nc", [["a"], ["c"]]),
    "comment-at-start": ("#!/bin/c\n#\na", [["a"]]),
    "continuation": ("a b\\\nc d \\\n e\\\n\\\nf", [["a", "bc", "d", "ef"]]),
    "continuation-in-operator": ("a &\\\n& b |\\\n| c", [["a"], ["b"], ["c"]]),
    "continuation-in-keyword": ("i\\\nf a; t\\\nhen b; f\\\ni", [["a"], ["b"]]),
    "continuation-in-dollar": ("a $\\\n(b) ${\\\nx\\\n}", [["b"], ["a", "<?..>", "<?..>"]]),
    "no-continuation-in-single-quotes": ("a 'b\\\nc' \"d\\\ne\"", [["a", "b\\\nc", "de"]]),
    "newline-then-backslash": ("a\n\\b -c x", [["a"], ["b", "-c", "x"]]),
    "even-backslashes-join-nothing": ("a \\\\\nb", [["a", "\\"], ["b"]]),
    "backslash-at-the-end": ("a b\\", [["a", "b\\"]]),
    "quotes": ("a 'b c'\"d e\"f\\ g", [["a", "b cd ef g"]]),
    "empty-words": ("a '' \"\" b''", [["a", "", "", "b"]]),
    "double-quote-escapes": ('a "\\$x\\`\\"\\\\\\n"', [["a", '$x`"\\\\n']]),
    "ansi-c": (r"a $'\x62\143\u64\t\'\"' $'\e'", [["a", "bcd\t'\"", "\x1b"]]),
    "ansi-c-name": (r"$'\x72m' x", [["rm", "x"]]),
    "locale-quotes": ('$"rm" x', [["rm", "x"]]),
    "ansi-c-not-in-double-quotes": ("a \"$'b'\"", [["a", "$'b'"]]),
    "lone-dollar": ('a $ "$" $% b$', [["a", "$", "$", "$%", "b$"]]),
    "split-name": ("r'm' x; r\"\"m y; r\\m z", [["rm", "x"], ["rm", "y"], ["rm", "z"]]),
    "unset-variable": ("$x a", [["<?..>", "a"]]),
    "quoted-variable": ('a "$x" "b$x"', [["a", "<?>", "<b?>"]]),
    "unquoted-prefix": ("a -b$x", [["a", "<-b?..>"]]),
    "variable": ("v=rm; $v a", [["rm", "a"]]),
    "variable-is-split": ('v="p a  b"; $v; "$v"', [["p", "a", "b"], ["p a  b"]]),
    "variables-joined": ("a=r b=m; $a$b x", [["rm", "x"]]),
    "variable-of-one-command": ("v=rm p $v", [["p", "<?..>"]]),
    "variable-set-twice": ("v=a; v=b; p $v", [["p", "b"]]),
    "variable-in-subshell": ("(v=a); p $v", [["p", "<?..>"]]),
    "variable-in-pipe": ("v=a | q; p $v", [["q"], ["p", "<?..>"]]),
    "variable-in-branch": ("v=a; if t; then v=b; fi; p $v", [["t"], ["p", "<?..>"]]),
    "variable-perhaps": ("t && v=a; p $v", [["t"], ["p", "<?..>"]]),
    "variable-after-and": ("v=a && p $v", [["p", "a"]]),
    "variable-with-glob": ("v='*'; p $v; p \"$v\"", [["p", "<*..>"], ["p", "*"]]),
    "field-separator": ("IFS=,; v=a,b; p $v", [["p", "<?..>"]]),
    "loop-over-words": ("for i in a b; do p $i; done", [["p", "a"], ["p", "b"]]),
    "loop-over-unknown": ("for i in a $x; do p $i; done", [["p", "<?..>"]]),
    "loop-keeps": ("v=a; for i in $x; do p $v; done", [["p", "a"]]),
    "loop-changes": ("v=a; while p; do q $v; v=b; done", [["p"], ["q", "<?..>"]]),
    "loop-changes-name": ("for i in a b; do p $i; i=c; done", [["p", "<?..>"]]),
    "loop-calls": ("f() { v=b; }; v=a; while p; do q $v; f; done", [["p"], ["q", "<?..>"], ["f"]]),
    "loop-reads": ("v=a; while read v; do q $v; done", [["read", "v"], ["q", "<?..>"]]),
    "loop-arithmetic": ("v=1; while p; do q $v; ((v++)); done", [["p"], ["q", "<?..>"]]),
    "nested-loops": ("for i in a b; do for j in c d; do p $i$j; done; done",
                     [["p", "ac"], ["p", "ad"], ["p", "bc"], ["p", "bd"]]),
    "read-only": ("readonly v=a\nv=b\np $v", [["readonly", "v=a"], ["p", "<?..>"]]),
    "bash-sets-it": ("RANDOM=1; p x$RANDOM; PWD=a; cd b; p $PWD", [["p", "<x?..>"], ["cd", "b"], ["p", "<?..>"]]),
    "appended": ("v=a; v+=b; p $v", [["p", "<?..>"]]),
    "read": ("v=a; read v; p $v", [["read", "v"], ["p", "<?..>"]]),
    "unset": ("v=a; unset v; p x $v", [["unset", "v"], ["p", "x", "<?..>"]]),
    "default": ("p ${x:-$(q)}", [["q"], ["p", "<?..>"]]),
    "operators-with-commands": ('p "${x#$(q)}" ${x/a/`r`}', [["q"], ["r"], ["p", "<?>", "<?..>"]]),
    "substitution": ("p $(q | r) `s`", [["q"], ["r"], ["s"], ["p", "<?..>", "<?..>"]]),
    "substitution-in-quotes": ('p "a$(q)"', [["q"], ["p", "<a?>"]]),
    "no-substitution": ("p '$(q)' \\$\\(q\\) \"\\$(q)\"", [["p", "$(q)", "$(q)", "$(q)"]]),
    "nested-backquotes": ("p `q \\`r\\``", [["r"], ["q", "<?..>"], ["p", "<?..>"]]),
    "case-in-substitution": ("p $(case a in a) q;; esac)", [["q"], ["p", "<?..>"]]),
    "process-substitution": ("p <(q) >(r)", [["q"], ["r"], ["p", "<~>", "<~>"]]),
    "subshell-in-substitution": ("p $((q); (r))", [["q"], ["r"], ["p", "<?..>"]]),
    "arithmetic": ("p $((1 + (2)))", [["p", "<#>"]]),
    "arithmetic-with-command": ("p $((1 + $(q)))", [["q"], ["p", "<#>"]]),
    "double-parenthesis-subshell": ("((p); (q))", [["p"], ["q"]]),
    "folder": ('p "$(pwd)" "$PWD/x"', [["pwd"], ["p", "<~>", "<~>"]]),
    "home": ("p ~ ~/x ~u '~'", [["p", "<~>", "<~>", "<?>", "~"]]),
    "number": ("p $$ $? $#", [["p", "<#>", "<#>", "<#>"]]),
    "glob": ("p *.c a? [ab] x[y \\*", [["p", "<*..>", "<a*..>", "<*..>", "x[y", "*"]]),
    "test-bracket-is-no-glob": ("[ -f x ]", [["[", "-f", "x", "]"]]),
    "braces": ("p {a,b}c {1..3} {} {x '{a,b}'", [["p", "ac", "bc", "1", "2", "3", "{}", "{x", "{a,b}"]]),
    "nested-braces": ("p a{b,c{d,e}}f", [["p", "abf", "acdf", "acef"]]),
    "brace-name": ("{rm,x}", [["rm", "x"]]),
    "too-many-braces": ("p {1..100000}", [["p", "<?..>"]]),
    "groups": ("(a; b); { c; }", [["a"], ["b"], ["c"]]),
    "if": ("if a; then b; elif c; then d; else e; fi", [["a"], ["b"], ["c"], ["d"], ["e"]]),
    "loops": ("while a; do b; done; until c\ndo d\ndone", [["a"], ["b"], ["c"], ["d"]]),
    "for": ("for i in a $(q); do p; done; for i; { r; }", [["q"], ["p"], ["r"]]),
    "counting-for": ("for ((i=0; i<3; i++)); do p; done", [["p"]]),
    "select": ("select i in a; do p; break; done", [["p"], ["break"]]),
    "case": ("case $(a) in x|$(b)) c;; (y) d;& *) e; esac", [["a"], ["b"], ["c"], ["d"], ["e"]]),
    "test": ("[[ -f $(a) && ( x == $(b) || ! y =~ ^(c|d)$ ) ]] && e", [["a"], ["b"], ["e"]]),
    "function": ("f() { p; }; q; f x", [["p"], ["q"], ["f", "x"]]),
    "function-word": ("function f { p; }\nf", [["p"], ["f"]]),
    "function-of-any-kind": ("f() (p); g() if a; then b; fi", [["p"], ["a"], ["b"]]),
    "coprocess": ("coproc p a; coproc N { q; }", [["p", "a"], ["q"]]),
    "time-and-not": ("time -p a; ! b; time ! c | d", [["a"], ["b"], ["c"], ["d"]]),
    "not-a-keyword": ("p if; 'if' x; \\! y", [["p", "if"], ["if", "x"], ["!", "y"]]),
    "keyword-after-assignment": ("A=1 if x", [["if", "x"]]),
    "negated-subshell": ("!(p)", [["p"]]),
    "negated-subshell-with-blank": ("! (p)", [["p"]]),
    "assignments": ("A=1 B=2 p C=3", [["p", "C=3"]]),
    "no-assignment": ("1a=b p; ./x=y q; 'A'=1 r", [["1a=b", "p"], ["./x=y", "q"], ["A=1", "r"]]),
    "redirections": ("2>&1 >f p <g a 3>>h b &>i >&j 4>&-", [["p", "a", "b"]]),
    "number-or-word": ("p 2 >f; p 2>f; p x2>f", [["p", "2"], ["p"], ["p", "x2"]]),
    "descriptor-variable": ("p {v}>f a{v}>f", [["p", "a{v}"]]),
    "closed-then-word": ("p >&-x", [["p", "x"]]),
    "here-document": ("p <<E; q\n$(r)\nE\ns", [["r"], ["p"], ["q"], ["s"]]),
    "here-document-quoted": ("p <<'E' <<\\F\n$(r)\nE\n$(s)\nF\nt", [["p"], ["t"]]),
    "here-document-tabs": ("p <<-E\n\t$(r)\n\tE\nq", [["r"], ["p"], ["q"]]),
    "here-document-ends-exactly": ("p <<E\nE \nq\n E\nE\nr", [["p"], ["r"]]),
    "here-document-joined-end": ("p <<E\na\\\nE\n$(q)\nE\nr", [["q"], ["p"], ["r"]]),
    "here-document-escapes": ("p <<E\n\\$(q) \\\\$(r)\nE", [["r"], ["p"]]),
    "here-document-in-substitution": ("p $(q <<E\n$(r)\nE\n)", [["r"], ["q"], ["p", "<?..>"]]),
    "two-here-documents": ("p <<A | q <<B\n$(r)\nA\n$(s)\nB", [["r"], ["p"], ["s"], ["q"]]),
    "here-string": ("p <<<$(q)", [["q"], ["p"]]),
    "array": ("a=(x $(q) 'y z' # c\n w); p", [["q"], ["p"]]),
    "declared-array": ("declare -a a=($(q))", [["q"], ["declare", "-a", "<a=?>"]]),
    "eval": ("eval 'p; q $x'", [["eval", "p; q $x"], ["p"], ["q", "<?..>"]]),
    "shell": ("bash -c 'p; q'", [["bash", "-c", "p; q"], ["p"], ["q"]]),
    "shell-in-shell": (
        """bash -c "bash -c 'p'" """,
        [["bash", "-c", "bash -c 'p'"], ["bash", "-c", "p"], ["p"]],
    ),
    "fed-shell": ("bash <<'E'\np x\nE", [["bash"], ["p", "x"]]),
    "fed-by-string": ("bash <<<'p x'", [["bash"], ["p", "x"]]),
    "fed-by-echo": ("echo p x | bash", [["echo", "p", "x"], ["bash"], ["p", "x"]]),
    "fed-by-cat": ("cat <<'E' | bash\np x\nE", [["cat"], ["bash"], ["p", "x"]]),
    "fed-through-sudo": ("sudo bash <<'E'\np x\nE", [["sudo", "bash"], ["bash"], ["p", "x"]]),
    "carriers": (
        "sudo env A=1 nice p x",
        [["sudo", "env", "A=1", "nice", "p", "x"], ["env", "A=1", "nice", "p", "x"], ["nice", "p", "x"], ["p", "x"]],
    ),
    "trap": ("trap 'p' EXIT", [["trap", "p", "EXIT"], ["p"]]),
    "nothing": (" \n# only this\n", []),
}  # fmt: skip


@pytest.mark.parametrize(("script", "want"), CASES.values(), ids=CASES.keys())
def test_commands(script: str, want: list[list[str]]) -> None:
    facts = analyse(script)
    assert facts.readable, facts.unknowns
    assert commands(facts) == want


UNREAD = {
    "unclosed-quote": "p 'a",
    "unclosed-double": 'p "a',
    "unclosed-substitution": "p $(q",
    "unclosed-backquote": "p `q",
    "unclosed-brace": "p ${x",
    "unclosed-group": "{ p",
    "unclosed-if": "if p; then q",
    "stray-closer": "p; fi",
    "stray-parenthesis": "p )",
    "stray-in": "in x",
    "double-semicolon": "p ;; q",
    "semicolon-first": "; p",
    "pipe-first": "| p",
    "empty-group": "{ }",
    "empty-subshell": "( )",
    "missing-target": "p >",
    "missing-then": "if p; fi",
    "extended-glob": "p @(a|b)",
    "pipe-to-not": "p | ! q",
    "bad-function-body": "f() p",
    "command-in-braces": "p ${ q; }",
    "bad-operator": "p ${x&y}",
    "old-arithmetic": "p $[1]",
    "nul": "p \0 q",
    "control": "p \x01",
    "surrogate": "p \udcff",
    "quote-in-quoted-default": "p \"${x:-'$(q)'}\"",
    "array-operator": "a=(x | y)",
    "moved-descriptor": "p >&f-",
    "locale-escape": "p $'\\u00e9'",
}


@pytest.mark.parametrize("script", UNREAD.values(), ids=UNREAD.keys())
def test_says_that_it_did_not_read(script: str) -> None:
    facts = analyse(script)
    assert not facts.readable
    assert facts.unknowns
    assert all(unknown.why for unknown in facts.unknowns)


def test_an_unread_line_keeps_what_ran_before() -> None:
    assert commands(analyse('rm x; (curl y\nls\necho "open')) == [["rm", "x"], ["curl", "y"], ["ls"]]


DOUBTS = {
    "arithmetic-on-a-variable": "p $((x))",
    "arithmetic-on-a-value": "x='a[$(q)]'; ((x))",
    "arithmetic-command": "((x = y))",
    "subscript": "p ${a[x]}",
    "subscript-assignment": "a[x]=1",
    "substring": "p ${x:y}",
    "compare": "[[ $x -eq 1 ]]",
    "compare-text": "[[ 'a[$(q)]' -eq 0 ]]",
    "test-variable": "[[ -v $x ]]",
    "prompt": "p ${x@P}",
    "indirect": "p ${!x}",
    "integer": "declare -i n; n=x",
    "capitals": "declare -u v; v=a",
    "reference": "declare -n r=x",
    "search-path": "PATH=x p",
    "search-path-alone": "PATH=x; p",
    "exported-hook": "export LD_PRELOAD=x",
    "read-hook": "read PATH",
    "loop-hook": "for LD_PRELOAD in x; do p; done",
    "startup-file": "BASH_ENV=x bash -c p",
    "alias": "alias p=q",
    "options": "shopt -s extglob",
    "keyword-option": "set -k",
    "source": "source x",
    "eval-of-unknown": 'eval "$x"',
    "unknown-input": "p | bash",
    "unknown-program": "python3 x.py",
    "input-is-shared": "echo p | { bash; } <<'E'\nq\nE",
    "input-is-shared-in-text": "echo p | bash -c 'read x; bash'",
    "input-may-be-eaten": "bash <<'E'\nread x\n'\nrm y\n'\nE",
    "other-shell": "zsh -c 'p *(e:q:)'",
    "dash-reads-otherwise": "dash -c \"p $'a\\\\'; q #'\"",
}


@pytest.mark.parametrize("script", DOUBTS.values(), ids=DOUBTS.keys())
def test_doubts(script: str) -> None:
    assert doubts(analyse(script))


SURE = {
    "plain": "p a 'b c' \"d\"",
    "numbers": "p $((1 + 2 * 3))",
    "counted": "n=3; p $((n + 1))",
    "special-number": "p $(( $# + 1 ))",
    "element": "p ${a[0]} ${a[@]}",
    "substring": "p ${x:1:2}",
    "compare": "[[ $# -gt 1 && 3 -lt 4 ]]",
    "strings": '[[ $x == "y" && -n $z ]]',
    "assignment": "A=1 p; B=2",
    "pipeline": "p | q > f 2>&1",
    "strict": "set -euo pipefail; p",
    "loop": 'for f in *.c; do p "$f"; done',
    "function": "f() { p; }; f",
    "quoted-shell": "bash -c 'p a'",
    "fed-shell": "bash <<'E'\nif p; then\n  q 'a b'\nfi\nE",
    "plain-sh": "sh -c 'p a && q'",
}


@pytest.mark.parametrize("script", SURE.values(), ids=SURE.keys())
def test_no_doubts(script: str) -> None:
    facts = analyse(script)
    assert facts.readable
    assert doubts(facts) == set()


FOLDERS = {
    "start": ("p", None),
    "and": ("cd a && p", "a"),
    "and-and": ("cd a && cd b && p", "a/b"),
    "absolute": ("cd a && cd /b && p", "/b"),
    "perhaps": ("cd a; p", "?"),
    "or-leave": ("cd a || exit 1; p", "a"),
    "or-say-and-leave": ("cd a || { echo no; exit 1; }; p", "a"),
    "strict": ("set -e; cd a; p", "a"),
    "strict-but-condition": ("set -e; if cd a; p; then q; fi; : ; p", "?"),
    "strict-but-group": ("set -e; { cd a; p; } && p", "?"),
    "strict-but-substitution": ("set -e; x=$(cd a; p)", "?"),
    "strict-but-not": ("set -e; ! { cd a; p; }", "?"),
    "strict-no-more": ("set -e; set +e; cd a; p", "?"),
    "subshell": ("(cd a && q); p", None),
    "unknown": ('cd "$x" && p', "?"),
    "back": ("cd - && p", "?"),
    "home": ("cd && p", "?"),
    "function-may-change-it": ("f() { cd x; }; f; p", "?"),
    "search-path": ("CDPATH=x; cd a && p", "?"),
    "eval": ("eval 'cd a' && p", "?"),
    "loop": ("cd a && for i in $x; do p; done", "a"),
    "loop-changes-it": ("cd a && for i in $x; do cd b; p; done", "?"),
    "env": ("env -C a p", "a"),
}


@pytest.mark.parametrize(("script", "want"), FOLDERS.values(), ids=FOLDERS.keys())
def test_folder(script: str, want: str | None) -> None:
    last = [one for one in analyse(script).commands if one.argv and one.argv[0].text == "p"][-1]
    known = None if last.cwd is None else last.cwd.text if last.cwd.text is not None else "?"
    assert known == want


FILES = {
    "write": ("p > a", [("a", Access.WRITE)]),
    "append": ("p >> a 2>> b", [("a", Access.WRITE), ("b", Access.WRITE)]),
    "read": ("p < a", [("a", Access.READ)]),
    "both": ("p <> a", [("a", Access.READ), ("a", Access.WRITE)]),
    "all": ("p &> a", [("a", Access.WRITE)]),
    "no-file": ("p 2>&1 >&- <<<x", []),
    "group": ("{ p; q; } > a", [("a", Access.WRITE)]),
    "alone": ("> a", [("a", Access.WRITE)]),
    "unknown": ('p > "$x"', [(None, Access.WRITE)]),
    "function": ("f() { p; } > a; f", [("a", Access.WRITE)]),
    "process": ("p > >(q)", []),
    "loop": ("while p; do q; done < a", [("a", Access.READ)]),
}


@pytest.mark.parametrize(("script", "want"), FILES.values(), ids=FILES.keys())
def test_files(script: str, want: list[tuple[str | None, Access]]) -> None:
    found = [(one.path.text, one.access) for cmd in analyse(script).commands for one in cmd.files]
    assert found == want


def only(script: str, name: str) -> CommandFacts:
    return next(
        command for command in analyse(script).commands if command.argv and command.argv[0].text == name
    )


def test_a_function_shadows_a_program() -> None:
    called = analyse("ls() { rm x; }; ls; command ls").commands
    assert [(shown(one.argv[0]), one.shadowed) for one in called] == [
        ("rm", False),
        ("ls", True),
        ("command", False),
        ("ls", False),
    ]


def test_a_function_that_may_be_defined_shadows_too() -> None:
    command = analyse("if t; then ls() { rm x; }; fi; ls").commands[-1]
    assert command.shadowed
    assert not command.transparent


def test_context_and_carriers_are_told() -> None:
    command = only("f() { p | sudo q; }", "q")
    assert command.context == ("function:f", "pipeline")
    assert [carrier.name for carrier in command.via] == ["sudo"]
    assert "background" in only("p &", "p").context
    assert "substitution" in only("x=$(p)", "p").context


def test_spans_are_those_of_the_text() -> None:
    script = "ab 'c d' \\\n ef; gh `ij`; kl <<E\n$(mn)\nE"
    spans = {
        shown(word): script[word.span.start : word.span.end]
        for command in analyse(script).commands
        for word in command.argv
        if word.text is not None
    }
    assert spans == {"ab": "ab", "c d": "'c d'", "ef": "ef", "gh": "gh", "ij": "ij", "kl": "kl", "mn": "mn"}


def test_words_that_no_shell_reads() -> None:
    facts = analyse_argv(["bash", "-c", "p $x; q"])
    assert commands(facts) == [["bash", "-c", "p $x; q"], ["p", "<?..>"], ["q"]]
    assert commands(analyse_argv(["p", "$x", "*", "a;b"])) == [["p", "$x", "*", "a;b"]]
    assert analyse_argv([]).commands == ()


def test_kinds_of_words() -> None:
    words = analyse('p "$(pwd)" "$(nproc)" *.c').commands[-1].argv
    assert [word.kind for word in words[1:]] == [WordKind.PATH, WordKind.NUMBER, WordKind.PATTERN]
