"""Asks pip-audit whether holes are known in the packages that are installed: ``python -m tests.vulnerabilities``.

A hole that a newer version mends fails the check; one that none mends yet is only said. So is it when the service
that knows of holes does not answer, since nobody can do anything about that here.
"""

import json
import subprocess
import sys
from typing import Any

# Seconds for one answer, and for all of them.
PATIENCE, PATIENCE_IN_ALL = 5, 120
# It came with Python, makes environments and does not run the application.
NOT_OURS = "pip"


def main() -> int:
    try:
        packages = [package for package in audited() if package["name"] != NOT_OURS]
    except RuntimeError as error:
        return not_checked(str(error))
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        return not_checked("the service knows none of the packages")
    if unknown := [package["name"] for package in packages if package not in known]:
        print(f"Not checked for known vulnerabilities, as the service does not know them: {', '.join(unknown)}.")
    found = [(package, hole) for package in known for hole in package["vulns"]]
    for package, hole in found:
        print(f"{package['name']} {package['version']} has the known vulnerability {hole['id']}: {remedy(hole)}")
    return 1 if any(hole["fix_versions"] for _, hole in found) else 0


def audited() -> list[dict[str, Any]]:
    """Return what pip-audit says of each package. Raises RuntimeError with the reason why it says nothing.

    Which service it asks can be set by pip-audit's own environment variables.
    """
    command = [sys.executable, "-m", "pip_audit", "--local", "--format=json", "--desc=off", "--progress-spinner=off"]
    try:
        done = subprocess.run(
            [*command, f"--timeout={PATIENCE}"], capture_output=True, text=True, timeout=PATIENCE_IN_ALL
        )
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the service took more than {PATIENCE_IN_ALL} s") from None
    except ValueError:
        raise RuntimeError("the service does not answer") from None
    return packages


def not_checked(reason: str) -> int:
    print(f"WARNING: the packages were NOT checked for known vulnerabilities: {reason}.", file=sys.stderr)
    return 0


def remedy(hole: dict[str, Any]) -> str:
    versions = ", ".join(hole["fix_versions"])
    return f"mended in {versions}" if versions else "no version mends it yet"


if __name__ == "__main__":
    sys.exit(main())
