"""`python -I -m execpolicy`: the policy commands alone."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run one command line; a reader that has gone away or an interrupt ends it without a word."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a word may be no UTF-8
    try:
        status = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _run() -> int:
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
