"""Where the rules we ship lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

from execpolicy.bundle.load import PolicySource
from execpolicy.decision import Layer


def folder() -> Path | None:
    """The folder of bundles and profiles; None when this installation carries none."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "_shipped", package.parent / "rules"):
        if (place / "profiles").is_dir():
            return place
    return None


def profiles() -> tuple[str, ...]:
    """The names of the shipped profiles."""
    place = folder()
    return () if place is None else tuple(sorted(path.stem for path in (place / "profiles").glob("*.yaml")))


def profile_files(name: str) -> tuple[Path, ...] | None:
    """The rule files of a profile, in its order; None when there is no profile of that name.

    A profile is a list under `files:`. It is read by hand, so that start-up pays for no YAML; a test
    compares this reading with a real one.
    """
    place = folder()
    if place is None or "/" in name or not (place / "profiles" / f"{name}.yaml").is_file():
        return None
    lines = (place / "profiles" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    at = lines.index("files:")
    return tuple(place / line.strip()[2:] for line in lines[at + 1 :] if line.strip().startswith("- "))


class NoProfile(Exception):
    """There is no shipped profile of that name; the message names those there are."""


def profile_sources(name: str) -> tuple[PolicySource, ...]:
    """The rule files of a profile for the loader. Raises `NoProfile`.

    They stand in the user's layer: what the user writes can open their rules by an exception, what a project or
    a file named for one run says cannot.
    """
    files = profile_files(name)
    if files is None:
        raise NoProfile(f"no profile `{name}`: known are {', '.join(profiles()) or 'none'}")
    return tuple(PolicySource(path, Layer.USER, proven=True) for path in files)


def mask_source() -> PolicySource | None:
    """The masks that hold where no profile brings them."""
    place = folder()
    return (
        None if place is None else PolicySource(place / "masking" / "masking.rules", Layer.USER, proven=True)
    )
