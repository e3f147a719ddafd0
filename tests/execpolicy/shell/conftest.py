"""Makes random bash scripts: valid ones by grammar, broken ones by mutation. Harmless by construction:
no slashes, no programs but made-up names, files only below the current folder."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

PROGRAMS = ("ls", "rm", "git", "foo", "bar-baz", "make", "x1", "touch", "curl")
VARIABLES = ("a", "b", "v", "name", "UNSET")
PIECES = (
    ";", "&", "&&", "||", "|", "|&", "\n", "\\\n", "\\", '"', "'", "`", "$(", ")", "(", "{", "}", "{ ", "; }",
    " ", "\t", "#", " #", "$", "${", "${v:-", "<", ">", ">>", "<<E", "<<-E", "<<'E'", "<<<", ">&", "&>", "2>",
    ">|", "<(", ">(", "!", "! ", "if ", "then ", "fi", "else ", "do ", "done", "for x in ", "while ", "case ",
    "esac", " in ", ";;", ";&", "[[ ", " ]]", "((", "))", "$((", "[", "]", "*", "?", "~", "=", "a=", "a+=",
    "a=(", "f() ", "function f ", "time ", "coproc ", "select ", "\\\n\\\n", "\nE\n", "E", "{a,b}", "$v", '"$v"',
    "$'", '$"', "rm x", "ls", "-", "1", "%", "@", "+(", "!(", "==", "=~", "&>>", "<>", "\r", "{fd}>", "3>",
    ">&-", "<&0", "declare ", "export ", "local ", "until ", "elif ", "-f ",
)  # fmt: skip
SEEDS = (
    "if true; then ls; elif false; then rm x; else foo; fi > out 2>&1",
    "for ((i=0; i<3; i++)); do echo $i; done",
    "case $x in a|b) ls;; (c) rm y;& *) foo;; esac",
    "[[ -f x && ( $a == *.txt || $b =~ ^(a|b)+$ ) ]] && rm z",
    "cat <<E1 <<'E2' | grep x\na $(rm q)\nE1\nb $(rm r)\nE2\nls",
    'f() { local a=1; echo "$a"; } ; f x',
    "function g { ls; }",
    'arr=(a "b c" $d [3]=x); arr[1]=y; arr+=(z)',
    'echo "${x:-$(rm y)}" ${y##*/} "${z/a/b}" ${#a[@]} ${!p} ${q:1:2}',
    "echo $((1 + (2*3))) $(( $(ls) ))",
    "coproc NAME { ls; }",
    'while read -r l; do echo "$l"; done < <(ls -l)',
    "select x in a b; do echo $x; break; done",
    "{ ls; rm x; } | (foo; bar) &",
    "time -p ls | wc -l; ! grep x y",
    "until false; do sleep 1; done",
    "diff <(sort a) >(tee b) {fd}>x 3<&0 4>&-",
    'declare -a x=(1 2) y=3; export A=1 B="2"',
    "echo a\\\nb &&\\\nls; echo 'a\\\nb' # c \\\nrm x",
    "(( x > 1 )) && { a=1 b=2 cmd; }",
    'if [ -n "$x" ]; then\n  echo "$(cat <<EOF\nbody $(rm inner)\nEOF\n)"\nfi',
    'echo `ls \\`rm x\\`` "`a \\"b\\"`"',
    "x=$(case a in a) echo hi;; esac)",
    "ls | while read a; do (cd $a; make) || exit 1; done",
    "ls a\n\\rm -rf x",
    "[ x || rm y ]",
    "cat <<-E\n\ttext $v\n\tE\nrm x",
    "ls 2>&1 >f <<<'here' | rm \"$v\"x",
    "! ls &&! rm x",
    "a=1 b+=2 c[1]=3 ls A=4",
    "echo {a,b{c,d}}e {1..3} {x,} '{y,z}'",
    "$'\\x72m' x; $\"ls\" y; l\\s z",
    "true && ls || { rm x; exit 1; }; foo",
    "echo a#b #c\nls # (\nrm x",
    "for x do ls; done; for y in a b\ndo rm $y\ndone",
    "if ! (ls); then (( 1 )); fi",
    "ls >&2 &> f &>> g >| h <> i 3>j",
    "cat << 'A B' ; ls\n$(rm x)\nA B\nrm y",
)


class ScriptMaker:
    """Random scripts from one seed."""

    def __init__(self, seed: int, dynamic: float = 0.15) -> None:
        self.rng = random.Random(seed)
        self.dynamic = dynamic  # share of commands whose name is any word

    # --- broken ones ---

    def mutated(self) -> str:
        rng = self.rng
        script = rng.choice(SEEDS)
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(script))
            kind = rng.random()
            if kind < 0.55:
                script = script[:at] + rng.choice(PIECES) + script[at:]
            elif kind < 0.75:
                script = script[:at] + script[at + rng.randint(1, 4) :]
            else:
                piece = script[at : at + rng.randint(1, 12)]
                to = rng.randint(0, len(script))
                script = script[:to] + piece + script[to:]
        return script

    def tokens(self) -> str:
        rng = self.rng
        return "".join(rng.choice(PIECES) for _ in range(rng.randint(2, 9)))

    # --- valid ones ---

    def script(self) -> str:
        lines = [self.line(2) for _ in range(self.rng.randint(1, 4))]
        return "\n".join(lines)

    def line(self, depth: int) -> str:
        return self.joined(depth, self.rng.randint(1, 3))

    def joined(self, depth: int, count: int) -> str:
        text = self.command(depth)
        for _ in range(count - 1):
            text += self.rng.choice((" ; ", " && ", " || ", "; ", " | ")) + self.command(depth)
        return text

    def command(self, depth: int) -> str:
        rng = self.rng
        choice = rng.random()
        if depth <= 0 or choice < 0.55:
            return self.simple(depth)
        if choice < 0.68:
            values = (self.value(depth) for _ in range(rng.randint(1, 2)))
            return " ".join(
                f"{rng.choice(VARIABLES[:4])}{rng.choice(('=', '=', '+='))}{value}" for value in values
            )
        inner = self.joined(depth - 1, rng.randint(1, 2))
        forms = (
            "( {0} )", "{{ {0}; }}", "if {1}; then {0}; fi", "if {0}; then {1}; else {0}; fi",
            "for v in {2}; do {0}; done", "case {3} in a|b) {0};; *) {1};; esac", "f() {{ {0}; }}; f {2}",
            "! {1}", "while {1}; do {0}; break; done", "{0} >out.txt", "{{ {0}; }} <<<{3}",
            "cd sub && {0}", "mkdir() {{ {0}; }}; {1}", "eval {4}", "{1} <<E\n$v $(rm h)\nE\n", "set -- {2}; {0}",
            "declare {5}={3}; {0}", "unset {5}; {0}", "read {5} <<<{3}; {0}", "until {0}; do {1}; break; done",
            "export {5}={3}", "local_() {{ local {5}={3}; {0}; }}; local_", "printf -v {5} {3}; {0}", "command {1}",
            "[[ {3} == {3} ]] && {0}", "(( 1 )) && {0}", "IFS=,; {0}", "[ {3} = {3} ] || {0}",
        )  # fmt: skip
        words = " ".join(self.word(depth) for _ in range(rng.randint(1, 3)))
        quoted = "'" + inner.replace("'", "'\\''") + "'"
        return rng.choice(forms).format(
            inner, self.simple(depth - 1), words, self.value(depth), quoted, rng.choice(VARIABLES[:4])
        )

    def simple(self, depth: int) -> str:
        rng = self.rng
        words = [self.word(depth) for _ in range(rng.randint(0, 3))]
        name = rng.choice(PROGRAMS) if rng.random() >= self.dynamic else self.word(depth)
        before = f"{rng.choice(VARIABLES[:4])}={self.value(depth)} " if rng.random() < 0.1 else ""
        return before + " ".join([name, *words])

    def value(self, depth: int) -> str:
        return self.word(depth).replace("{a,b}", "w")

    def word(self, depth: int) -> str:
        return "".join(self.piece(depth) for _ in range(self.rng.choice((1, 1, 1, 2, 3))))

    def piece(self, depth: int) -> str:
        rng = self.rng
        name = rng.choice(VARIABLES)
        pieces = [
            "x", "-n", "file", "w.txt", "'s q'", '"d q"', "\\ ", "\\x", "''", '""', f"${name}", f'"${name}"',
            f"${{{name}}}", f"${{{name}:-d e}}", f'"${{{name}:-"d e"}}"', f"${{{name}:+s}}", "{a,b}", "{1..3}", "~",
            "$'t\\tx\\x41'", '$"l"', "*", "?", "[ab]", "$#", "$?", '"$@"', "$*", "a=~", "#", "=", f'"a${name}b"',
            f"${{#{name}}}", "$((1+2))", "{}", "{x", "y}", "!", "%", "a,b", "sub", "é", "\\\n", '"\\$v"',
        ]  # fmt: skip
        if depth > 0:
            inner = self.simple(depth - 1)
            pieces += [f"$({inner})", f'"$({inner})"', f"$(echo {name} two)", f"<({inner})"]
            if "`" not in inner and "\\" not in inner:
                pieces.append(f"`{inner}`")
        return rng.choice(pieces)


@pytest.fixture(scope="session")
def make_scripts() -> Callable[[int], ScriptMaker]:
    """A maker of random scripts for a seed."""
    return ScriptMaker
