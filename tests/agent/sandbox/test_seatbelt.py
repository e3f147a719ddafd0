"""The Seatbelt profile as a golden text. It has not been run on macOS."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.sandbox.base import Launch
from agent.sandbox.mounts import Kind, Mount, Survey
from agent.sandbox.seatbelt import Seatbelt, profile
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.decision import SandboxMode

SEEN = Survey(
    mounts=(
        Mount("/private/tmp", Kind.WRITABLE),
        Mount("/w", Kind.WRITABLE),
        Mount("/w/.agent", Kind.EMPTY),
        Mount('/w/a "b" \\c', Kind.HIDDEN_FOLDER),
        Mount("/w/.git", Kind.READ_ONLY),
    ),
    guards=("/w/.agent",),
    temp="/private/tmp",
)
RULES = """\
(allow file-read* file-write* (subpath "/private/tmp"))
(allow file-read* file-write* (subpath "/w"))
(deny file-write* (subpath "/w/.agent") (regex #"^/[wW]/[.][aA][gG][eE][nN][tT](/|$)"))
(deny file-read* file-write* (subpath "/w/a \\"b\\" \\\\c"))
(allow file-read* (subpath "/w/.git"))(deny file-write* (subpath "/w/.git"))
(deny file-write-unlink (literal "/private/tmp"))
(deny file-write-unlink (literal "/w"))
(deny file-write-unlink (literal "/w/.agent"))
(deny file-write-unlink (literal "/w/a \\"b\\" \\\\c"))
(deny file-write-unlink (literal "/w/.git"))
"""


def spec(network: bool) -> SandboxSpec:
    return SandboxSpec(
        mode=SandboxMode.WORKSPACE_WRITE, workspace="/w", network=Network.FULL if network else Network.NONE
    )


@pytest.mark.parametrize("network", [False, True])
def test_profile(network: bool) -> None:
    text = profile(SEEN, spec(network))
    assert text.startswith("(version 1)\n(deny default)\n")
    assert RULES in text
    assert text.endswith("(deny network*)\n") is not network
    assert ("(allow network-outbound (remote ip))" in text) is network
    assert text.count("(") - text.count(")") == 0


def test_wrap(tmp_path: pytest.TempPathFactory) -> None:
    launch = Launch(argv=("bash", "-c", "true"), cwd=str(tmp_path), env={})
    own = SandboxSpec(mode=SandboxMode.READ_ONLY, workspace=str(tmp_path))
    wrapped = Seatbelt("/usr/bin/sandbox-exec", "/root").wrap(launch, own)
    assert wrapped.argv[:2] == ("/usr/bin/sandbox-exec", "-p")
    assert "(allow file-read* file-write* (subpath" not in wrapped.argv[2]
    assert wrapped.argv[3:6] == ("--", "/bin/sh", "-c")
    assert wrapped.argv[7:] == ("sh", "bash", "-c", "true")


# A reader of profiles and the rule that the last match wins, for what the profiles use.

Node = str | list["Node"]


def read(text: str) -> list[Node]:
    out: list[list[Node]] = [[]]
    for found in re.finditer(r'\s+|\(|\)|#?"((?:[^"\\]|\\.)*)"|[^\s()"]+', text):
        token = found[0]
        if token == "(":
            out.append([])
        elif token == ")":
            done = out.pop()
            out[-1].append(done)
        elif found[1] is not None:
            out[-1].append(("re:" if token[0] == "#" else "") + re.sub(r"\\(.)", r"\1", found[1]))
        elif not token.isspace():
            out[-1].append(token)
    assert len(out) == 1, "the parentheses do not close"
    return out[0]


def holds(condition: Node, subject: str) -> bool:
    assert isinstance(condition, list)
    name, *rest = condition
    first = rest[0] if rest and isinstance(rest[0], str) else ""
    match name:
        case "subpath":
            return subject == first or subject.startswith(first.rstrip("/") + "/")
        case "literal" | "path" | "global-name":
            return subject == first
        case "regex":
            return re.search(first.removeprefix("re:"), subject) is not None
        case "require-all":
            return all(holds(part, subject) for part in rest)
        case "extension":  # given for what the command has opened itself
            return subject.startswith("/dev/ttys1")
        case "vnode-type":
            return subject.startswith("/dev/")
        case "remote" | "local":
            return subject == "ip"
        case "target" | "ipc-posix-name-prefix":
            return subject == first or (name != "target" and subject.startswith(first))
    raise AssertionError(f"no such condition {name!r}")


def allowed(text: str, operation: str, subject: str) -> bool:
    answer = None
    for rule in read(text)[1:]:
        assert isinstance(rule, list)
        assert rule[0] in ("allow", "deny"), rule
        operations = [part for part in rule[1:] if isinstance(part, str)]
        conditions = [part for part in rule[1:] if isinstance(part, list)]
        speaks = any(
            name in ("default", operation) or (name.endswith("*") and operation.startswith(name[:-1]))
            for name in operations
        )
        if speaks and (not conditions or any(holds(condition, subject) for condition in conditions)):
            answer = rule[0] == "allow"
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("operation", "subject", "want"),
    [
        ("file-read-data", "/etc/passwd", True),
        ("file-read-data", '/w/a "b" \\c/key', False),
        ("file-write-create", "/w/new", True),
        ("file-write-data", "/w/src/deep/file", True),
        ("file-write-create", "/private/tmp/x", True),
        ("file-write-create", "/w2", False),
        ("file-write-create", "/Users/me/.zshrc", False),
        ("file-write-data", "/etc/hosts", False),
        ("file-write-data", "/w/.git/config", False),
        ("file-write-create", "/w/.git/hooks/pre-commit", False),
        ("file-write-create", "/w/.agent", False),
        ("file-write-create", "/w/.agent/x.rules", False),
        ("file-write-create", "/w/.gitignore", True),
        ("file-write-unlink", "/w/.git", False),
        ("file-write-unlink", "/w", False),
        ("file-write-unlink", "/w/old", True),
        ("file-write-data", "/dev/null", True),
        ("file-write-data", "/dev/disk0", False),
        ("file-read-data", "/dev/ttys003", False),
        ("file-write-data", "/dev/ttys003", False),
        ("file-read-data", "/dev/tty", False),
        ("file-write-data", "/dev/tty", False),
        ("file-read-data", "/dev/ttys103", True),
        ("file-write-data", "/dev/ttys103", True),
        ("file-ioctl", "/dev/ttys003", True),
        ("file-ioctl", "/dev/tty", False),
        ("file-write-create", "/w/.AGENT", False),
        ("file-write-create", "/w/.Agent/rules/a.rules", False),
        ("file-write-create", "/w/.agents", True),
        ("file-write-create", "/w/xagent", True),
        ("file-write-setugid", "/w/program", False),
        ("file-write-mode", "/w/program", True),
        ("file-write-mode", "/w/.git/hooks/pre-commit", False),
        ("file-write-flags", "/w/.git", False),
        ("file-write-xattr", "/etc/hosts", False),
        ("file-write-times", "/etc/hosts", False),
        ("file-write-owner", "/etc/hosts", False),
        ("file-mount", "/w", False),
        ("process-info-pidinfo", "same-sandbox", True),
        ("mach-priv-task-port", "others", False),
        ("sysctl-write", "kern.hostname", False),
        ("system-socket", "", False),
        ("ipc-sysv-shm", "", False),
        ("mach-lookup", "com.apple.pasteboard.1", False),
        ("mach-lookup", "com.apple.coreservices.launchservicesd", False),
        ("device-camera", "", False),
        ("lsopen", "x", False),
        ("process-exec", "/usr/bin/git", True),
        ("process-fork", "", True),
        ("signal", "same-sandbox", True),
        ("signal", "others", False),
        ("process-info-pidinfo", "others", False),
        ("network-outbound", "ip", False),
        ("network-outbound", "/var/run/docker.sock", False),
        ("network-bind", "ip", False),
        ("mach-lookup", "com.apple.SecurityServer", False),
        ("mach-lookup", "com.apple.logd", True),
        ("mach-register", "x", False),
        ("iokit-open", "x", False),
        ("system-fsctl", "x", False),
        ("appleevent-send", "x", False),
        ("job-creation", "x", False),
        ("nvram-set", "x", False),
        ("ipc-posix-shm-write-create", "/psm_1", True),
        ("ipc-posix-shm-write-create", "/other", False),
    ],
)
def test_what_the_profile_allows(operation: str, subject: str, want: bool) -> None:
    assert allowed(profile(SEEN, spec(False)), operation, subject) is want


@pytest.mark.parametrize(
    ("operation", "subject", "want"),
    [
        ("network-outbound", "ip", True),
        ("network-bind", "ip", True),
        ("network-outbound", "/var/run/docker.sock", False),
        ("network-outbound", "/private/var/run/mDNSResponder", True),
        ("file-write-data", "/etc/hosts", False),
    ],
)
def test_what_the_profile_allows_with_network(operation: str, subject: str, want: bool) -> None:
    assert allowed(profile(SEEN, spec(True)), operation, subject) is want


def test_hosts_by_name_are_none(tmp_path: Path) -> None:
    named = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace=str(tmp_path), network=Network.NAMED)
    launch = Seatbelt("/usr/bin/sandbox-exec", "/root").wrap(
        Launch(argv=("x",), cwd=str(tmp_path), env={}), named
    )
    assert launch.doorway is None
    assert not any(name.lower().endswith("_proxy") for name in launch.env)
    for operation in ("network-outbound", "network-bind", "network-inbound", "system-socket"):
        assert not allowed(launch.argv[2], operation, "ip")


def test_what_lies_in_a_hidden_folder() -> None:
    seen = Survey(
        mounts=(
            Mount("/h", Kind.HIDDEN_FOLDER),
            Mount("/h/open", Kind.READ_ONLY),
            Mount("/h/mine", Kind.WRITABLE),
            Mount("/h/mine/key", Kind.HIDDEN_FILE),
        ),
        guards=(),
        temp=None,
    )
    text = profile(seen, spec(False))
    reads = {
        path: allowed(text, "file-read-data", path)
        for path in ("/h/x", "/h/open/x", "/h/mine/x", "/h/mine/key")
    }
    assert reads == {"/h/x": False, "/h/open/x": True, "/h/mine/x": True, "/h/mine/key": False}
    assert not allowed(text, "file-write-data", "/h/open/x")
    assert allowed(text, "file-write-data", "/h/mine/x")


@pytest.mark.parametrize("name", [".git", "a.b c", "x^y]z", "q'\"\\r", "\u00fc(1)+*?{2}$|"])
def test_names_of_any_form_are_kept_free(name: str) -> None:
    seen = Survey((Mount("/w", Kind.WRITABLE), Mount(f"/w/{name}", Kind.EMPTY)), (), None)
    text = profile(seen, spec(False))
    for path in (f"/w/{name}", f"/w/{name}/x", f"/w/{name.upper()}"):
        assert not allowed(text, "file-write-create", path), path
    assert allowed(text, "file-write-create", "/w/other")


def test_read_only_allows_no_write() -> None:
    text = profile(Survey((), (), None), spec(False))
    for path in ("/w/x", "/private/tmp/x", "/Users/me/x"):
        assert not allowed(text, "file-write-create", path)
