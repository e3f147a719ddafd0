"""What each carrier is seen to run: a command line, and what comes out of it."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.facts import Word
from execpolicy.shell.carriers import Carried, see_through
from execpolicy.shell.catalogue import names


def word(text: str) -> Word:
    """`%x` is an unknown word that starts with x, `%%x` any number of them."""
    if text.startswith("%%"):
        return Word.unknown("variable", raw=text, prefix=text[2:], many=True)
    if text.startswith("%"):
        return Word.unknown("variable", raw=text, prefix=text[1:])
    return Word.literal(text)


def line(text: str) -> tuple[Word, ...]:
    return tuple(word(piece) for piece in shlex.split(text))


def shown(found: Word) -> str:
    if found.text is not None:
        return found.text
    return f"<{found.prefix}>" + ("*" if found.many else "")


def runs(carried: Carried) -> list[str]:
    """Carried commands and, behind a dollar, texts."""
    return [" ".join(shown(w) for w in argv) for argv in carried.argvs] + [
        f"$ {text.text.text}" for text in carried.texts
    ]


CARRIED = [
    # wrappers
    ("env rm x", ["rm x"]),
    ("env -i -u A B=1 C= rm x", ["rm x"]),
    ("env -- A=1 rm x", ["rm x"]),
    ("env -S 'A=1 rm -rf x' y", ["rm -rf x y"]),
    ("env -iS'rm x'", ["rm x"]),
    ("env --split-string='rm x'", ["rm x"]),
    ("env --chdir=/ rm x", ["rm x"]),
    ("env - rm x", ["rm x"]),
    ("env %x rm y", ["<x> rm y"]),
    ("env % rm y", ["<>* rm y"]),
    ("nice -n 5 rm x", ["rm x"]),
    ("nice -n5 nice -5 rm x", ["nice -5 rm x"]),
    ("nohup rm x", ["rm x"]),
    ("timeout -k 5 -s KILL 10 rm -k", ["rm -k"]),
    ("timeout --signal=9 10 rm x", ["rm x"]),
    ("stdbuf -oL -e 0 rm x", ["rm x"]),
    ("setsid -w rm x", ["rm x"]),
    ("time -p rm x", ["rm x"]),
    ("ionice -c 3 rm x", ["rm x"]),
    ("ionice -c3 -n7 rm x", ["rm x"]),
    ("taskset -c 0,1 rm x", ["rm x"]),
    ("chrt -f 10 rm x", ["rm x"]),
    ("setarch x86_64 -R rm x", ["x86_64 -R rm x", "rm x"]),
    ("linux64 -R rm x", ["rm x"]),
    ("command rm x", ["rm x"]),
    ("command -p rm x", ["rm x"]),
    ("command -v rm", []),
    ("builtin cd x", ["cd x"]),
    ("exec -a ls rm x", ["rm x"]),
    ("xargs", ["echo <>*"]),
    ("xargs rm -f", ["rm -f <>*"]),
    ("xargs -0 -n 1 -P4 rm", ["rm <>*"]),
    ("xargs -I{} mv {} out/{}", ["mv <> <out/>"]),
    ("xargs -i rm {}", ["rm <>"]),
    ("xargs --replace=% rm %", ["rm <>"]),
    ("flock lock rm x", ["rm x"]),
    ("flock -n lock -c 'rm x'", ["$ rm x"]),
    ("flock 9", []),
    ("strace -f -o out rm x", ["rm x"]),
    ("watch -n 1 rm x", ["$ rm x"]),
    ("watch -x rm x", ["rm x"]),
    ("watch -dt 'rm x; ls'", ["$ rm x; ls"]),
    ("script -qec 'rm x' /dev/null", ["$ rm x"]),
    ("script -q /dev/null rm x", ["rm x"]),
    ("hyperfine -w 3 'rm x' 'ls'", ["$ rm x", "$ ls"]),
    ("hyperfine --prepare 'rm x' ls", ["$ rm x", "$ ls"]),
    ("entr -r rm /_", ["rm <>"]),
    ("entr -s 'rm x'", ["$ rm x"]),
    ("parallel rm ::: a b", ["rm <>*"]),
    ("parallel -j 4 rm {} ::: a", ["rm <>"]),
    ("parallel ::: 'rm x' ls", ["$ rm x", "$ ls"]),
    ("busybox rm x", ["rm x"]),
    ("busybox sh -c 'rm x'", ["sh -c rm x"]),
    ("start-stop-daemon --start --oknodo --exec /bin/rm -- x", ["/bin/rm x"]),
    ("/lib64/ld-linux-x86-64.so.2 /bin/rm x", ["/bin/rm x"]),
    ("uv run --with x pytest -q", ["pytest -q"]),
    ("poetry run rm x", ["rm x"]),
    ("poetry -C sub run rm x", ["poetry run rm x"]),
    ("bundle exec rm x", ["rm x"]),
    ("conda run -n base rm x", ["rm x"]),
    ("mise exec node@20 -- rm x", ["rm x"]),
    ("cargo --config x clippy -- -D x", ["cargo clippy -- -D x"]),
    ("cargo clippy -- -D x", []),
    ("aws-vault exec prod -- rm x", ["rm x"]),
    # privilege
    ("sudo rm x", ["rm x"]),
    ("sudo -u root -E A=1 rm x", ["rm x"]),
    ("sudo -nu root -- rm x", ["rm x"]),
    ("sudo --user=root rm x", ["rm x"]),
    ("sudo -s rm '$x'", ["rm <>*"]),
    ("sudo -l", []),
    ("doas -u root rm x", ["rm x"]),
    ("su -c 'rm x'", ["sh -c rm x"]),
    ("su - bob -c 'rm x'", ["sh -c rm x"]),
    ("su root -- -c 'rm x'", ["sh -c rm x"]),
    ("su -s /bin/bash -c 'rm x' bob", ["/bin/bash -c rm x"]),
    ("runuser -u bob -- rm x", ["rm x"]),
    ("sg wheel -c 'rm x'", ["sh -c rm x"]),
    ("unshare -rn rm x", ["rm x"]),
    ("nsenter -t 1 -m -- rm x", ["rm x"]),
    ("chroot --userspec=a:b /x rm y", ["rm y"]),
    ("systemd-run --user --scope -p A=1 rm x", ["rm x"]),
    # shells
    ("bash -c 'rm x'", ["$ rm x"]),
    ("bash -ec 'rm x' name arg", ["$ rm x"]),
    ("sh -o pipefail -c 'rm x'", ["$ rm x"]),
    ("bash --norc --noprofile -lc 'rm x'", ["$ rm x"]),
    ("bash +x -c 'rm x'", ["$ rm x"]),
    ("bash -c -e 'rm x'", ["$ rm x"]),
    ("bash -- run.sh", []),
    ("eval rm x", ["$ rm x"]),
    ("eval 'rm x;' ls", ["$ rm x; ls"]),
    ("trap 'rm x' EXIT INT", ["$ rm x"]),
    ("trap - EXIT", []),
    ("mapfile -C 'rm x' -c 1 a", ["rm x <>*"]),
    # searches
    ("find . -exec rm {} ;", ["rm <.>"]),
    ("find src lib -name '*.o' -exec rm -f {} +", ["rm -f <>*"]),
    ("find -L /a /b -execdir rm {} ';' -ok ls {} ';'", ["rm <./>", "ls </>"]),
    ("find . -exec sh -c 'rm x' _ {} ';'", ["sh -c rm x _ <.>"]),
    ("fd -e o -x rm {}", ["rm <>"]),
    ("fd o -X rm -f", ["rm -f <>*"]),
    ("fd -Hx rm", ["rm <>"]),
    ("rg --pre ./pre x", ["./pre <>*"]),
    ("fzf --preview 'cat {}'", ["$ cat {}"]),
    # elsewhere
    ("ssh host rm -rf x", ["$ rm -rf x"]),
    ("ssh -p 22 -i key u@host 'rm x; ls'", ["$ rm x; ls"]),
    ("ssh host -p 22 rm x", ["$ rm x"]),
    ("ssh -oProxyCommand='rm x' host ls", ["$ rm x", "$ ls"]),
    ("docker exec -it c rm x", ["rm x"]),
    ("docker --context p exec -e A=1 c rm x", ["docker exec -e A=1 c rm x"]),
    ("docker run --rm -v a:/b --entrypoint rm img x", ["rm <>*", "x"]),
    ("docker compose -f f exec -T web rm x", ["docker compose exec -T web rm x"]),
    ("docker compose run --rm web rm x", ["rm x"]),
    ("kubectl exec -n a pod -c c -- rm x", ["rm x"]),
    ("kubectl -n a delete pod x", ["kubectl delete pod x"]),
    ("ip netns exec n rm x", ["rm x"]),
    ("rsync -e 'ssh -p 2' a h:b", ["ssh -p 2 <>*"]),
    ("socat - SYSTEM:'rm x'", ["$ rm x"]),
    ("socat - EXEC:'rm x'", ["rm x <>*"]),
    ("nc -l -e /bin/sh 1", ["/bin/sh <>*"]),
    ("gcloud compute ssh vm --command 'rm x'", ["$ rm x"]),
    # git
    ("git -C sub status", ["git status"]),
    ("gh -R o/r pr merge 1", ["gh pr merge 1"]),
    ("git --no-pager -c color.ui=never log", ["git log"]),
    ("git -c alias.x='!rm y' x", ["git x", "$ rm y"]),
    ("git -c alias.x='push -f' x", ["git push -f <>*", "git x"]),
    ("git bisect run rm x", ["rm x"]),
    ("git rebase -i --exec 'rm x' main", ["$ rm x"]),
    ("git submodule foreach --recursive 'rm x'", ["$ rm x"]),
    ("git filter-branch --msg-filter 'rm x' HEAD", ["$ rm x"]),
    ("git clone --upload-pack 'rm x' url", ["rm x <>*"]),
    ("git difftool -x 'rm x'", ["$ rm x"]),
    ("git archive --exec='rm x' HEAD", ["rm x <>*"]),
    # options that run
    ("tar -cf a --checkpoint=1 --checkpoint-action=exec='rm x' b", ["$ rm x"]),
    ("tar xf a --to-command='rm x'", ["$ rm x"]),
    ("tar -I 'zstd -3' -cf a b", ["zstd -3 <>*"]),
    ("tar --use-comp=rm -cf a b", ["rm <>*"]),
    ("sort --compress-prog=rm f", ["rm <>*"]),
    ("split --filter='rm x' f", ["$ rm x"]),
    ("sed '1e rm x' f", ["$ rm x"]),
    ("man -P 'rm x' ls", ["rm x <>*"]),
    ("npm exec -c 'rm x'", ["$ rm x"]),
    ("go test -exec 'rm x' ./...", ["rm x <>*"]),
    ("python -m pip install x", ["pip install x"]),
    ("python3 -m pytest -q", ["pytest -q"]),
]


@pytest.mark.parametrize(("text", "want"), [pytest.param(*row, id=row[0]) for row in CARRIED])
def test_carried(text: str, want: list[str]) -> None:
    # `docker run --entrypoint rm img x`: the words behind the image are its arguments.
    assert runs(see_through(line(text))) == want


HARD, CODE, NONE = "hard", "code", "none"

UNKNOWNS = [
    ("env -Z rm x", HARD),
    ("env % rm", HARD),
    ("env -S 'a \"b\"'", HARD),
    ("sudo -Z rm x", HARD),
    ("sudo -s", HARD),
    ("timeout 5 rm x", NONE),
    ("timeout %t rm x", NONE),
    ("timeout % rm x", HARD),
    ("xargs rm", NONE),
    ("xargs -Q rm", HARD),
    ("bash -c %", HARD),
    ("bash -c 'ls'", NONE),
    ("bash", HARD),
    ("bash -s x", HARD),
    ("sh run.sh", CODE),
    ("bash -O extglob -c ls", HARD),
    ("bash +B -c ls", HARD),
    ("bash -o pipefail -c ls", NONE),
    ("bash --version", NONE),
    ("fish -c ls", HARD),
    ("eval %", HARD),
    ("source x", CODE),
    ("alias a=b", HARD),
    ("alias", NONE),
    ("hash -p /bin/rm ls", HARD),
    ("hash -r", NONE),
    ("enable -n echo", HARD),
    ("set -euo pipefail", NONE),
    ("set -k", HARD),
    ("set -- % b", NONE),
    ("set -- a b", NONE),
    ("shopt -s nullglob", NONE),
    ("shopt -s expand_aliases", HARD),
    ("[ -v 'a[$(rm)]' ]", HARD),
    ("[ -f x ]", NONE),
    ("[ % = y ]", NONE),
    ("[ -n % ]", NONE),
    ("[ %% -gt 5 ]", HARD),
    ("read -r line", NONE),
    ("read 'a[$(rm)]'", HARD),
    ("unset 'a[$(rm)]'", HARD),
    ("printf -v 'a[$(rm)]' x", HARD),
    ("printf %s x", NONE),
    ("export A=1", NONE),
    ("export LD_PRELOAD=x", HARD),
    ("declare -x PATH=%", HARD),
    ("export PAGER=cat", NONE),
    ("declare -i n='a[$(rm)]'", HARD),
    ("declare -i n=1", NONE),
    ("python -c 'x'", CODE),
    ("python", CODE),
    ("python x.py", CODE),
    ("python -m http.server", CODE),
    ("python --version", NONE),
    ("perl -ne 'x' f", CODE),
    ("node -e x", CODE),
    ("ruby x.rb", CODE),
    ("node --version", NONE),
    ("make", CODE),
    ("make CC=x", HARD),
    ("make V=1", CODE),
    ("make X='$(shell rm)'", HARD),
    ("make --version", NONE),
    ("npm run build", CODE),
    ("npm ls", NONE),
    ("npx eslint", CODE),
    ("yarn build", CODE),
    ("yarn why x", NONE),
    ("cargo build", CODE),
    ("cargo build --config x", HARD),
    ("cargo tree", NONE),
    ("pytest", CODE),
    ("./run.sh x", CODE),
    ("/opt/x/run", CODE),
    ("/usr/bin/true", NONE),
    ("awk '{print $1}' f", NONE),
    ("awk '$3 > 5 && /x/ {n++} END {print n / 2}' f", NONE),
    ("awk '{print $1 \"|\" $2}' f", NONE),
    ("awk 'BEGIN{system(\"rm x\")}'", HARD),
    ("awk '{print | \"sh\"}' f", HARD),
    ('awk \'/"/ {print | "sh"} /"/\' f', HARD),
    ("awk '\"rm x\" | getline' f", HARD),
    ("awk '{@f()}' f", HARD),
    ("awk -f p.awk f", HARD),
    ("awk %", HARD),
    ("awk %./", HARD),
    ("sed -n '1,5p;/a/,/b/d' f", NONE),
    ("sed -e 's/a/b/g' -e '$!N;P;D' f", NONE),
    ("sed 's/a/b/e' f", HARD),
    ("sed 's|a|b|' %", HARD),
    ("sed 's/a/b/' %./", NONE),
    ("sed -n '/a/{p;q}' f", NONE),
    ("sed 'k' f", HARD),
    ("sed -f x f", HARD),
    ("git status", NONE),
    ("git -c core.fsmonitor='rm x' status", HARD),
    ("git -c core.pager=cat log", NONE),
    ("git -c user.name=x commit", NONE),
    ("git --exec-path=x status", HARD),
    ("git --git-dir=x status", HARD),
    ("git --config-env=a.b=X status", HARD),
    ("git -Z status", HARD),
    ("git grep -O x", HARD),
    ("git clone ext::x", HARD),
    ("git clone https://x/y", NONE),
    ("git clone --template=x y", HARD),
    ("git commit -m x", CODE),
    ("git diff --ext-diff", HARD),
    ("ssh host", HARD),
    ("ssh -N -L 1:a:2 host", NONE),
    ("ssh -F x host ls", HARD),
    ("ssh -o StrictHostKeyChecking=no host ls", NONE),
    ("ssh -o Include=x host ls", HARD),
    ("docker exec --zap c ls", HARD),
    ("kubectl get pods --kubeconfig=x", HARD),
    ("kubectl get pods -n a --kubeconfig x", HARD),
    ("kubectl get pods %", HARD),
    ("kubectl get pods -n %", NONE),
    ("pip --python ./x list", HARD),
    ("less +!x f", HARD),
    ("less f", NONE),
    ("mawk -W exec f", HARD),
    ("go list -toolexec ./x", CODE),
    ("kubectl --kubeconfig x get pods", HARD),
    ("curl -K x", HARD),
    ("curl -s https://x", NONE),
    ("wget -e use_proxy=on https://x", HARD),
    ("tar xf a", NONE),
    ("tar xf a %", HARD),
    ("sort % x", HARD),
    ("sort -- %", NONE),
    ("sort %./", NONE),
    ("cat %", NONE),
    ("grep x %", NONE),
    ("find . %", HARD),
    ("find . -name %", HARD),
    ("find . -name %.o", NONE),
    ("parallel 'rm {}; ls' ::: a", HARD),
    ("parallel -S host ls ::: a", HARD),
    ("crontab f", HARD),
    ("crontab -l", NONE),
    ("vim x", HARD),
    ("tmux new x", CODE),
    ("gcc -wrapper rm x.c", HARD),
    ("gcc -O2 -Wall -o x x.c", NONE),
]


@pytest.mark.parametrize(("text", "want"), [pytest.param(*row, id=row[0]) for row in UNKNOWNS])
def test_unknowns(text: str, want: str) -> None:
    unknowns = see_through(line(text)).unknowns
    kind = HARD if any(not u.code for u in unknowns) else CODE if unknowns else NONE
    assert kind == want, unknowns


FILES = [
    ("tee -a x y", ["write x", "write y"]),
    ("shuf -o out in", ["write out", "read in"]),
    ("xxd in out", ["read in", "write out"]),
    ("base64 -i in -o out", ["write out"]),
    ("git commit -F f", ["read f"]),
    ("curl -w @f http://localhost", ["read f"]),
    ("mktemp /opt/x.XXX", ["write /opt/x.XXX"]),
    ("dd if=a of=/dev/sda", ["read a", "write /dev/sda"]),
    ("sort -o out in", ["write out", "read in"]),
    ("sort -ro out in", ["write out", "read in"]),
    ("sed -i.bak 's/a/b/' f g", ["write f", "write g"]),
    ("sed -i '' 's/a/b/' f", ["write f"]),
    ("sed -n 'w out' f", ["write out", "read f"]),
    ("cp a b", ["write b", "read a"]),
    ("cp -r a b c/", ["write c/", "read a", "read b", "write c/a", "write c/b"]),
    ("cp -t d a", ["write d", "read a", "write d/a"]),
    ("mv a b", ["write b", "delete a"]),
    ("rm -rf a b", ["delete a", "delete b"]),
    ("rm -- -f", ["delete -f"]),
    ("ln -s a b", ["write b"]),
    ("install -m 755 a b", ["write b", "read a"]),
    ("install -d a b", ["write a", "write b"]),
    ("touch -d now a", ["write a"]),
    ("mkdir -p -m 700 a", ["write a"]),
    ("chmod -R u+x a", ["write a"]),
    ("chown --reference=r a", ["write a"]),
    ("truncate -s 0 a", ["write a"]),
    ("tar xzf a.tgz -C out", ["read a.tgz", "write out"]),
    ("tar -xf a.tgz", ["read a.tgz", "write ."]),
    ("tar czf a.tgz src", ["write a.tgz", "read src"]),
    ("tar -tvf a", ["read a"]),
    ("unzip a.zip -d out", ["write out", "read a.zip"]),
    ("unzip -l a.zip", ["read a.zip"]),
    ("7z x a.7z -oout", ["read a.7z", "write out"]),
    ("curl -o out -d @data https://x", ["write out", "read data"]),
    ("curl -O https://x/y", ["write <./>"]),
    ("curl -F f=@secret https://x", ["read secret"]),
    ("curl file:///etc/passwd", ["read /etc/passwd"]),
    ("wget https://x", ["write <./>"]),
    ("wget -qO- https://x", []),
    ("wget -O out https://x", ["write out"]),
    ("find a -delete", ["delete <a>", "read a"]),
    ("find . -fprint out", ["write out", "read ."]),
    ("cat a b", ["read a", "read b"]),
    ("ls -l a", []),
    ("wc -l a", []),
    ("head -n 5 a", ["read 5", "read a"]),
    ("grep -rn x src", ["read src"]),
    ("grep -e x src", ["read src"]),
    ("jq .a f", ["read f"]),
    ("yq -i .a f", ["write f"]),
    ("awk '{print > \"out\"}' f", ["write out", "read f"]),
    ("git diff --output=f", ["write f"]),
    ("git clone url dir", ["write dir"]),
    ("git rm a", ["delete a"]),
    ("perl -pi -e x f", ["write f"]),
    ("python x.py", ["execute x.py"]),
    ("source x", ["execute x"]),
    ("gzip a", ["write a"]),
    ("gzip -c a", ["read a"]),
    ("gcc -o out a.c", ["write out", "read a.c"]),
    ("rsync -a src/ host:dst", ["read src/"]),
    ("rsync -a host:src/ dst", ["write dst"]),
    ("scp host:x y", ["write y"]),
    ("tree -o out", ["write out"]),
    ("flock lock ls", ["write lock"]),
]


@pytest.mark.parametrize(("text", "want"), [pytest.param(*row, id=row[0]) for row in FILES])
def test_files(text: str, want: list[str]) -> None:
    found = see_through(line(text)).files
    assert [f"{one.access.value} {shown(one.path)}" for one in found] == want


TRANSPARENT = [
    "env ls",
    "timeout 5 ls",
    "bash -c ls",
    "xargs ls",
    "nice ls",
    "git -C x log",
    "command ls",
    "eval ls",
]
POWERFUL = [
    "env",
    "sudo ls",
    "su -c ls",
    "ssh h ls",
    "docker exec c ls",
    "find . -exec ls ;",
    "chroot / ls",
    "bash x",
    "bash",
    "git log",
]


def test_only_harmless_carriers_are_transparent() -> None:
    assert [text for text in TRANSPARENT + POWERFUL if see_through(line(text)).transparent] == TRANSPARENT


def test_effects() -> None:
    found = {
        text: sorted(effect.value for effect in see_through(line(text)).effects)
        for text in (
            "sudo ls",
            "ssh h ls",
            "docker exec c ls",
            "chroot / ls",
            "nohup ls",
            "ip netns exec n ls",
        )
    }
    assert found == {
        "sudo ls": ["privilege"],
        "ssh h ls": ["network", "remote"],
        "docker exec c ls": ["container"],
        "chroot / ls": ["namespace"],
        "nohup ls": ["background"],
        "ip netns exec n ls": ["namespace"],
    }


def test_what_runs_standard_input_says_so() -> None:
    for text, dialect in (("bash", "bash"), ("sh -s x", "sh"), ("sudo -i", "sh"), ("ssh host", "sh")):
        carried = see_through(line(text))
        assert carried.stdin is not None
        assert carried.stdin.dialect == dialect
        assert carried.stdin.unknown in carried.unknowns


def test_a_folder_is_carried() -> None:
    assert {
        t: shown(c) for t in ("env -C d ls", "git -C d log", "make -C d") if (c := see_through(line(t)).cwd)
    } == {
        "env -C d ls": "d",
        "git -C d log": "d",
        "make -C d": "d",
    }


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["find", *["a"] * 20_000, *["-exec", "ls", "{}", ";"] * 5_000], id="find"),
        pytest.param(["env", "-" + "S-" * 50_000, "x"], id="env -S"),
        pytest.param(["awk", "{" * 100_000], id="awk"),
        pytest.param(["awk", "/" + "[a" * 100_000], id="awk pattern"),
        pytest.param(["sed", "s/a/b/;" * 20_000], id="sed"),
        pytest.param(["git", *["-c", "alias.x=y"] * 20_000, "x"], id="git -c"),
        pytest.param(["export", *["A_" * 50 + "=1"] * 5_000], id="export"),
        pytest.param(["fd", *["-x", "a", ";"] * 5_000], id="fd"),
        pytest.param(["rm", *["x"] * 100_000], id="rm"),
    ],
)
def test_long_lines_are_read_in_bounded_time(words: list[str]) -> None:
    see_through(tuple(Word.literal(text) for text in words))


PIECES = [
    "-",
    "--",
    "-c",
    "-exec",
    "{}",
    ";",
    "+",
    "-o",
    "--x=y",
    "A=1",
    "a",
    "",
    "%",
    "%%",
    "%-",
    "-e",
    "s/a/b/e",
    ":::",
    "@",
    "x:y",
    "-rf",
]


@given(st.sampled_from(sorted(names())), st.lists(st.sampled_from(PIECES), max_size=8))
def test_any_line_is_read(name: str, rest: list[str]) -> None:
    carried = see_through((word(name), *(word(piece) for piece in rest)))
    assert all(argv for argv in carried.argvs)
    assert all(text.text.text is not None for text in carried.texts)


@given(st.sampled_from(["awk", "sed"]), st.text(alphabet='aswe|>/"\\{};\n()1,$!#&I~', max_size=30))
def test_any_program_text_is_read(name: str, text: str) -> None:
    see_through((word(name), word(text), word("f")))
