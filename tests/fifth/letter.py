"""The letter to the insured: one page."""

from pathlib import Path

from assessments.printing import pdf
from assessments.printing.contract import Made, Progress
from assessments.printing.data import Snapshot
from assessments.words import counted

pdf.engine().dirs.append(str(Path(__file__).parent))
# Load the template now: later the process is confined and must not read this folder.
pdf.engine().get_template("letter.html")


def generate(snapshot: Snapshot, work_folder: Path, progress: Progress) -> Made:
    path = work_folder / "letter.pdf"
    pages = pdf.render("letter.html", {"snapshot": snapshot}, work_folder, path, progress, 2, 98)
    return Made(path, counted(pages, "page"), pages=pages)
