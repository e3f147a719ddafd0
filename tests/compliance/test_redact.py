"""No planted secret is left in an event, in any spelling; what is no secret stays readable."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.chain import canonical
from compliance.codec import to_json
from compliance.events import AuditEvent, Decided, Refused
from compliance.redact import MaskKey, Redactor
from compliance.secrets import is_secret_name, secret_values
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

KEY = MaskKey("2026q4-a", b"a" * 32)
HEX40 = "0123456789abcdef" * 3
MIXED = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"  # long, both cases, digits


def mix(length: int) -> str:
    return (MIXED * 3)[:length]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        pytest.param(f"git clone https://x:{mix(12)}@git.example/r", mix(12), id="url-password"),
        pytest.param(f"git clone https://ghp_{mix(36)}@github.com/r", mix(36), id="url-token"),
        pytest.param("psql postgres://app:pw@db/x", "pw", id="short-url-password"),
        pytest.param("redis-cli -u redis://:pw123@cache", "pw123", id="url-without-user"),
        pytest.param(f'curl -H "Authorization: Bearer {mix(20)}" u', mix(20), id="bearer-header"),
        pytest.param("curl -H 'authorization: Basic dTpw' u", "dTpw", id="basic-header"),
        pytest.param("curl -H 'Authorization: tok9' u", "tok9", id="bare-authorization"),
        pytest.param(f"http u 'X-Api-Key:{mix(10)}'", mix(10), id="api-key-header"),
        pytest.param(f"curl -H 'PRIVATE-TOKEN: {mix(10)}'", mix(10), id="token-header"),
        pytest.param("curl -H 'Cookie: sid=abc123; theme=x' u", "abc123", id="cookie"),
        pytest.param("curl -u bob:hunter2 https://x", "hunter2", id="curl-user"),
        pytest.param("wget --user=bob:hunter2 https://x", "hunter2", id="user-option"),
        pytest.param("mysql -u root -phunter2 db", "hunter2", id="mysql"),
        pytest.param("sshpass -p hunter2 ssh h", "hunter2", id="sshpass"),
        pytest.param("docker login --password hunter2 r", "hunter2", id="password-option"),
        pytest.param("tool --api-key=hunter2 x", "hunter2", id="key-option"),
        pytest.param("tool --db-password 'two words' x", "two words", id="quoted-option"),
        pytest.param("AWS_SECRET_ACCESS_KEY=wJalrXUtn/K7+bPx aws s3 ls", "wJalrXUtn/K7+bPx", id="assignment"),
        pytest.param("export DB_PASS=a(b)[c],d", "a(b)[c],d", id="odd-characters"),
        pytest.param("""TOKEN=ab'c d'"e f"g run""", "e f", id="mixed-quotes"),
        pytest.param('{"client_secret": "sh\\"h9"}', 'sh\\"h9', id="json"),
        pytest.param("""curl -d '{\\"password\\":\\"hunter2\\"}'""", "hunter2", id="escaped-json"),
        pytest.param('+  clientSecret: "abc"', "abc", id="camel-case-in-a-patch"),
        pytest.param("password: hunter", "hunter", id="yaml"),
        pytest.param(
            "aws configure set aws_secret_access_key wJalrXUtnFEMI9", "wJalrXUtnFEMI9", id="config-set"
        ),
        pytest.param(f"x ghs_{mix(36)} y", mix(36), id="github"),
        pytest.param(f"x github_pat_{mix(60)}", mix(60), id="github-fine-grained"),
        pytest.param(f"x glpat-{mix(20)}", mix(20), id="gitlab"),
        pytest.param(f"x sk-proj-{mix(40)}", mix(40), id="openai"),
        pytest.param(f"x sk-ant-api03-{mix(40)}", mix(40), id="anthropic"),
        pytest.param("x AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", id="aws"),
        pytest.param(f"x xoxb-{mix(24)}", mix(24), id="slack"),
        pytest.param(f"x https://hooks.slack.com/services/T0/B0/{mix(24)}", mix(24), id="slack-hook"),
        pytest.param(f"x AIza{mix(35)}", mix(35), id="google"),
        pytest.param(f"x rk_live_{mix(24)}", mix(24), id="stripe"),
        pytest.param(f"npm config set //r/:_authToken={mix(10)}", mix(10), id="npmrc"),
        pytest.param(f"x npm_{mix(36)}", mix(36), id="npm"),
        pytest.param(f"twine -p pypi-{mix(60)}", mix(60), id="pypi"),
        pytest.param(f"x hf_{mix(34)}", mix(34), id="huggingface"),
        pytest.param(f"x SG.{mix(22)}.{mix(43)}", mix(43), id="sendgrid"),
        pytest.param(f"x hvs.{mix(24)}", mix(24), id="vault"),
        pytest.param(f"x 123456789:AA{mix(33)}", mix(33), id="telegram"),
        pytest.param(f"x eyJhbGciOi.{mix(20)}.{mix(30)}", mix(30), id="jwt"),
        pytest.param(f"DefaultEndpointsProtocol=https;AccountKey={mix(40)}==;x", mix(40), id="azure"),
        pytest.param(
            f"-----BEGIN RSA PRIVATE KEY-----\n{mix(64)}\n-----END RSA PRIVATE KEY-----", mix(64), id="pem"
        ),
        pytest.param(f"-----BEGIN PRIVATE KEY-----\\n{mix(64)}", mix(64), id="pem-cut-off"),
        pytest.param(f"x AGE-SECRET-KEY-1{mix(58).upper()}", mix(58).upper(), id="age"),
        pytest.param("psql -c \"ALTER USER b WITH PASSWORD 'hunter2'\"", "hunter2", id="sql"),
        pytest.param("mysql -e \"CREATE USER 'b' IDENTIFIED BY 'hunter2'\"", "hunter2", id="sql-identified"),
        pytest.param(
            """bash -c "curl -d '{\\\\\\"api_key\\\\\\":\\\\\\"hunter2\\\\\\"}'\"""",
            "hunter2",
            id="json-twice",
        ),
        pytest.param(":password => 'hunter2'", "hunter2", id="hash-rocket"),
        pytest.param("'password' => \"hunter2\",", "hunter2", id="array-of-php"),
        pytest.param('psk="hunter22"', "hunter22", id="wireless"),
        pytest.param("api.key=hunter22", "hunter22", id="properties"),
        pytest.param(f"https://b.example/k?X-Amz-Signature={mix(64)}", mix(64), id="signed-address"),
    ],
)
def test_a_secret_is_known_by_its_form(text: str, secret: str) -> None:
    clean = Redactor().text(text)
    assert secret not in clean
    assert "[masked:" in clean
    assert Redactor().text(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "git commit -m 'pass: the tests, and rename token to word'",
        "pytest tests/test_auth.py -k token --maxfail 1",
        "docker run -u 1000:1000 -v a:b image",
        "rsync -u src host:path",
        "git push -u origin main:main",
        "def read(token: str, max_tokens=100) -> Key: password = ask()",
        "TOKEN=$OTHER run; echo $TOKEN ${API_KEY}",
        "token = os.environ['X']",
        "ssh-keygen -t ed25519 -f ~/.ssh/id_ed25519",
        "gh auth status && gh auth token",
        "sort --key 2 f; jq '.keys[0]' f",
        "cd $PWD; OLDPWD=/x y; PWD=/tmp ls",
        "curl https://example.com:8080/path?page=2",
        "git log --author=me sk-1 gh_x",
        "--- a/keys.py\n+++ b/keys.py\n+primary_key: int = 1",
        "openssl req -newkey rsa:2048 -keyout key.pem",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


VALUE = 'c0rrect/Horse+"battery'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(VALUE, id="plain"),
        pytest.param('"c0rrect/Horse+\\"battery"', id="json"),
        pytest.param(base64.b64encode(VALUE.encode()).decode(), id="base64"),
        pytest.param(base64.b64encode(f"u:{VALUE}".encode()).decode(), id="base64-after-2"),
        pytest.param(base64.b64encode(f"x{VALUE}yz".encode()).decode(), id="base64-after-1"),
        pytest.param(base64.urlsafe_b64encode(f"???{VALUE}".encode()).decode(), id="base64-url"),
        pytest.param(VALUE.encode().hex(), id="hex"),
        pytest.param(f"00{VALUE.encode().hex().upper()}", id="hex-upper"),
        pytest.param(quote(VALUE), id="url"),
        pytest.param(quote(VALUE, safe=""), id="url-all"),
        pytest.param(quote_plus(VALUE).replace("%2F", "%2f"), id="form"),
    ],
)
def test_a_secret_is_known_by_its_value(text: str) -> None:
    clean = Redactor([VALUE]).text(f"run {text} now")
    assert "[masked:known]" in clean
    assert "rrect" not in clean
    left = clean.removeprefix("run ").removesuffix(" now").replace("[masked:known]", "")
    assert len(left) <= 8


@given(
    st.binary(max_size=8),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40),
    st.binary(max_size=8),
)
def test_a_value_is_found_in_base64_and_hex_whatever_stands_around_it(
    before: bytes, value: str, after: bytes
) -> None:
    redactor = Redactor([value])
    data = before + value.encode() + after
    assert "[masked:" in redactor.text(base64.b64encode(data).decode())
    assert "[masked:" in redactor.text(data.hex())


@given(st.text(), st.text(min_size=6, max_size=20), st.text())
def test_a_known_value_never_stays(before: str, value: str, after: str) -> None:
    assert value not in Redactor([value]).text(before + value + after).replace("[masked:known]", "\0")


@pytest.mark.parametrize("value", ["caf\udce9-secret", "lone\ud800-secret", "\0\n\x1b secret"])
def test_a_value_of_odd_characters_is_found(value: str) -> None:
    assert Redactor([value], key=KEY).text(f"x{value}y").startswith("x[masked:known#")


def decided(subject: str, *words: str) -> Decided:
    rule = RuleMatch(
        rule_id="r",
        decision=Decision.ASK,
        certainty=Certainty.YES,
        origin=Origin(Layer.USER, "f", 1),
        words=words,
    )
    part = Part(kind="command", text=subject, decision=Decision.ASK, matches=(rule,))
    return Decided("s", "c", "exec_command", subject, "/", Verdict(decision=Decision.ASK, parts=(part,)))


def written(event: AuditEvent) -> str:
    return canonical(to_json(event)).decode()


def test_every_field_of_an_event_is_cleaned_and_listed() -> None:
    event = Redactor().event(decided("deploy --token hunter2x", "--token", "hunter2x"))
    assert "hunter2x" not in written(event)
    assert isinstance(event, Decided)
    assert event.subject == "deploy --token [masked:value]"
    assert event.masked == (
        "/subject",
        "/verdict/parts/0/text",
        "/verdict/parts/0/rules/0/words/1",
        "/verdict/rules/0/words/1",
    )


def test_a_secret_seen_once_is_known_in_later_events() -> None:
    redactor = Redactor()
    redactor.event(decided("deploy --token hunter2x"))
    later = redactor.event(Refused("s", "c", "the server does not take hunter2x"))
    assert later == Refused("s", "c", "the server does not take [masked:known]", masked=("/why",))


def test_an_event_without_secrets_is_handed_through() -> None:
    event = decided("git status", "status")
    assert Redactor(["unrelated-secret"]).event(event) is event


def test_equal_secrets_have_equal_markers_under_a_key() -> None:
    keys = (KEY, KEY, MaskKey("2026q4-b", b"b" * 32))
    one, two, three = (Redactor(["same-secret"], key=key).text("x same-secret") for key in keys)
    assert one == two != three
    assert one.startswith("x [masked:known#")
    assert Redactor(["same-secret"], key=KEY).text("x c2FtZS1zZWNyZXQ").startswith(one[:-1])


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("OPENAI_API_KEY", True),
        ("GITHUB_TOKEN", True),
        ("PGPASSWORD", True),
        ("clientSecret", True),
        ("DB_PASS", True),
        ("NPM_AUTH", True),
        ("SENTRY_DSN", True),
        ("STRIPE_KEY", True),
        ("sort_key", False),
        ("PATH", False),
        ("PWD", False),
        ("SSH_AUTH_SOCK", False),
        ("KEYBOARD", False),
        ("COMPASS", False),
        ("AUTHOR", False),
        ("max_tokens", False),
    ],
)
def test_a_name_says_that_its_value_is_secret(name: str, want: bool) -> None:
    assert is_secret_name(name) is want


def test_values_of_secret_variables_are_taken_from_an_environment() -> None:
    env = {"API_KEY": "abcdefgh", "HOME": "/home/me", "SHORT_TOKEN": "x"}
    assert secret_values(env) == ("abcdefgh",)


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "token=", "-----BEGIN PRIVATE KEY-----", "https://a:", "'\"\\", "--key ", "mysql -", "eyJ."),
        *(
            "echo sudo ",
            "echo -n -stdin ",
            "name: a, value: ",
            "password is ",
            "'-a', ",
            "<a>b",
            "\\x41",
            "a'b",
        ),
    ],
)
@pytest.mark.timeout(60)  # were it the square of the length, it would take longer
def test_a_secret_behind_much_that_looks_like_one_is_found(piece: str) -> None:
    text = Redactor(["some-secret-value"]).text(piece * (200_000 // len(piece)) + "\n\nsome-secret-value")
    assert "some-secret-value" not in text


def test_the_classes_of_the_engines_values_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(kind="command", text="git status", decision=Decision.ALLOW)
    verdict = Verdict(decision=Decision.ALLOW, parts=(part,) * 20)
    event = Decided("s", "c", "exec_command", "git status", "/w", verdict)
    redactor = Redactor(["value-of-a-secret"])
    redactor.event(event)
    looked: list[type] = []
    monkeypatch.setattr("compliance.redact.values.fields", lambda kind: looked.append(kind) or ())
    assert redactor.event(event) == event
    assert looked == []
