"""Hands over to the command line, and keeps an interrupt quiet until that can tell it in words."""

# Built into the interpreter: until it is there an interrupt is told by Python, and the module around it takes a while.
import _signal as signal  # type: ignore[import-not-found]  # the type stubs know only the module around it
import sys


def main() -> int:
    """Run the command line; its exit status.

    An interrupt before anything is loaded ends the process as a signal does, without Python's own words.
    """
    early = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if early:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from agent.cli import main as commands

    if early:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return commands.main()


if __name__ == "__main__":
    sys.exit(main())
