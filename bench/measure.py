"""Medians of repeated runs, and the table they are printed in."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    milliseconds: list[float]
    baseline: bool = False


def rounds(work: Mapping[str, Callable[[], object]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each piece of work, the pieces in turn, after one warm-up of each.

    Taking turns spreads the noise of a shared machine over all of them.
    """
    for piece in work.values():
        piece()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(runs):
        for name, piece in work.items():
            start = time.perf_counter()
            piece()
            times[name].append((time.perf_counter() - start) * 1000)
    return times


def command(argv: Sequence[str], env: Mapping[str, str] | None = None) -> Callable[[], object]:
    """A whole process, its output thrown away. Any exit status is fine: decisions have their own."""
    return lambda: subprocess.run(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def table(title: str, times: Mapping[str, Sequence[float]], baseline: str, unit: str = "ms") -> None:
    """Print medians, the spread, and each median over the baseline's."""
    floor = statistics.median(times[baseline])
    runs = max(len(values) for values in times.values())
    print(f"\n### {title} ({runs} runs, {unit})\n")
    print("| work | median | min | max | x baseline |")
    print("|---|---:|---:|---:|---:|")
    for name, values in times.items():
        middle = statistics.median(values)
        mark = " (baseline)" if name == baseline else ""
        print(
            f"| {name}{mark} | {middle:.2f} | {min(values):.2f} | {max(values):.2f} | {middle / floor:.1f} |"
        )
