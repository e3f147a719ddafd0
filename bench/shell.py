"""Times the shell reader: typical lines, 100 KB, hostile megabytes; `bash -n` as the baseline of the same run."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Callable

from execpolicy.shell.analyse import analyse
from execpolicy.shell.reader import read

TYPICAL = (
    "git status",
    "ls -la | grep foo",
    "cd src && make -j4 2>&1 | tail -n 20",
    'git commit -m "fix: a bug in the parser" && git push origin main',
    'find . -name "*.py" -exec grep -l foo {} +',
    'for f in *.txt; do mv "$f" "${f%.txt}.md"; done',
    "python -m pytest tests/foo -x -q 2>&1 | head -50",
    "sudo env A=1 nice -n 5 rm -rf build",
)
BUILD = """\
set -euo pipefail
root="$(git rev-parse --show-toplevel)"
for package in core tools docs; do
  if [[ -f "packages/$package/pyproject.toml" ]]; then
    (cd "packages/$package" && python -m build --wheel --outdir ../../dist > "../../logs/$package.log" 2>&1)
  else
    echo "nothing to build in $package" >&2
  fi
done
tar -czf "release-${VERSION:-0.0.0}.tar.gz" dist/*.whl docs/site README.md LICENSE
cat > dist/manifest.txt <<EOF
version ${VERSION:-0.0.0}
built on $(date +%F)
EOF
"""
HOSTILE = {
    "1 MB of `$(`": "$(" * 500_000,
    "1 MB of `((`": "((" * 500_000,
    "1 MB of `a;`": "a;" * 500_000,
    "1 MB of words": "a " * 500_000,
    "1 MB of functions": "".join(f"f{number}(){{ a;}};" for number in range(60_000)),
    "`$(` 50 deep": "p $(" * 50 + ")" * 50,
}


def seconds(work: Callable[[], object], repeat: int) -> float:
    """The best of three runs, processor time of this process."""
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        for _ in range(repeat):
            work()
        best = min(best, (time.process_time() - start) / repeat)
    return best


def bash(script: str) -> float:
    """Wall time of `bash -n` on the same text, its start included."""
    command = ["bash", "--noprofile", "--norc", "-n"]
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, input=script.encode(), capture_output=True, check=False)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    print(f"{'text':<70} {'read':>10} {'facts':>10} {'bash -n':>10}")
    sums = [0.0, 0.0]
    for line in TYPICAL:
        reading, facts = (seconds(lambda: read(line), 300), seconds(lambda: analyse(line), 300))  # noqa: B023
        sums[0] += reading
        sums[1] += facts
        print(f"{line:<70} {reading * 1e6:>7.0f} us {facts * 1e6:>7.0f} us {bash(line) * 1e3:>7.1f} ms")
    count = len(TYPICAL)
    print(f"{'mean of these':<70} {sums[0] / count * 1e6:>7.0f} us {sums[1] / count * 1e6:>7.0f} us")
    large = (BUILD * 200)[:100_000].rsplit("set -euo", 1)[0]
    reading, facts = seconds(lambda: read(large), 3), seconds(lambda: analyse(large), 3)
    print(
        f"{'100 KB of a build script':<70} {reading * 1e3:>7.0f} ms {facts * 1e3:>7.0f} ms {bash(large) * 1e3:>7.1f} ms"
    )
    for name, text in HOSTILE.items():
        facts = seconds(lambda: analyse(text), 1)  # noqa: B023
        print(f"{name:<70} {'':>10} {facts * 1e3:>7.0f} ms")
    print(
        f"largest resident set of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"
    )


if __name__ == "__main__":
    main()
