"""Which variables reach a child."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.process.environ import child_environment, looks_secret

DROPPED = """
OPENAI_API_KEY OPENAI_BASE_URL AGENT_HOME OTEL_EXPORTER_OTLP_HEADERS ANTHROPIC_API_KEY AWS_SECRET_ACCESS_KEY
AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN GITHUB_TOKEN GH_TOKEN NPM_TOKEN PGPASSWORD MYSQL_PWD DB_PASS DB_PASSWORD
SECRET_KEY_BASE GOOGLE_APPLICATION_CREDENTIALS AZURE_CLIENT_SECRET STRIPE_APIKEY my_token Slack_Webhook dbPassword
SSH_AUTH_SOCK DATABASE_URL KUBECONFIG DBUS_SESSION_BUS_ADDRESS TWINE_PASSWORD CARGO_REGISTRY_TOKEN JWT
SESSION_COOKIE HTTP_AUTHORIZATION SIGNING_KEYS ENCRYPTIONKEY BASH_ENV ENV PYTHONPATH PYTHONHOME PYTHONSTARTUP
LD_PRELOAD PROMPT_COMMAND GIT_DIR GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_CONFIG_PARAMETERS GIT_EXEC_PATH
BASH_FUNC_ls%% PS4 PERL5OPT EDITOR SHELLOPTS
""".split()  # noqa: SIM905 - a list of names
KEPT = """
PATH HOME USER LOGNAME SHELL PWD OLDPWD LC_ALL TZ TMPDIR XDG_CACHE_HOME VIRTUAL_ENV CONDA_PREFIX GOPATH CARGO_HOME
JAVA_HOME NVM_DIR CI MONKEY_BUSINESS KEYBOARD TURKEY TOKENIZERS_PARALLELISM AUTHOR PATTERN COMPASS BYPASSED
HTTP_PROXY NODE_OPTIONS LD_LIBRARY_PATH GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL HISTFILE DISPLAY SECRETARY
""".split()  # noqa: SIM905 - a list of names


@pytest.mark.parametrize("name", DROPPED)
def test_dropped(name: str) -> None:
    assert name not in child_environment({name: "value"}) or name in ("GIT_EDITOR",)


@pytest.mark.parametrize("name", KEPT)
def test_kept(name: str) -> None:
    assert child_environment({name: "value"})[name] == "value"


@pytest.mark.parametrize(
    "value",
    [
        "sk-proj-abcdefghijklmnop",
        "ghp_abcdefghijklmnopqrstuvwx",
        "AKIAABCDEFGHIJKLMNOP",
        "https://user:word@host/x",
        "postgres://u:p@h/db",
        "-----BEGIN RSA PRIVATE KEY-----\nx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0x.c2ln",
    ],
)
def test_secret_values_under_harmless_names(value: str) -> None:
    assert looks_secret("THING", value)
    assert "THING" not in child_environment({"THING": value})


@pytest.mark.parametrize("value", ["https://host/x", "git@host:repo", "sk", "skill-set", "/a:/b@c"])
def test_harmless_values(value: str) -> None:
    assert not looks_secret("THING", value)


def test_allowed_names_stay() -> None:
    assert child_environment({"NPM_TOKEN": "x"}, allowed={"NPM_TOKEN"})["NPM_TOKEN"] == "x"


def test_what_every_child_gets() -> None:
    seen = child_environment({"TERM": "xterm", "PAGER": "less", "GIT_PAGER": "less"})
    for name, value in {"NO_COLOR": "1", "TERM": "dumb", "PAGER": "cat", "GIT_PAGER": "cat"}.items():
        assert seen[name] == value
    assert seen["PATH"]


def test_the_repository_cannot_start_programs_behind_git(tmp_path: Path) -> None:
    """`core.fsmonitor`, hooks and the pager of a repository run nothing."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    repository = tmp_path / "r"
    repository.mkdir()
    plain = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    def git(env: dict[str, str], *words: str) -> None:
        subprocess.run(["git", *words], cwd=repository, env=env, check=True, capture_output=True)

    git(plain, "init", "-q", ".")
    for name in ("core.fsmonitor", "core.pager", "core.editor"):
        git(plain, "config", name, str(trap))
    hook = repository / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(trap.read_text())
    hook.chmod(0o755)
    env = child_environment({**plain, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b"} | {
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"})  # fmt: skip
    git(env, "commit", "-qm", "one", "--allow-empty")
    git(env, "status")
    git(env, "diff")
    git(env, "checkout", "-qb", "other")
    git(env, "--paginate", "log")
    assert not (tmp_path / "sprung").exists()
    git(plain, "status")
    assert (tmp_path / "sprung").exists(), "the trap works without that environment"
