"""``make bench``: each part runs in a process of its own, as each part has a database of its own.

``python -m tests.bench`` runs all parts, ``python -m tests.bench streams`` one part. ``--tiny`` measures as little as
shows that the parts work. No part fails because it is slow: the machine may be busy.
"""

import argparse
import os
import subprocess
import sys

PARTS = {
    "documents": "documents",
    "streams": "streams",
    "queue": "queueing",
    "uploads": "uploads",
    "search": "searching",
}
# The sizes of a tiny bench. The parts explain the meaning and the usual value of each size.
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
    "BENCH_SEARCHED": "200",
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
    # A process that multiprocessing starts imports the main module of its parent, if that module has a name. A part
    # sets Django up when it is imported, which fails in a child, so a part must not be the main module.
    code = f"from tests.bench import {module}; {module}.main()"
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
