"""How long `hyperplane --help` and `import hyperplane` take, in fresh processes, over an empty Python process."""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.record import spread, write

REPEATS = 15
CASES = {
    "python, nothing": ["-c", "pass"],
    "import hyperplane": ["-c", "import hyperplane"],
    "hyperplane --help": ["-m", "hyperplane", "--help"],
    "hyperplane list": ["-m", "hyperplane", "list"],
}


def seconds(arguments: list[str]) -> float:
    """Return how long a process took from its start to its end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and write."""
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for arguments in CASES.values():
        seconds(arguments)  # compiles what is not compiled yet
    for _ in range(REPEATS):
        for name, arguments in CASES.items():
            times[name].append(seconds(arguments))
    empty = times["python, nothing"]
    own = [a - b for a, b in zip(times["import hyperplane"], empty, strict=True)]
    write("startup", {"seconds": {n: spread(v) for n, v in times.items()}, "import alone, seconds": spread(own)})
    print({name: f"{spread(values)['median']:.3f} s" for name, values in times.items()})


if __name__ == "__main__":
    main()
