"""`python -I -m execpolicy`: the policy commands alone."""

from __future__ import annotations

import sys


def main() -> int:
    """The usual questions are answered without a command line library."""
    words = sys.argv[1:]
    if words[:1] == ["check"]:
        from execpolicy.cli.check import check_quickly

        status = check_quickly(words[1:])
        if status is not None:
            return status
    from execpolicy.cli import app

    app(prog_name="execpolicy")
    return 0


if __name__ == "__main__":
    sys.exit(main())
