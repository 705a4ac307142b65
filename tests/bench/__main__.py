"""``make bench``: each part in a process of its own, as each has a database of its own.

``python -m tests.bench`` runs all of them, ``python -m tests.bench streams`` one. Nothing here fails because it is
slow: the machine may be busy.
"""

import subprocess
import sys

PARTS = {"documents": "documents", "streams": "streams", "queue": "queueing", "uploads": "uploads"}


def main(chosen: list[str]) -> int:
    if unknown := [part for part in chosen if part not in PARTS]:
        print(f"There is no part {', '.join(unknown)}; there are {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    ended = [
        subprocess.run([sys.executable, "-m", f"tests.bench.{PARTS[part]}"], check=False).returncode
        for part in chosen or PARTS
    ]
    return max(ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
