"""``make bench``: each part in a process of its own, as each has a database of its own.

``python -m tests.bench`` runs all of them, ``python -m tests.bench streams`` one, and ``--tiny`` as little of them as
shows that they work. Nothing here fails because it is slow: the machine may be busy.
"""

import argparse
import os
import subprocess
import sys

PARTS = {"documents": "documents", "streams": "streams", "queue": "queueing", "uploads": "uploads"}
# The sizes that the parts have in a tiny bench; they say what these mean, and what is usual.
TINY = {
    "BENCH_RUNS": "1",
    "BENCH_PHOTOS": "1",
    "BENCH_MEGAPIXELS": "1",
    "BENCH_LINES": "24",
    "BENCH_LOADS": "4/2",
    "BENCH_KNEE": "10",
    "BENCH_SECONDS": "0.5",
    "BENCH_QUIET": "0.2",
    "BENCH_ASSESSMENTS": "2",
    "BENCH_BURSTS": "1",
    "BENCH_IDLE": "0.3",
    "BENCH_PEOPLE": "2",
    "BENCH_UPLOADS": "1",
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("python -m tests.bench")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all of them when none is named")
    parser.add_argument("--tiny", action="store_true", help="measure next to nothing")
    chosen = parser.parse_args(arguments)
    if unknown := [part for part in chosen.parts if part not in PARTS]:
        parser.error(f"There is no part {', '.join(unknown)}; there are {', '.join(PARTS)}.")
    environment = {**os.environ, **(TINY if chosen.tiny else {})}
    return max(run(PARTS[part], environment) for part in chosen.parts or PARTS)


def run(module: str, environment: dict[str, str]) -> int:
    # The processes that multiprocessing starts import the main module of the process that starts them, if it has a
    # name. A part sets Django up when it is imported, which fails in a child: no part may be the main module.
    code = f"from tests.bench import {module}; {module}.main()"
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
