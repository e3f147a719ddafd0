"""What a policy says about scripts, words, files, hosts and tools: one behaviour a row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from execpolicy.decision import Decision, Layer, NetworkAccess, Reviewer, SandboxMode, Scope
from execpolicy.engine.check import check, check_argv, check_files, check_host, check_tool
from execpolicy.engine.context import CheckContext
from execpolicy.engine.judge import names_exactly
from execpolicy.engine.policy import Policy
from execpolicy.facts import Access
from execpolicy.lang.lower import parse_rules

ALLOW, ASK, DENY = Decision.ALLOW, Decision.ASK, Decision.DENY

RULES = """
prefix_rule(pattern = ["git", ["status", "diff", "log"]], decision = "allow")
prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "pushes are reviewed",
            suggest = "open a pull request", id = "git.push")
prefix_rule(pattern = [["ls", "cat", "echo", "head", "cd", "tool"]], decision = "allow")
prefix_rule(pattern = ["make", "test", end], decision = "allow")
prefix_rule(pattern = ["npm", "run", glob("test:*")], decision = "allow")
prefix_rule(pattern = ["cp", rest(glob("*.txt"))], decision = "allow")
command_rule(program = "rm", flags = all_of("-r", "-f"), decision = "deny", id = "rm.rf")
command_rule(program = "rm", flags = none_of("-r"), decision = "allow")
command_rule(program = "kubectl", subcommand = "delete", decision = "deny")
command_rule(program = "ctl", subcommand = "delete", decision = "deny")
command_rule(program = "deploy", args = ["staging", rest()], decision = "allow")
command_rule(program = "deploy", unless = [args_match("staging")], decision = "ask", id = "deploy.ask")
path_rule(paths = ["**/.env*", "~/.ssh/**"], access = ["read", "write", "delete"], decision = "deny", id = "secrets")
path_rule(paths = ["/srv/data/**"], access = ["write"], decision = "allow")
network_rule(host = "*.acme.com", port = 443, protocol = "https", decision = "allow")
network_rule(host = "bad.acme.com", protocol = "https", decision = "deny")
tool_rule(server = "github", tool = glob("get_*"), decision = "allow")
tool_rule(server = "github", tool = glob("create_*"), arguments = {"repo": glob("acme/*")}, decision = "deny")
"""

CONTEXT = CheckContext(
    cwd="/ws",
    workspace="/ws",
    home="/home/u",
    writable=("/tmp",),
    protected=("/ws/.git", "/ws/.agent"),
    today="2026-06-01",
)


def policy(text: str = RULES, layer: Layer = Layer.USER) -> Policy:
    parsed = parse_rules(text, "t.rules", layer)
    assert parsed.diagnostics == ()
    return Policy.build([(layer, parsed.file)])


@pytest.mark.parametrize(
    ("script", "want"),
    [
        pytest.param("git status", ALLOW, id="plain"),
        pytest.param("git push", DENY, id="denied"),
        pytest.param("hg status", ASK, id="silence-asks"),
        pytest.param("git status && git push", DENY, id="strictest-of-a-list"),
        pytest.param("git status | head -5 > out", ALLOW, id="pipeline-into-the-workspace"),
        pytest.param("sudo git push", DENY, id="through-a-carrier"),
        pytest.param("sudo git status", ASK, id="the-carrier-itself-asks"),
        pytest.param("bash -c 'git push'", DENY, id="shell-text"),
        pytest.param("bash -c 'git status; ls'", ALLOW, id="shell-text-of-allowed-commands"),
        pytest.param("echo $(git push)", DENY, id="substitution"),
        pytest.param("git $x", ASK, id="a-word-that-may-be-denied"),
        pytest.param("git status $x", ALLOW, id="words-behind-a-prefix-are-free"),
        pytest.param("$cmd status", ASK, id="dynamic-program"),
        pytest.param("./git status", ASK, id="a-path-is-not-the-program"),
        pytest.param("./git push", DENY, id="a-path-may-be-the-program"),
        pytest.param("git() { :; }; git status", ASK, id="a-function-of-that-name"),
        pytest.param("make test", ALLOW, id="exact"),
        pytest.param("make test install", ASK, id="end-allows-no-more"),
        pytest.param("npm run test:unit", ALLOW, id="glob"),
        pytest.param("npm run build", ASK, id="glob-does-not-fit"),
        pytest.param("cp a.txt b.txt", ALLOW, id="rest-fits-every-word"),
        pytest.param("cp a.txt b.sh", ASK, id="rest-speaks-about-every-word"),
        pytest.param("rm -rf x", DENY, id="cluster"),
        pytest.param("rm -fr x", DENY, id="cluster-in-another-order"),
        pytest.param("rm x -r -f", DENY, id="options-behind-operands"),
        pytest.param("rm --recursive --force x", DENY, id="long-names"),
        pytest.param("rm --recur --for x", DENY, id="abbreviated"),
        pytest.param("rm -- -rf", ALLOW, id="no-options-behind-two-dashes"),
        pytest.param("rm -f x", ALLOW, id="none-of-holds"),
        pytest.param("rm -f $x", ASK, id="none-of-needs-proof"),
        pytest.param("rm -f -- $x", ASK, id="unknown-file-to-delete"),
        pytest.param("kubectl -n prod delete pod x", DENY, id="option-with-value-before-the-subcommand"),
        pytest.param("ctl --frob delete pod", ASK, id="unknown-option-may-take-the-word"),
        pytest.param("deploy staging", ALLOW, id="unless-switches-off"),
        pytest.param("deploy staging now", ASK, id="unless-is-about-all-operands"),
        pytest.param("deploy prod", ASK, id="unless-does-not-fit"),
        pytest.param("cat .env", DENY, id="operand-is-a-file"),
        pytest.param("cat < sub/.env.local", DENY, id="redirection"),
        pytest.param("cat ~/.ssh/id_rsa", DENY, id="home"),
        pytest.param("cat $HOME/x", ASK, id="unknown-path-may-be-denied"),
        pytest.param("cd $d && cat .env", DENY, id="name-known-in-an-unknown-folder"),
        pytest.param("echo x > /etc/hosts", ASK, id="write-outside"),
        pytest.param("echo x > .git/config", DENY, id="write-protected"),
        pytest.param("echo x > /srv/data/y", ALLOW, id="write-allowed-by-a-path-rule"),
        pytest.param("echo x > $f", ASK, id="write-to-an-unknown-file"),
        pytest.param("echo x >/dev/null 2>&1", ALLOW, id="write-to-nowhere"),
        pytest.param("cd /etc && echo x > hosts", ASK, id="write-behind-cd"),
        pytest.param("", ALLOW, id="nothing-to-run"),
        pytest.param("# only a comment", ALLOW, id="comment"),
        pytest.param("git status && (", ASK, id="unreadable-asks"),
        pytest.param("git push && (", DENY, id="unreadable-keeps-its-denies"),
        pytest.param("A=1 git status", ALLOW, id="harmless-assignment"),
        pytest.param("LD_PRELOAD=./x.so git status", ASK, id="environment-hook"),
    ],
)
def test_scripts(script: str, want: Decision) -> None:
    assert check(script, policy(), CONTEXT).decision is want


def test_words_are_no_script() -> None:
    assert check_argv(["echo", "$(git push)", "&&", "rm -rf /"], policy(), CONTEXT).decision is ALLOW


def test_the_why_of_a_denial() -> None:
    verdict = check("cd sub && sudo git push -f", policy(), CONTEXT)
    rule = verdict.deciding
    assert rule is not None
    assert (rule.rule_id, rule.words, rule.origin.line) == ("git.push", ("git", "push"), 3)
    assert verdict.suggest == "open a pull request"
    assert verdict.nearest == "git status|diff|log"
    assert [part.decision for part in verdict.parts] == [ALLOW, ASK, DENY]
    assert verdict.parts[2].via == ("sudo",)


def test_the_command_itself_is_no_way_out() -> None:
    rules = policy("""
prefix_rule(pattern = ["git", "log"], decision = "allow")
prefix_rule(pattern = ["git", "show"], decision = "allow")
""")
    asked = check("./git log", rules, CONTEXT)
    assert (asked.decision, asked.nearest) == (ASK, "git show")


def test_the_text_of_a_pattern_is_no_way_out() -> None:
    rules = policy("""
prefix_rule(pattern = ["curl", regex("^https?://localhost(:[0-9]+)?$")], decision = "allow")
prefix_rule(pattern = [["wget", "curl"], "--version"], decision = "allow")
""")
    assert check("curl example.com", rules, CONTEXT).nearest == "curl --version"


# --- layers, defaults, exceptions, conditions, modes ------------------------------------------


def layered(**texts: str) -> Policy:
    files = []
    for name, text in texts.items():
        layer = Layer[name.upper()]
        parsed = parse_rules(text, f"{name}.rules", layer)
        assert parsed.diagnostics == ()
        files.append((layer, parsed.file))
    return Policy.build(files)


ALLOW_X = 'prefix_rule(pattern = ["x"], decision = "allow")\n'
DENY_X = 'prefix_rule(pattern = ["x"], decision = "deny", id = "no.x")\n'
OPEN = 'exception(to = "no.x", until = "{}", approved_by = "ciso", ticket = "S-1")\n'


@pytest.mark.parametrize(
    ("texts", "script", "want"),
    [
        pytest.param({"managed": DENY_X, "session": ALLOW_X}, "x", DENY, id="strictest-layer-wins"),
        pytest.param({"managed": ALLOW_X, "session": DENY_X}, "x", DENY, id="whichever-it-is"),
        pytest.param({"user": 'defaults(unmatched = "deny")'}, "y", DENY, id="default-deny"),
        pytest.param({"user": 'defaults(unmatched = "allow")'}, "y", ALLOW, id="block-list"),
        pytest.param(
            {"user": 'defaults(unmatched = "allow")'}, "$y", ASK, id="block-list-asks-for-the-unknown"
        ),
        pytest.param(
            {"user": 'defaults(unmatched = "allow")' + "\n" + DENY_X}, "x", DENY, id="block-list-blocks"
        ),
        pytest.param(
            {"managed": 'defaults(unmatched = "ask")', "project": ALLOW_X},
            "x",
            ASK,
            id="lower-does-not-lift-a-default",
        ),
        pytest.param(
            {"managed": 'defaults(unmatched = "deny")\n' + ALLOW_X, "project": ""},
            "x",
            ALLOW,
            id="own-layer-lifts-it",
        ),
        pytest.param({"user": 'defaults(unknown = "deny")\n' + ALLOW_X}, "$x", DENY, id="unknown-denied"),
        pytest.param(
            {"managed": DENY_X + OPEN.format("2026-12-31"), "user": ALLOW_X}, "x", ALLOW, id="exception-opens"
        ),
        pytest.param(
            {"managed": DENY_X + OPEN.format("2026-05-31"), "user": ALLOW_X},
            "x",
            DENY,
            id="exception-is-over",
        ),
        pytest.param(
            {"managed": DENY_X, "user": OPEN.format("2026-12-31") + ALLOW_X},
            "x",
            DENY,
            id="lower-exception-opens-none",
        ),
        pytest.param({"user": DENY_X.replace(")", ', expires = "2026-06-01")')}, "x", DENY, id="last-day"),
        pytest.param({"user": DENY_X.replace(")", ', expires = "2026-05-31")')}, "x", ASK, id="expired"),
        pytest.param(
            {"user": DENY_X.replace(")", ', mode = "audit")') + ALLOW_X}, "x", ALLOW, id="audit-is-silent"
        ),
        pytest.param(
            {"user": DENY_X.replace(")", ', when = branch == "main")') + ALLOW_X}, "x", ASK, id="unknown-fact"
        ),
        pytest.param(
            {"user": ALLOW_X.replace(")\n", ', when = branch == "main")')},
            "x",
            ASK,
            id="unknown-fact-is-no-proof",
        ),
    ],
)
def test_layers(texts: dict[str, str], script: str, want: Decision) -> None:
    assert check(script, layered(**texts), CONTEXT).decision is want


def test_a_known_fact_decides() -> None:
    rules = layered(user=DENY_X.replace(")", ', when = branch == "main" and not interactive)') + ALLOW_X)
    there = replace(CONTEXT, facts={"branch": "main", "interactive": False})
    elsewhere = replace(CONTEXT, facts={"branch": "dev", "interactive": False})
    assert check("x", rules, there).decision is DENY
    assert check("x", rules, elsewhere).decision is ALLOW


def test_an_exception_is_told() -> None:
    rules = layered(managed=DENY_X + OPEN.format("2026-12-31"), user=ALLOW_X)
    part = check("x", rules, CONTEXT).parts[0]
    assert "approved by ciso (S-1)" in part.why
    assert [(match.rule_id, match.enforced) for match in part.matches] == [
        ("no.x", False),
        ("user.rules:1", True),
    ]


def test_terms_fold_to_the_strictest() -> None:
    rules = layered(
        user='prefix_rule(pattern = ["a"], decision = "ask", sandbox = "read-only", network = "allow",'
        ' reviewer = "auto", scope = "session", expires = "2026-09-01")\n'
        'prefix_rule(pattern = ["b"], decision = "ask", sandbox = "workspace-write", network = "deny",'
        ' reviewer = "user", scope = "once", expires = "2026-08-01")\n'
    )
    alone = check("a", rules, CONTEXT)
    assert (alone.reviewer, alone.confinement.network) == (Reviewer.AUTO, NetworkAccess.ALLOW)
    both = check("a; b", rules, CONTEXT)
    assert both.confinement.sandbox is SandboxMode.READ_ONLY
    assert both.confinement.network is NetworkAccess.DENY
    assert (both.reviewer, both.scope, both.expires) == (Reviewer.USER, Scope.ONCE, "2026-08-01")


def test_more_freedom_is_for_those_who_asked() -> None:
    rules = layered(
        user='prefix_rule(pattern = ["a"], decision = "allow", sandbox = "full-access", network = "allow")\n'
        'prefix_rule(pattern = ["b"], decision = "allow")\n'
    )
    assert check("a", rules, CONTEXT).confinement.sandbox is SandboxMode.FULL_ACCESS
    both = check("a && b", rules, CONTEXT).confinement
    assert (both.sandbox, both.network) == (None, None)


# --- files, hosts, tools ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "access", "want"),
    [
        pytest.param("a.py", Access.WRITE, ALLOW, id="inside"),
        pytest.param("../x", Access.WRITE, DENY, id="outside"),
        pytest.param("/tmp/x", Access.WRITE, ALLOW, id="temp"),
        pytest.param(".git/config", Access.WRITE, DENY, id="protected"),
        pytest.param("sub/../.git/hooks/x", Access.WRITE, DENY, id="protected-by-a-detour"),
        pytest.param(".", Access.DELETE, DENY, id="deleting-what-holds-the-protected"),
        pytest.param(".gitignore", Access.WRITE, ALLOW, id="a-name-that-only-begins-alike"),
        pytest.param(".env", Access.READ, DENY, id="rule"),
        pytest.param("~/.ssh/id", Access.READ, ALLOW, id="no-shell-no-tilde"),
        pytest.param("/home/u/.ssh", Access.READ, DENY, id="the-folder-itself"),
        pytest.param("/home/u", Access.DELETE, DENY, id="deleting-a-folder-around-it"),
        pytest.param("README", Access.READ, ALLOW, id="reading-is-free"),
    ],
)
def test_files(path: str, access: Access, want: Decision) -> None:
    assert check_files([(path, access)], policy(), CONTEXT, outside=DENY).decision is want


def test_a_link_out_of_the_workspace_is_outside() -> None:
    class Links:
        def program(self, name: str, cwd: str) -> str | None:
            return None

        def real(self, path: str) -> str:
            return path.replace("/ws/link", "/etc")

    linked = replace(CONTEXT, resolver=Links())
    assert check_files([("link/passwd", Access.WRITE)], policy(), linked).decision is ASK
    assert check("echo x > link/passwd", policy(), linked).decision is ASK
    assert check("echo x > plain", policy(), linked).decision is ALLOW


@pytest.mark.parametrize(
    ("host", "port", "protocol", "want"),
    [
        ("a.acme.com", 443, "https", ALLOW),
        ("A.ACME.com.", 443, "https", ALLOW),
        ("acme.com", 443, "https", ASK),
        ("a.acme.com", 80, "https", ASK),
        ("a.acme.com", 443, "http", ASK),
        ("a.acme.com", None, None, ASK),
        ("bad.acme.com", 443, "https", DENY),
        ("bad.acme.com", 443, None, ASK),
        ("xacme.com", 443, "https", ASK),
    ],
)
def test_hosts(host: str, port: int | None, protocol: str | None, want: Decision) -> None:
    assert check_host(host, port, protocol, policy(), CONTEXT).decision is want


@pytest.mark.parametrize(
    ("server", "tool", "arguments", "want"),
    [
        ("github", "get_issue", {}, ALLOW),
        ("github", "create_issue", {"repo": "acme/x"}, DENY),
        ("github", "create_issue", {"repo": "other/x"}, ASK),
        ("github", "create_issue", {}, ASK),
        ("gitlab", "get_issue", {}, ASK),
        (None, "get_issue", {}, ASK),
    ],
)
def test_tools(server: str | None, tool: str, arguments: dict[str, object], want: Decision) -> None:
    assert check_tool(server, tool, arguments, policy(), CONTEXT).decision is want


# --- identity -----------------------------------------------------------------------------------


class Disk:
    def __init__(self, **programs: str) -> None:
        self.programs = programs

    def program(self, name: str, cwd: str) -> str | None:
        return self.programs.get(name)

    def real(self, path: str) -> str:
        return path.replace("/links/", "/ws/bin/")


@pytest.mark.parametrize(
    ("command", "disk", "rules", "want"),
    [
        pytest.param("git status", Disk(git="/usr/bin/git"), "", ALLOW, id="found-outside"),
        pytest.param("git status", Disk(), "", ALLOW, id="not-found"),
        pytest.param("git status", Disk(git="/ws/bin/git"), "", ASK, id="found-in-the-workspace"),
        pytest.param("git status", Disk(git="/tmp/git"), "", ASK, id="found-in-a-writable-folder"),
        pytest.param("git status", Disk(git="/links/git"), "", ASK, id="a-link-into-the-workspace"),
        pytest.param("git push", Disk(git="/ws/bin/git"), "", DENY, id="denied-wherever-found"),
        pytest.param("/usr/bin/git status", Disk(git="/usr/bin/git"), "", ALLOW, id="its-own-path"),
        pytest.param("/opt/git status", Disk(git="/usr/bin/git"), "", ASK, id="another-path"),
        pytest.param("/opt/git push", Disk(git="/usr/bin/git"), "", DENY, id="another-path-denied"),
        pytest.param(
            "/opt/git status",
            Disk(git="/usr/bin/git"),
            'host_executable(name = "git", paths = ["/opt/git"])',
            ALLOW,
            id="a-declared-path",
        ),
        pytest.param(
            "git status",
            Disk(git="/usr/bin/git"),
            'host_executable(name = "git", paths = ["/opt/git"])',
            ASK,
            id="found-at-a-path-that-is-not-declared",
        ),
    ],
)
def test_identity(command: str, disk: Disk, rules: str, want: Decision) -> None:
    context = replace(CONTEXT, resolver=disk)
    assert check_argv(command.split(), policy(RULES + rules), context).decision is want


# --- policies of any size -------------------------------------------------------------------------


def test_an_unknown_word_under_very_many_rules() -> None:
    text = "\n".join(f'prefix_rule(pattern = ["git", "a{n}", "x"], decision = "deny")' for n in range(6000))
    rules = layered(user=text + '\nprefix_rule(pattern = ["git"], decision = "allow")')
    assert check("git $x x", rules, CONTEXT).decision is ASK
    verdict = check("git $x y", rules, CONTEXT)  # not one of the rules fits, but not all were looked at
    assert verdict.decision is ASK
    assert len(verdict.matches) < 40


def test_audit_rules_do_not_hide_a_deny() -> None:
    quiet = "\n".join(
        f'prefix_rule(pattern = ["git", "a{n}"], decision = "deny", mode = "audit")' for n in range(100)
    )
    loud = DENY_X.replace('["x"]', '["git", "push"]') + ALLOW_X.replace('["x"]', '["git"]')
    assert check("git $x", layered(user=quiet + "\n" + loud), CONTEXT).decision is ASK


@pytest.mark.parametrize(
    ("host", "want"),
    [
        pytest.param("127.0.0.1", Decision.DENY, id="itself"),
        pytest.param("0x7f.1", Decision.DENY, id="hex"),
        pytest.param("2130706433", Decision.DENY, id="number"),
        pytest.param("[::ffff:127.0.0.1]", Decision.DENY, id="mapped"),
        pytest.param("XN--BCHER-KVA.DE.", Decision.DENY, id="punycode"),
        pytest.param("10.0.0.1", Decision.ASK, id="no-domain-of-addresses"),
        pytest.param("2001:db8::1", Decision.ALLOW, id="six"),
        pytest.param("a.fine.org", Decision.ALLOW, id="below"),
        pytest.param("fine.org", Decision.ASK, id="not-itself"),
        pytest.param("afine.org", Decision.ASK, id="not-beside"),
    ],
)
def test_a_host_has_one_spelling(host: str, want: Decision) -> None:
    rules = policy(
        'network_rule(host = "127.1", decision = "deny", justification = "own")\n'
        'network_rule(host = "bücher.de", decision = "deny", justification = "own")\n'
        'network_rule(host = "*.0.0.1", decision = "allow")\n'
        'network_rule(host = "[2001:DB8:0::1]", decision = "allow")\n'
        'network_rule(host = "*.Fine.ORG", decision = "allow")\n'
    )
    assert check_host(host, 443, "https", rules, CONTEXT).decision is want


def test_an_allow_for_a_domain_names_no_host() -> None:
    rules = policy(
        'network_rule(host = "*.in.org", decision = "allow")\n'
        'network_rule(host = "db.in.org", port = 5432, decision = "allow")\n'
        'network_rule(host = "no.in.org", decision = "ask")\n'
        'network_rule(host = "may.in.org", decision = "allow", mode = "audit")\n'
    )
    asked = [("db.in.org", 5432), ("db.in.org", 80), ("x.in.org", 80), ("no.in.org", 80), ("may.in.org", 80)]
    found = [names_exactly(rules, host, port, "http", CONTEXT) for host, port in asked]
    assert found == [True, False, False, False, False]
