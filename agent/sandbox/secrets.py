"""Where keys, tokens and the history of a person lie: no command needs to read them unless told so."""

from __future__ import annotations

import os

_IN_HOME = """
    .ssh .aws .azure .gnupg .kube .docker .oci .config/gcloud .config/gh .config/hub .config/op .config/doctl
    .config/git/credentials .config/rclone .config/sops .config/heroku .config/containers/auth.json
    .netrc .git-credentials .pypirc .pgpass .my.cnf .vault-token .password-store .boto .s3cfg
    .terraform.d/credentials.tfrc.json .cargo/credentials .cargo/credentials.toml .gem/credentials
    .m2/settings-security.xml
    .local/share/keyrings .local/share/kwalletd .pki .mozilla .thunderbird .config/google-chrome .config/chromium
    .config/BraveSoftware .config/microsoft-edge .config/1Password .config/Bitwarden
    .bash_history .zsh_history .python_history .node_repl_history .psql_history .mysql_history .lesshst .viminfo
    .codex/auth.json .claude/.credentials.json .gemini/oauth_creds.json .config/github-copilot
    Library/Keychains Library/Cookies Library/Safari Library/Mail Library/Messages
""".split()  # noqa: SIM905 - a list of names
_OF_MACHINE = """
    /etc/shadow /etc/shadow- /etc/gshadow /etc/gshadow- /etc/sudoers /etc/sudoers.d /etc/krb5.keytab /etc/ssl/private
    /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_ecdsa_key /etc/ssh/ssh_host_ed25519_key
    /run/secrets /var/run/secrets /var/lib/docker /var/lib/kubelet /etc/kubernetes /etc/wireguard
    /etc/NetworkManager/system-connections /var/lib/sss/secrets
""".split()  # noqa: SIM905 - a list of names


def default_hidden(home: str) -> tuple[str, ...]:
    """Every place that is hidden unless a spec names it as readable; most do not exist."""
    return (*(os.path.join(home, name) for name in _IN_HOME), *_OF_MACHINE)
