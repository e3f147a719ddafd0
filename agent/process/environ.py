"""Which variables a child may see: what tools need, and nothing that opens a door elsewhere.

A variable is dropped when its name or its value looks like a secret, when it belongs to this program, or
when it would make the child run something that its command line does not show.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names are looked at in parts: `MY_API_KEY` has `KEY`, `MONKEY` has not.
_SECRET_PARTS = _names(
    """
    KEY KEYS TOKEN TOKENS SECRET SECRETS PASS PASSWORD PASSWORDS PASSWD PASSPHRASE PASSCODE PW CREDENTIAL
    CREDENTIALS CREDS AUTH AUTHORIZATION BEARER COOKIE COOKIES SIGNATURE SALT PAT DSN WEBHOOK OTP JWT
    """
)
_SECRET_ENDS = _names(
    "TOKEN SECRET PASSWORD PASSWD PASSPHRASE CREDENTIAL CREDENTIALS APIKEY ACCESSKEY AUTHKEY ENCRYPTIONKEY"
    " MASTERKEY PRIVATEKEY SECRETKEY SIGNINGKEY SSHKEY"
)
_SECRET_NAMES = _names(
    """
    PGPASSFILE PGSERVICEFILE NETRC KUBECONFIG DOCKER_AUTH_CONFIG DATABASE_URL REDIS_URL MONGODB_URI MONGO_URL
    AMQP_URL SENTRY_DSN SSH_AUTH_SOCK SSH_AGENT_PID GPG_AGENT_INFO DBUS_SESSION_BUS_ADDRESS XAUTHORITY
    DOCKER_HOST CONTAINER_HOST ICEAUTHORITY SSH_ASKPASS SUDO_ASKPASS GIT_ASKPASS VAULT_ADDR
    """
)
_SECRET_VALUES = re.compile(
    r"""
    ^sk-[A-Za-z0-9_-]{16,} | ^gh[pousr]_[A-Za-z0-9]{20,} | ^github_pat_ | ^glpat- | ^xox[abeprs]- | ^AKIA[A-Z0-9]{12,}
    | ^ASIA[A-Z0-9]{12,} | ^AIza[A-Za-z0-9_-]{30,} | ^ya29\. | ^npm_[A-Za-z0-9]{30,} | ^pypi-[A-Za-z0-9_-]{16,}
    | ^hf_[A-Za-z0-9]{20,} | ^eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\. | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----
    | ^[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@
    """,
    re.VERBOSE,
)
_OURS = ("AGENT_", "OTEL_", "OPENAI_")
# Search paths of the user's own tools stay; what runs code by being set does not.
_RUNS_UNSEEN = _names(
    """
    BASH_ENV ENV SHELLOPTS BASHOPTS PROMPT_COMMAND PS0 PS4 BASH_XTRACEFD CDPATH GLOBIGNORE
    PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONINSPECT PYTHONBREAKPOINT PYTHONEXECUTABLE
    PERL5OPT PERL5DB RUBYOPT LD_PRELOAD LD_AUDIT DYLD_INSERT_LIBRARIES
    LESSOPEN LESSCLOSE LESS VISUAL EDITOR BROWSER
    """
)
_RUNS_UNSEEN_STARTS = ("GIT_", "BASH_FUNC_")
_GIT_KEPT = _names(
    """
    GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL GIT_COMMITTER_DATE
    """
)

# The repository's own configuration is data: it may not start programs behind a `git status`.
_GIT_CONFIG = (
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
    ("core.pager", "cat"),
    ("core.editor", "true"),
    ("core.askPass", "true"),
    ("credential.helper", ""),
    ("protocol.ext.allow", "never"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)
_SET = {
    "NO_COLOR": "1",
    "TERM": "dumb",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GH_PAGER": "cat",
    "MANPAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_EDITOR": "true",
    "GIT_OPTIONAL_LOCKS": "0",  # `git status` need not write to a read-only `.git`
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_INPUT": "1",
}


def child_environment(parent: Mapping[str, str], *, allowed: Collection[str] = ()) -> dict[str, str]:
    """The whole environment of a child. Names in `allowed` are kept whatever they look like."""
    kept = {name: value for name, value in parent.items() if name in allowed or not _dropped(name, value)}
    kept.update(_SET)
    kept["GIT_CONFIG_COUNT"] = str(len(_GIT_CONFIG))
    for place, (name, value) in enumerate(_GIT_CONFIG):
        kept[f"GIT_CONFIG_KEY_{place}"] = name
        kept[f"GIT_CONFIG_VALUE_{place}"] = value
    kept.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    kept.setdefault("LANG", "C.UTF-8")
    return kept


def _dropped(name: str, value: str) -> bool:
    upper = name.upper()
    return (
        looks_secret(name, value)
        or upper.startswith(_OURS)
        or upper in _RUNS_UNSEEN
        or (upper.startswith(_RUNS_UNSEEN_STARTS) and upper not in _GIT_KEPT)
        or "\0" in value
    )


def looks_secret(name: str, value: str = "") -> bool:
    """Whether a variable is likely to hold something that proves who somebody is."""
    if name.upper() in _SECRET_NAMES or _SECRET_VALUES.search(value):
        return True
    words = re.split(r"[^A-Z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper())
    return (len(words) > 1 and words[-1] == "PWD") or any(
        word in _SECRET_PARTS or word.endswith(tuple(_SECRET_ENDS)) for word in words
    )
