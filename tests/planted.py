"""A corpus of secrets, where they stand, and of what looks like one and is none.

Secrets are put together here, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

import base64
import hashlib
import random
import uuid

_DICE = random.Random(20261124)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def made(length: int, alphabet: str = _LETTERS + "0123456789") -> str:
    text = "".join(_DICE.choice(alphabet) for _ in range(length - 2))
    return text + _DICE.choice("0123456789") + _DICE.choice("abcdef")


def hexes(length: int) -> str:
    return made(length, "0123456789abcdef")


# what it is -> the token as it stands alone; its form tells it
TOKENS = {
    "aws-id": "AKIA" + "".join(_DICE.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16)),
    "github": "ghp" + "_" + made(36),
    "github-app": "ghs" + "_" + made(36),
    "github-fine": "github" + "_pat_" + made(22) + "_" + made(59),
    "gitlab": "glpat" + "-" + made(20),
    "slack": "xoxb" + "-" + hexes(12) + "-" + made(24),
    "stripe": "sk" + "_live_" + made(24),
    "openai": "sk" + "-proj-" + made(48),
    "anthropic": "sk" + "-ant-api03-" + made(80),
    "google": "AIza" + made(35),
    "npm": "npm" + "_" + made(36),
    "pypi": "pypi" + "-AgEIcHlwaS5vcmc" + made(60),
    "huggingface": "hf" + "_" + made(34),
    "sendgrid": "SG." + made(22) + "." + made(43),
    "vault": "hvs." + made(28),
    "telegram": "123456789:AA" + made(33),
    "digitalocean": "dop" + "_v1_" + hexes(64),
    "shopify": "shpat" + "_" + hexes(32),
    "twilio": "SK" + hexes(32),
    "databricks": "dapi" + hexes(32),
    "grafana": "glsa" + "_" + made(32) + "_" + hexes(8),
    "linear": "lin_api" + "_" + made(40),
    "docker": "dckr" + "_pat_" + made(27),
    "rubygems": "rubygems" + "_" + hexes(48),
    "groq": "gsk" + "_" + made(52),
    "age": "AGE-SECRET-KEY-1" + "".join(_DICE.choice("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L") for _ in range(58)),
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + made(40) + "." + made(43),
}

# where a token may stand
PLACES = {
    "bare": "use {s} now",
    "argument": "deploy --to prod {s}",
    "option": "deploy --key={s}",
    "quoted": "deploy '{s}'",
    "variable": "export X={s}; run",
    "url": "curl https://x.example/a?k={s}",
    "json": '{{"a": "{s}", "b": 1}}',
    "yaml": "a:\n  b: {s}\n",
    "patch": "*** Begin Patch\n*** Update File: a.py\n+K = '{s}'\n*** End Patch",
    "here-document": "cat > f <<EOF\n{s}\nEOF",
    "output": "line one\n{s}\nline three\n",
    "error": "request failed: 401 for token {s}: denied",
    "file-name": "rm '/srv/backup-{s}.tar'",
}

_WORD = made(18)
# what stands beside it tells it: text -> the secret
TOLD = {
    f"psql postgres://app:{_WORD}@db.example/x": _WORD,
    f"mongosh 'mongodb+srv://app:{_WORD}@c.example/x?a=b'": _WORD,
    f"redis-cli -u redis://:{_WORD}@cache.example": _WORD,
    f"curl -u ann:{_WORD} https://x.example": _WORD,
    f"curl -H 'Authorization: Basic {base64.b64encode(b'ann:' + _WORD.encode()).decode()}' u": base64.b64encode(
        b"ann:" + _WORD.encode()
    ).decode(),
    f"curl -H 'Authorization: Bearer {_WORD}' u": _WORD,
    f"curl -H 'X-Api-Key: {_WORD}' u": _WORD,
    f"curl -b 'sid={_WORD}' -H 'Cookie: sid={_WORD}' u": _WORD,
    f"Set-Cookie: session={_WORD}; Path=/": _WORD,
    f"machine x.example login ann password {_WORD}": _WORD,
    f"users:\n- name: a\n  user:\n    token: {_WORD}\n": _WORD,
    f'{{"auths": {{"r.example": {{"auth": "{base64.b64encode(_WORD.encode()).decode()}"}}}}}}': base64.b64encode(
        _WORD.encode()
    ).decode(),
    f"API_KEY={_WORD} run": _WORD,
    f"DB_PASSWORD='{_WORD}' run": _WORD,
    f"export AWS_SECRET_ACCESS_KEY={made(40)}x{_WORD}": _WORD,
    f"aws_secret_access_key = {_WORD}{_WORD}": _WORD,
    f"docker run -e MY_SECRET={_WORD} image": _WORD,
    f"mysql -u root -p{_WORD} db": _WORD,
    f"mysql -u root -p'{_WORD}' db": _WORD,
    f"sshpass -p {_WORD} ssh h": _WORD,
    f"docker login -u a -p {_WORD} r.example": _WORD,
    f"az login --service-principal -u a -p {_WORD} --tenant t": _WORD,
    f"redis-cli -a {_WORD} ping": _WORD,
    f"kubectl create secret generic s --from-literal=k={_WORD}": _WORD,
    f"vault kv put secret/x k={_WORD}": _WORD,
    f"openssl rsa -in k.pem -passin pass:{_WORD}": _WORD,
    f"htpasswd -bn ann {_WORD}": _WORD,
    f'{{"password": "{_WORD}"}}': _WORD,
    f'{{"client_secret": "{_WORD}"}}': _WORD,
    f"password: {_WORD}": _WORD,
    f"DefaultEndpointsProtocol=https;AccountKey={_WORD}==;EndpointSuffix=x": _WORD,
    f"https://a.blob.example/c?sv=1&sig={_WORD}": _WORD,
    f"//registry.example/:_authToken={_WORD}": _WORD,
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{_WORD}\n-----END OPENSSH PRIVATE KEY-----": _WORD,
    f"-----BEGIN RSA PRIVATE KEY-----\n{_WORD}\n": _WORD,
    f"*** Add File: .env\n+A={_WORD}\n": _WORD,
    f"https://hooks.slack.com/services/T0/B0/{_WORD}{_WORD}": _WORD,
    f"token = '{_WORD}'": _WORD,
    f"https://{_WORD}{_WORD}@github.com/o/r": _WORD,
    f"P={_WORD}; mysql -p{_WORD}": _WORD,
    f'bash -c "mysql -p{_WORD}"': _WORD,
    f'curl -d \'{{"pwd":"{_WORD}"}}\' u': _WORD,
    f"curl 'https://x.example/?access_token={_WORD}&a=1'": _WORD,
    f'{{"args": ["--token", "{_WORD}"]}}': _WORD,
    f"['--password', '{_WORD}']": _WORD,
    f"<password>{_WORD}</password>": _WORD,
    f'<add key="ApiKey" value="{_WORD}"/>': _WORD,
    f"- name: DB_PASSWORD\n  value: {_WORD}": _WORD,
    f'{{"name": "DB_PASSWORD", "value": "{_WORD}"}}': _WORD,
    f"echo {_WORD} | docker login --password-stdin": _WORD,
    f"printf '%s' {_WORD} | gh auth login --with-token": _WORD,
    f"sudo -S <<< {_WORD} ls": _WORD,
    f"echo {_WORD} | sudo -S ls": _WORD,
    f"sqlplus scott/{_WORD}@db": _WORD,
    f"Server=h;Uid=a;Pwd={_WORD};": _WORD,
    f"jdbc:postgresql://h/db?user=a&password={_WORD}": _WORD,
    f"the password is {_WORD}, use it": _WORD,
    f"setx API_TOKEN {_WORD}": _WORD,
    f"git -c http.extraHeader='Authorization: Basic {_WORD}' fetch": _WORD,
    f"password:\n  {_WORD}": _WORD,
    f'x ghp""_{made(36)}{_WORD}': _WORD,
    f"x \\x67hp_{made(20)}{_WORD}": _WORD,
    f"x g\u200bhp_{made(20)}{_WORD}": _WORD,
    f"x sk-'{made(20)}'{_WORD}": _WORD,
}

_DIGEST = hashlib.sha256(b"x").hexdigest()
# none of these holds a secret
INNOCENT = (
    f"git show {hashlib.sha1(b'x', usedforsecurity=False).hexdigest()}",
    f"git rebase --onto main {_DIGEST[:12]} topic",
    f"docker pull alpine@sha256:{_DIGEST}",
    f"{_DIGEST}  dist/a.tar.gz",
    f"request {uuid.UUID(int=_DICE.getrandbits(128))} done",
    f"![x](data:image/png;base64,{base64.b64encode(bytes(_DICE.randrange(256) for _ in range(300))).decode()})",
    f'"integrity": "sha512-{base64.b64encode(hashlib.sha512(b"x").digest()).decode()}"',
    f'checksum = "{_DIGEST}"',
    f"h1:{base64.b64encode(hashlib.sha256(b'y').digest()).decode()}=",
    f"    --hash=sha256:{_DIGEST}",
    f"resolved https://registry.example/a/-/a-1.2.3.tgz#{_DIGEST[:40]}",
    "cat /usr/lib/python3/dist-packages/keyring/backends/SecretService.py",
    "ls src/main/java/com/example/authentication/PasswordResetTokenRepository.java",
    "pytest tests/test_tokens.py::test_a_password_is_hashed -k 'token or secret'",
    "grep -rn 'api_key' src/ | head",
    "def test_a_token_that_has_expired_is_refused(self) -> None:",
    "from app.security import get_password_hash, verify_password, create_access_token",
    "git commit -m 'Rotate keys: the token cache is keyed by user'",
    "max_tokens=4096 temperature=0.2",
    "tokenizer = AutoTokenizer.from_pretrained('bert-base-uncased')",
    "sort -k 2 -t : /etc/passwd | cut -d: -f1",
    "npm run build -- --mode production && npm publish --dry-run",
    "ssh-keygen -t ed25519 -f ~/.ssh/id_ed25519 -C ann@example.com",
    "kubectl get secret db -o jsonpath='{.metadata.name}'",
    "psql -h localhost -p 5432 -U app -d app",
    "docker run -p 8080:80 -u 1000:1000 -v /a:/b nginx:1.27",
    "rsync -avz -e 'ssh -p 2222' src/ host:dst/",
    "curl -sS https://example.com:8443/v1/items?page=2&sort=key",
    "select id, password_hash from users where id = 1",
    "TOKEN=$(gh auth token) run",
    "export PATH=/opt/tool/bin:$PATH KEYBOARD=us",
    "if (password !== confirmPassword) throw new Error('passwords differ')",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0fYw1R7y0v ann@example.com",
    "Content-Type: application/json; charset=utf-8",
    "mysql -u root -p db < dump.sql",
    "openssl x509 -in cert.pem -noout -fingerprint -sha256",
    "git log --format='%H %an' --since=2026-01-01",
    "commit 3f786850e387550fdab836ed7e6dc881de23001b (HEAD -> main)",
    "@@ -12,7 +12,9 @@ class TokenBucketRateLimiterConfigurationPropertiesAutoConfiguration:",
    "https://example.com/reset-password?lang=en",
    "x = 0x9e3779b97f4a7c15",
    "pwd=/srv/a; cd $pwd",
    "the token is refreshed by the server",
    "the password is hashed with argon2",
    "<name>value</name><key>abc</key>",
    "printf '%s\\n' \"it's here\" | sudo tee /etc/a",
    "don't use \"a\"b'c' here: C:\\Users\\ann\\x",
    "AKIA is where an id begins; ghp_ and sk- are others",
)
