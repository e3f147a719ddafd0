"""What a secret looks like in a text: known forms, and values that stand behind a secret's name. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final
from urllib.parse import unquote

from execpolicy.lang.literals import Literals
from execpolicy.values import frozen

LEAST_VALUE: Final = 6  # shorter values stand in too many innocent texts
MARK: Final = "[masked:"

_WORDS: Final = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|pw|otp|secrets?|tokens?|api[_.-]?keys?|apikeys?|psk|access[_-]?keys?"
    r"|private[_-]?keys?|secret[_-]?keys?|auth(?:orization)?|credentials?|creds?|cookies?|session[_-]?key"
    r"|signing[_-]?key|encryption[_-]?key|master[_-]?key|webhook[_-]?url|dsn|connection[_-]?string|pat)"
)
_SECRET_NAME: Final = re.compile(
    rf"(?:^|[^a-z]){_WORDS}(?:$|[^a-z])|[a-z](?:password|passwd|token|secret|apikey)$|(?-i:_KEY$)",
    re.IGNORECASE,
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_SECRET: Final = re.compile(
    r"_sock$|^xauthority$|(?:max|min|num|count|n|total|input|output|completion|prompt)[_-]?tokens$"
    r"|tokens?[_-](?:count|limit|type|url|uri|endpoint|name|id|file|path|ttl|expiry|budget)$"
    r"|(?:key|password|secret|auth|credentials?)[_-](?:file|path|type|name|length|method|mode|policy|url|id)$"
    r"|^(?:primary|foreign|public|partition|sort|cache|host)[_-]?key$",
    re.IGNORECASE,
)
_HARMLESS: Final = frozenset(
    {"str", "int", "bool", "bytes", "float", "none", "null", "nil", "true", "false", "string", "any"}
    | {"object", "self", "undefined", "optional", "disabled", "enabled", "required", "yes", "no"}
)


@frozen
class Shape:
    """A form that secrets have. In every match one of `hints` stands, in lower case."""

    kind: str
    written: str
    hints: tuple[str, ...]
    flags: int = 0

    @property
    def pattern(self) -> re.Pattern[str]:
        """Made when it is first asked for: most programs end before they meet a hint of it."""
        return _compiled(self.written, self.flags)


@cache
def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    return re.compile(pattern, flags)


def _shape(kind: str, hints: str, pattern: str, flags: int = 0) -> Shape:
    return Shape(kind, pattern, tuple(hints.split()), flags)


_ANY_CASE: Final = re.IGNORECASE
_URL: Final = r"\b[A-Za-z][A-Za-z0-9+.-]{1,30}://"

# The group `secret` is masked; without one, the whole match.
SHAPES: Final = (
    _shape(
        "private-key",
        "private",
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<secret>.*?)(?:-----END |\Z)",
        re.DOTALL,
    ),
    _shape("age-key", "age-secret-key-", r"AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{20,}"),
    _shape("jwt", "eyj", r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)*"),
    _shape("url-password", "://", _URL + r"[^\s/@:'\"\[]{0,200}:(?P<secret>[^\s/@'\"]+)@"),
    _shape("url-token", "://", _URL + r"(?P<secret>[A-Za-z0-9_-]{20,})@"),
    _shape(
        "authorization",
        "authorization",
        r"authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?P<secret>digest\s[^\n]+"
        r"|(?:[a-z0-9-]{2,20}\s+)?[^\s\"']{3,})",
        _ANY_CASE,
    ),
    _shape(
        "header",
        "-key -token x-secret",
        r"(?:api-key|auth-token|access-token|private-token|job-token|vault-token|subscription-key|functions-key"
        r"|security-token|deploy-token|gitlab-token|x-secret)[\"']?\s{0,4}:\s{0,4}[\"']?(?P<secret>[^\s\"']+)",
        _ANY_CASE,
    ),
    _shape("cookie", "cookie:", r"cookie:\s{0,4}(?P<secret>[^\"'\n]+)", _ANY_CASE),
    _shape("bearer", "bearer", r"\bbearer\s+(?P<secret>[A-Za-z0-9._~+/-]{8,}=*)", _ANY_CASE),
    _shape(
        "github",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{20,255}",
    ),
    _shape(
        "gitlab",
        "glpat- glptt- gldt- glrt- glcbt- glft- glsoat- glagent- gloas- glimt-",
        r"gl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|oas|imt)-[A-Za-z0-9_.-]{16,}",
    ),
    _shape("api-key", "sk-", r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{16,}"),
    _shape(
        "aws", "akia asia abia acca", r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"
    ),
    _shape("slack", "xox xapp-", r"xox[abceoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"),
    _shape(
        "webhook",
        "hooks.slack discord",
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks)"
        r"/(?P<secret>[A-Za-z0-9/_-]{20,})",
    ),
    _shape(
        "google",
        "aiza ya29. gocspx-",
        r"AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}",
    ),
    _shape("stripe", "k_live_ k_test_ whsec_", r"(?:[srp]k_(?:live|test)_|whsec_)[A-Za-z0-9+/]{16,}"),
    _shape(
        "npm",
        "npm_ _authtoken _password",
        r"\bnpm_[A-Za-z0-9]{30,}|(?:_authToken|_password|_auth)\s?=\s?(?P<secret>\S+)",
    ),
    _shape("pypi", "pypi-", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    _shape("huggingface", "hf_", r"\bhf_[A-Za-z0-9]{20,}"),
    _shape("sendgrid", "sg.", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    _shape("digitalocean", "_v1_", r"\bdo[opr]_v1_[a-f0-9]{40,}"),
    _shape("vault", "hvs. hvb. hvr.", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    _shape("telegram", ":aa", r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,}"),
    _shape(
        "azure",
        "accountkey sharedaccess sig= -signature=",
        r"(?:AccountKey|SharedAccessKey|SharedAccessSignature|[?&]sig|X-(?:Amz|Goog)-Signature)=(?P<secret>[^;&\s\"']{8,})",
        _ANY_CASE,
    ),
    _shape(
        "user-password",
        "-u -user --user",
        r"(?:^|\s)(?:-u|--user|--proxy-user|-U)(?:\s+|=)?[\"']?[^\s:\"'/=-][^\s:\"'/=]{0,100}:(?P<secret>[^\s\"'/]+)",
    ),
    _shape(
        "password-option",
        "mysql mariadb sshpass",
        r"\b(?:mysql|mariadb)\w*[-\w]*\s(?:[^\n;|&]{0,300}?\s)?-p(?P<secret>[^\s\"';|&]+)",
    ),
    _shape(
        "cut",  # a token that was cut at the end of a text, or where some of it was left out
        "ghp_ gho_ ghs_ github_pat_ glpat- sk- xox npm_ pypi- hf_ akia aiza _live_ hvs.",
        # each alternative begins with a letter, which is what is looked for; then with what has to be before it
        r"(?:gh[pousr]_|github_pat_|glpat-|sk-(?<=\bsk-)|xox[abp]-|npm_(?<=\bnpm_)|pypi-(?<=\bpypi-)|hf_(?<=\bhf_)"
        r"|AKIA(?<=\bAKIA)|AIza(?<=\bAIza)|sk_live_|hvs\.(?<=\bhvs\.))"
        r"(?=[A-Za-z_-]{0,40}\d)[A-Za-z0-9_-]{4,}(?=…|\.\.\.|\n\[\.\.\.|\Z)",
    ),
    _shape("github", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_(?=[A-Za-z]{0,40}\d)[A-Za-z0-9]{10,}"),
    _shape(
        "element",
        "</",
        r"<(?P<name>[A-Za-z][\w:.-]{1,80})>\s{0,4}(?P<secret>[^<\s][^<]{0,4000})</",
    ),
    _shape(
        "pair",  # a name and a value that each have a key of their own
        "value",
        r"(?:name|key)\\?[\"']?\s{0,4}[:=]\s{0,4}\\?[\"']?(?P<name>[A-Za-z_][\w.-]{1,80})\\?[\"']?[\s,]{1,40}"
        r"\\?[\"']?value\\?[\"']?\s{0,4}[:=]\s{0,4}\\?[\"']?(?P<secret>[^\s\"'\\,}<]{1,4000})",
        _ANY_CASE,
    ),
    _shape(
        "listed",  # ["--token", "X"]
        "\"- '-",
        r"\\?[\"'](?P<name>--?[A-Za-z][\w.-]{1,80})\\?[\"']\s{0,4},\s{0,4}\\?[\"'](?P<secret>[^\"'\\\n]{1,4000})",
    ),
    _shape(
        "standard-input",
        "-stdin --with-token sudo chpasswd --passphrase-fd",
        r"\b(?:echo|printf)\s{1,4}(?:-\w{1,8}\s{1,4}|[\"']?%s(?:\\n)?[\"']?\s{1,4}){0,4}"
        r"(?P<secret>[^|;&\n]{1,300}?)\s{0,4}\|[^|;&\n]{0,200}"
        r"(?:-stdin|--with-token|\bsudo\b[^|;&\n]{0,80}\s-S\b|\bchpasswd|--passphrase-fd)",
    ),
    _shape(
        "standard-input",
        "-stdin --with-token sudo chpasswd --passphrase-fd",
        r"(?:-stdin|--with-token|\bsudo\b[^|;&\n]{0,80}\s-S|\bchpasswd|--passphrase-fd)[^|;&\n]{0,80}<<<\s{0,4}(?P<secret>\S+)",
    ),
    _shape(
        "told",
        "word phrase passcode token secret key credential",
        r"\b(?:password|passphrase|passcode|token|secret|api[ _-]?key|access[ _-]?key|credential)s?"
        r"\s{1,4}is:?\s{1,4}[\"'`]?"
        r"(?P<secret>(?=[^\s\"'`]{0,200}\d)[^\s\"'`]{6,})",
        _ANY_CASE,
    ),
    _shape(
        "sql",
        "password identified",
        r"\b(?:IDENTIFIED\s{1,4}(?:WITH\s{1,4}\S{1,80}\s{1,4})?(?:BY|AS)|(?:WITH|SET)\s{1,4}(?:ENCRYPTED\s{1,4})?PASSWORD"
        r"|(?:ENCRYPTED\s{1,4})?PASSWORD)\s{0,4}=?\s{0,4}(?:PASSWORD\()?\\?'(?P<secret>[^'\n]{1,400})'",
        _ANY_CASE,
    ),
    _shape("netrc", "login", r"\blogin\s{1,4}\S{1,200}\s{1,4}password\s{1,4}(?P<secret>\S+)"),
    _shape("password-option", "sshpass", r"\bsshpass\s+-p\s*[\"']?(?P<secret>[^\s\"']+)"),
)
_TOKENS: Final = frozenset(
    {
        "age-key",
        "jwt",
        "github",
        "gitlab",
        "api-key",
        "aws",
        "slack",
        "google",
        "stripe",
        "pypi",
        "huggingface",
    }
    | {"sendgrid", "digitalocean", "vault", "telegram"}
)


HINTS: Final = tuple(dict.fromkeys(hint for shape in SHAPES for hint in shape.hints))
NAME_HINTS: Final = (
    "pass",
    "pwd",
    "psk",
    "pw",
    "otp",
    "secret",
    "token",
    "key",
    "auth",
    "cred",
    "cookie",
    "dsn",
    "webhook",
    "connection",
)
_PAT: Final = re.compile(r"[Pp][Aa](?:t(?![a-z])|T(?![A-Za-z]))")  # the name, and not `path` or `pattern`
_ANY_HINT: Final = Literals((*NAME_HINTS, *HINTS))
MOST_HINT: Final = max(_ANY_HINT.longest, 4)

# `NAME=value`, `name: value`, `"name": "value"`, `--name value`; the name is judged by `is_secret_name`
_ASSIGNED: Final = re.compile(
    r"(?<![A-Za-z0-9_.-])(?P<name>-{0,2}[A-Za-z_][A-Za-z0-9_.-]{1,80}+)"
    r"(?P<sep>\\{0,7}[\"']?\]?\s{0,3}(?:=>|[=:])\s{0,3}|\s{1,3}(?=[^\s-]))(?:b?f?r?(?P<open>\\?[\"']))?"
)
_WORD: Final = r"""(?:[^\s"'`;|&<>{stop}\\]+|\\.|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|,(?=[^\s"']))+"""
_BARE: Final = re.compile(_WORD.replace("{stop}", r"(){}\[\],"))
_SHELL: Final = re.compile(_WORD.replace("{stop}", ""))
_QUOTED: Final = {
    '"': re.compile(r'(?:[^"\\\n]|\\.)*'),
    "'": re.compile(r"[^'\n]*"),
    '\\"': re.compile(r'(?:[^"\\\n]|\\[^"])*'),
    "\\'": re.compile(r"[^'\\\n]*"),
}


@frozen
class Found:
    """A secret at `start:end` of a text."""

    start: int
    end: int
    kind: str


def is_secret_name(name: str) -> bool:
    """Whether a variable, option or key of this name holds a secret."""
    bare = _CAMEL.sub("_", name.strip("-"))
    if bare in ("PWD", "OLDPWD"):
        return False
    return _SECRET_NAME.search(bare) is not None and _NOT_SECRET.search(bare) is None


def secret_values(env: Mapping[str, str]) -> tuple[str, ...]:
    """What is secret in `env`: values of variables whose names say so, and what has a secret's form in others.

    Of a list of headers (`OTEL_EXPORTER_OTLP_HEADERS`) that is each value.
    """
    return tuple(dict.fromkeys(value for value in _values(env) if len(value) >= LEAST_VALUE))


def _values(env: Mapping[str, str]) -> Iterator[str]:
    for name, value in env.items():
        if is_secret_name(name):
            if value.lower() not in _HARMLESS:
                yield value
        elif name.endswith("_HEADERS"):
            for pair in value.split(","):
                given = unquote(pair.partition("=")[2].strip())
                yield given
                yield given.rpartition(" ")[2]
        elif len(value) >= LEAST_VALUE:
            yield from (value[one.start : one.end] for one in find_secrets(value, value.lower()))


def find_secrets(text: str, lower: str) -> Iterator[Found]:
    """Every secret that can be told by its form or by the name before it. `lower` is the text in lower case."""
    for shape in SHAPES:
        if _hinted(shape.hints, lower):
            for match in shape.pattern.finditer(text):
                start, end = match.span("secret" if match.re.groups and match["secret"] is not None else 0)
                name = match["name"] if "name" in match.re.groupindex else ""
                if _plausible(shape.kind, text[start:end]) and (not name or is_secret_name(name)):
                    yield Found(start, end, shape.kind)
    if _hinted(NAME_HINTS, lower) or _PAT.search(text):
        yield from _assigned(text)


def hinted(text: str, lower: str) -> bool:
    """Whether `find_secrets` may find something. False is certain; what tells it is `MOST_HINT` long at most."""
    return _ANY_HINT.within(lower) or ("pat" in lower and _PAT.search(text) is not None)


def find_tokens(text: str, lower: str) -> Iterator[Found]:
    """Those secrets that their own form tells, whatever stands around them."""
    for shape in SHAPES:
        if shape.kind in _TOKENS and _hinted(shape.hints, lower):
            for match in shape.pattern.finditer(text):
                yield Found(*match.span(), shape.kind)


def _hinted(hints: tuple[str, ...], lower: str) -> bool:
    for hint in hints:  # noqa: SIM110 - half the time of `any`
        if hint in lower:
            return True
    return False


def _plausible(kind: str, secret: str) -> bool:
    if not secret or secret.startswith((MARK, "$", "<", "{{")):
        return False
    if kind == "bearer":
        return len(secret) >= 20 or not secret.isalpha()
    return kind != "user-password" or not secret.isdecimal()


def _assigned(text: str) -> Iterator[Found]:
    at = 0
    while match := _ASSIGNED.search(text, at):
        at = match.end("name")
        if not is_secret_name(match["name"]):
            continue
        quote = match["open"]
        shell = match["name"].isupper() and match["sep"] == "="
        value = _QUOTED[quote] if quote else _SHELL if shell else _BARE
        found = value.match(text, match.end())
        if found is None or not _holds_secret(match["name"], match["sep"], found[0], quoted=bool(quote)):
            continue
        after = text[found.end() : found.end() + 1]
        code = match["sep"] != match["sep"].strip() or ":" in match["sep"]
        if code and not quote and after in {"(", "["}:  # `token = f(x)`, `token: Token[str]`
            continue
        yield Found(found.start(), found.end(), "value")
        at = found.end()


def _holds_secret(name: str, sep: str, value: str, *, quoted: bool) -> bool:
    """Whether what stands behind a secret's name is the secret, and not a word of prose or of a program."""
    if not value or value.startswith((MARK, "$", "%", "<", ":")) or value.lower() in _HARMLESS:
        return False
    if name.lower() == "pwd" and value[0] in "/.~":
        return False
    has_digit = any(char.isdigit() for char in value)
    if not sep.strip() and not name.startswith("-"):  # `config set api_key VALUE`
        return ("_" in name or "." in name) and has_digit and len(value) >= 8
    if ":" in sep and not quoted:  # `pass: the tests`
        sure = "passw" in name.lower() or "secret" in name.lower()
        return sure or has_digit or len(value) >= 12
    return quoted or "=" not in sep or not value.startswith(("os.environ", "self.", "env."))
