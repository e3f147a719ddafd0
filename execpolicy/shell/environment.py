"""Which variables change what a harmless command runs, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from execpolicy.late import late_pattern

# Values under which a variable of this kind runs nothing that a rule would have to allow.
IDLE: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        ("PAGER", "GIT_PAGER", "MANPAGER", "SYSTEMD_PAGER", "GH_PAGER", "AWS_PAGER", "BAT_PAGER"),
        frozenset({"", "cat"}),
    ),
    **dict.fromkeys(
        ("EDITOR", "VISUAL", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR"),
        frozenset({"", ":", "true", "cat", "false"}),
    ),
    **dict.fromkeys(
        ("GIT_ASKPASS", "SSH_ASKPASS", "BROWSER"),
        frozenset({"", "true", "false", "echo", "/bin/true", "none"}),
    ),
    **dict.fromkeys(
        ("GIT_TRACE", "GIT_CURL_VERBOSE", "GIT_TRACE_PACKET", "GIT_TRACE_PERFORMANCE", "GIT_TRACE_SETUP"),
        frozenset({"", "0", "1", "2", "true", "false"}),
    ),
    "GIT_CONFIG_GLOBAL": frozenset({"/dev/null"}),
    "GIT_CONFIG_SYSTEM": frozenset({"/dev/null"}),
    "GOFLAGS": frozenset({"", "-mod=mod", "-mod=readonly", "-mod=vendor", "-count=1"}),
    "GOPROXY": frozenset({"off", "direct"}),
    "GOTOOLCHAIN": frozenset({"local", "auto"}),
    "RUSTFLAGS": frozenset({"", "-D warnings", "-Dwarnings", "-C target-cpu=native"}),
    "NODE_OPTIONS": frozenset(
        {"", "--max-old-space-size=4096", "--max-old-space-size=8192", "--trace-warnings"}
    ),
    "HTTP_PROXY": frozenset({""}),
    "HTTPS_PROXY": frozenset({""}),
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _names(text: str) -> re.Pattern[str]:
    """One pattern out of many, separated by blanks."""
    return late_pattern("|".join(text.split()))


# Names that a pattern below would catch though they run nothing.
HARMLESS = _words(
    """
        CARGO_INCREMENTAL CARGO_NET_OFFLINE CARGO_TERM_COLOR CARGO_TERM_PROGRESS_WHEN
        CARGO_TERM_VERBOSE GIT_ADVICE GIT_AUTHOR_DATE
        GIT_COMMITTER_DATE GIT_CONFIG_NOSYSTEM GIT_FLUSH
        GIT_LFS_SKIP_SMUDGE GIT_LITERAL_PATHSPECS GIT_MERGE_AUTOEDIT GIT_OPTIONAL_LOCKS
        GIT_PAGER_IN_USE GIT_REDIRECT_STDERR GIT_REFLOG_ACTION GIT_TERMINAL_PROMPT NPM_CONFIG_AUDIT
        NPM_CONFIG_COLOR NPM_CONFIG_FUND NPM_CONFIG_LOGLEVEL NPM_CONFIG_OFFLINE NPM_CONFIG_PROGRESS
        NPM_CONFIG_UPDATE_NOTIFIER NPM_CONFIG_YES PIP_DISABLE_PIP_VERSION_CHECK PIP_NO_CACHE_DIR
        PIP_NO_COLOR PIP_NO_INPUT PIP_PROGRESS_BAR PIP_QUIET PYTHONASYNCIODEBUG PYTHONDEVMODE
        PYTHONDONTWRITEBYTECODE PYTHONFAULTHANDLER PYTHONHASHSEED PYTHONIOENCODING
        PYTHONLEGACYWINDOWSSTDIO PYTHONMALLOC PYTHONNOUSERSITE PYTHONOPTIMIZE
        PYTHONPROFILEIMPORTTIME PYTHONSAFEPATH PYTHONTRACEMALLOC PYTHONUNBUFFERED PYTHONUTF8
        PYTHONVERBOSE TF_INPUT TF_IN_AUTOMATION TF_LOG UV_FROZEN UV_LOCKED UV_NO_PROGRESS
        UV_NO_SYNC UV_OFFLINE
    """
)

# Variables of the shell that hold a number: what they are set to is evaluated, with the commands in it.
EVALUATED = _words("RANDOM SRANDOM SECONDS OPTIND LINENO HISTCMD BASHPID EPOCHSECONDS EPOCHREALTIME")
_NUMBER = late_pattern("[0-9]*")

MAX_CACHED = 80  # characters of a name

# What such variables do, and which they are. The first that fits speaks.
HOOKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "it loads code into programs",
        _names(
            r"""
                LD_.+ DYLD_.+ GCONV_PATH LOCPATH NLSPATH GLIBC_TUNABLES MALLOC_.*HOOK.* .*PRELOAD.*
            """
        ),
    ),
    (
        "it changes which program a name means",
        _names(
            r"""
                PATH PATHEXT CDPATH EXEC_?PATH .+_EXEC_PATH BASH_CMDS BASH_ALIASES
            """
        ),
    ),
    (
        "it changes what a shell runs",
        _names(
            r"""
                BASH_ENV ENV ZDOTDIR SHELLOPTS BASHOPTS BASH_FUNC.* BASH_LOADABLES_PATH PS[0-4]
                PROMPT_COMMAND PROMPT\d? FPATH SHELL GLOBIGNORE FIGNORE EXECIGNORE HIST.+
                INPUTRC COMP_.* TEXTDOMAIN.*
            """
        ),
    ),
    (
        "it changes which settings are read",
        _names(
            r"""
                HOME XDG_(CONFIG|DATA|RUNTIME)_(HOME|DIRS?) .+_CONFIG_(HOME|DIR|FILE|PATH)
                .+_RC(_FILE|_PATH)? .+_CONF(IG)?
                (INPUT|SCREEN|CURL|NPM|WGET|VIM|NODE|BASH|ZSH|PSQL|MAIL|IRB|PRY|HG)RC(PATH)?
                KUBECONFIG .+_INI(T)?(_.*)? BOTO_CONFIG NETRC CURL_HOME WGETRC
            """
        ),
    ),
    (
        "it changes what git runs or where it works",
        _names(
            r"""
                GIT_.+
            """
        ),
    ),
    (
        "it names a pager",
        _names(
            r"""
                (GH_|AWS_|MAN|BAT_|SYSTEMD_|DELTA_|PSQL_)?PAGER LESSOPEN LESSCLOSE LESS LESSKEY.*
                MORE
            """
        ),
    ),
    (
        "it names a program that is run",
        _names(
            r"""
                (.*_)?EDITOR VISUAL FCEDIT BROWSER TERMINAL .*_?ASKPASS .*_RSH .*_SSH(_COMMAND)?
                RSYNC_.* SVN_SSH CVS_RSH PINENTRY.*
            """
        ),
    ),
    (
        "it changes what Python loads",
        _names(
            r"""
                PYTHON.+ VIRTUAL_ENV CONDA_(EXE|PREFIX|PYTHON_EXE)
            """
        ),
    ),
    (
        "it changes what Node loads or runs",
        _names(
            r"""
                NODE_(OPTIONS|PATH|EXTRA_CA_CERTS|REPL.*) (?i:NPM_CONFIG_.+) YARN_.+ PNPM_.+ BUN_.+
                DENO_.+ TS_NODE_.+ ELECTRON_RUN_AS_NODE BABEL_.+
            """
        ),
    ),
    (
        "it changes what an interpreter loads",
        _names(
            r"""
                PERL.+ RUBY.+ GEM_.+ BUNDLE_.+ LUA_.+ PHP.+ R_.+ JULIA_.+ TCL.* GUILE_.+ ERL_.+
                ELIXIR_.+ OCAML.+ GHC.* JAVA_.+ JDK_.+ _JAVA_OPTIONS CLASSPATH KOTLIN_.+ SCALA_.+
                DOTNET_STARTUP_HOOKS CORECLR_.+ COR_.+ COMPLUS_.+ MONO_.+
            """
        ),
    ),
    (
        "it changes what a build tool fetches or runs",
        _names(
            r"""
                PIP_.+ UV_.+ POETRY_.+ CARGO_.+ RUSTC.* RUSTDOC.* RUSTUP_.+
                GO(FLAGS|PROXY|NOSUMCHECK|NOSUMDB|SUMDB|INSECURE|PRIVATE|TOOLCHAIN|TOOLDIR|ROOT|BIN|PATH|ENV|WORK|AUTH|VCS|CACHEPROG)
                CGO_.*FLAGS.*
            """
        ),
    ),
    (
        "it changes what a build runs",
        _names(
            r"""
                CC CXX CPP FC LD AR AS NM OBJCOPY RANLIB STRIP HOSTCC MAKE MAKEFILES LEX YACC
                CMAKE_.+ CCACHE_.+ PKG_CONFIG(_.+)? COMPILER_PATH GCC_.+ LIBRARY_PATH CPATH
                C_INCLUDE_PATH CPLUS_INCLUDE_PATH CONFIG_SHELL CONFIG_SITE QMAKE.* NINJA_.+
            """
        ),
    ),
    (
        "it adds options or programs to a command",
        _names(
            r"""
                .*FLAGS .*_OPTS? .*_OPTIONS .*_ARGS .*_COMMAND .*_CMD .*_EXEC(UTABLE)? .*_WRAPPER
                .*_LAUNCHER .*_HOOKS? .*_PLUGINS?(_.*)? .*_SCRIPT .*_BINARY .*_BIN GZIP BZIP2?
                XZ_DEFAULTS ZSTD_.* POSIXLY_CORRECT ZIPOPT UNZIPOPT PARALLEL MANOPT TF_CLI_.+
                TF_PLUGIN.* TERRAFORM_CONFIG
                ANSIBLE_.+ HELM_.+ VAULT_.+ BORG_.+ RESTIC_.+ RCLONE_.+
                FZF_.+ KUBERNETES_.+ DOCKER_.+ SQLITE_.+ MYSQL_.+ LIBGL_.+ QT_PLUGIN.* GTK_.*MODULES.*
                GIO_.* GST_.* VIMINIT EXINIT VIM VIMRUNTIME EMACS.* TMUX.* SCREENRC OPENSSL_.+
                SSLKEYLOGFILE GNUPGHOME SSH_AUTH_SOCK SUDO_.+
            """
        ),
    ),
    (
        "it sends traffic elsewhere, or trusts whom it should not",
        _names(
            r"""
                (?i:(HTTPS?|ALL|FTP|SOCKS)_PROXY) DOCKER_(HOST|CONTEXT|CONFIG) CONTAINER_HOST
                DOCKER_CONTENT_TRUST NODE_TLS_REJECT_UNAUTHORIZED PYTHONHTTPSVERIFY CURL_CA_BUNDLE
                SSL_CERT_.+ REQUESTS_CA_BUNDLE AWS_CA_BUNDLE
                AWS_ENDPOINT_URL.* .+_BASE_URL .+_INDEX_URL .+_REGISTRY
            """
        ),
    ),
)


def hook(name: str, value: str | None = None) -> str | None:
    """Why setting the variable `name` may change what a harmless command runs; None when it does not.

    `value` is the text it is set to, None when that is not known.
    """
    if name in HARMLESS or (value is not None and value in IDLE.get(name, ())):
        return None
    if name in EVALUATED and (value is None or not _NUMBER.fullmatch(value)):
        return f"variable {name}: the shell evaluates what it is set to"
    return _kind(name) if len(name) <= MAX_CACHED else _kind.__wrapped__(name)


@lru_cache(maxsize=1024)
def _kind(name: str) -> str | None:
    for why, pattern in HOOKS:
        if pattern.fullmatch(name):
            return f"variable {name}: {why}"
    return None
