"""HTML to PDF, with WeasyPrint. Only this module and warm.py import WeasyPrint."""

import logging
import mimetypes
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import weasyprint
from django.conf import settings
from django.template import Context, Engine
from weasyprint.logger import LOGGER, PROGRESS_LOGGER
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from . import archive, structure
from .archive import Attached
from .contract import DocumentError, Progress

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
PRINT_STYLES = TEMPLATES / "documents"

# The address of the work folder while a document is made. The same on all machines, since pictures are named after it.
WORK_FOLDER = "file:///the-work-folder/"
REPLACEMENT = "\ufffd"
# Letters for private use, and signs that XML does not allow. No font has letters for them that others would know.
UNPRINTABLE = re.compile("[\0-\x08\x0b\x0e-\x1f\x7f\ud800-\uf8ff\ufffe\uffff\U000f0000-\U0010ffff]")

logger = logging.getLogger(__name__)
weasyprint.pdf.add_tags = structure.add_tags  # type: ignore[attr-defined]


def render(
    template_name: str,
    context: Mapping[str, Any],
    work_folder: Path,
    out_path: Path,
    progress: Progress,
    first: int,
    last: int,
    data: Attached | None = None,
) -> int:
    """Print a template of ``templates/`` to the PDF file ``out_path``; return its number of pages.

    Addresses in the HTML are relative to ``work_folder``; a file outside it and the print styles, anything on a
    network and a picture that cannot be read raise DocumentError. Progress goes from ``first`` to ``last`` per cent.
    ``data`` is a file to put into the PDF.
    """
    return write(html(template_name, context), work_folder, out_path, _Steps(progress, first, last), data)


def html(template_name: str, context: Mapping[str, Any]) -> str:
    return str(engine().get_template(template_name).render(Context(dict(context), use_l10n=False, use_tz=False)))


def write(source: str, work_folder: Path, out_path: Path, steps: logging.Handler, data: Attached | None = None) -> int:
    """Print HTML as render() does; ``steps`` handles WeasyPrint's log of its progress."""
    source = UNPRINTABLE.sub(REPLACEMENT, source)
    problems: list[str] = []
    with _listening(steps) as (errors, missing):
        try:
            document = _print(source, work_folder, out_path, errors, data)
            if missing.letters:
                # A box in the place of a letter says nothing to anybody, so a letter that no font has is replaced.
                source = source.translate(dict.fromkeys(missing.letters, REPLACEMENT))
                document = _print(source, work_folder, out_path, errors, data)
        except FatalURLFetchingError as error:
            problems.append(f"{error}: {error.__cause__}")
    problems += [record.getMessage() for record in errors.buffer]
    if problems:
        logger.error("%s: %s would be incomplete: %s", work_folder.name, out_path.name, "; ".join(problems))
        raise DocumentError(
            "A picture or a part of this document could not be used, so it would have been incomplete. "
            "Retry; if it fails again, give support the reference."
        )
    return len(document.pages)


def _print(
    source: str, work_folder: Path, out_path: Path, errors: BufferingHandler, data: Attached | None
) -> weasyprint.Document:
    fetcher = WorkFolderFetcher(work_folder, PRINT_STYLES)
    page = weasyprint.HTML(string=source, base_url=WORK_FOLDER, url_fetcher=fetcher)
    document = page.render(stylesheets=[print_styles()], pdf_variant=archive.VARIANT)
    if not errors.buffer:
        attachments = [archive.attachment(data, fetcher)] if data else []
        document.write_pdf(out_path, pdf_variant=archive.VARIANT, attachments=attachments, finisher=archive.finish)
    return document  # type: ignore[no-any-return]


@cache
def engine() -> Engine:
    """Return Django's template engine. A process that renders has no settings, but a few filters read a setting."""
    if not settings.configured:
        settings.configure(USE_I18N=False)
    return Engine(dirs=[str(TEMPLATES)], autoescape=True, builtins=["assessments.printing.formatting"])


@cache
def print_styles() -> weasyprint.CSS:
    return weasyprint.CSS(filename=PRINT_STYLES / "print.css", url_fetcher=WorkFolderFetcher(PRINT_STYLES))


class WorkFolderFetcher(URLFetcher):
    """Opens only files that are inside the given folders after all links and ``..`` are resolved."""

    def __init__(self, *folders: Path) -> None:
        # Nothing is fetched from a network; an empty context saves reading all certificate authorities, some 20 ms.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(ssl_context=nobody, allowed_protocols=("file",), allow_redirects=False, fail_on_errors=True)
        self._folders = tuple(folder.resolve() for folder in folders)

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> URLFetcherResponse:
        address = urlsplit(url)
        if address.scheme != "file" or address.netloc not in ("", "localhost"):
            raise PermissionError(f"only files may be used, not {url[:200]}")
        named = url2pathname(address.path)
        if url.startswith(WORK_FOLDER):
            named = f"{self._folders[0]}/{named.removeprefix(url2pathname(urlsplit(WORK_FOLDER).path))}"
        path = Path(named).resolve(strict=True)
        if not any(path.is_relative_to(folder) for folder in self._folders):
            raise PermissionError(f"{path} is outside the document's folders")
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return URLFetcherResponse(path.as_uri(), path.open("rb"), {"Content-Type": content_type})


class _Steps(logging.Handler):
    """Turns WeasyPrint's progress log into per cents that never run backwards.

    The log names seven steps, and the pages within the fifth step. The number of pages is not known before the last
    page, so each page takes a part of the rest of the step.
    """

    _START = {1: 0.0, 2: 0.03, 3: 0.05, 4: 0.15, 5: 0.25, 6: 0.80, 7: 0.97}

    def __init__(self, progress: Progress, first: int, last: int) -> None:
        super().__init__(logging.INFO)
        self._progress, self._first, self._last = progress, first, last
        self._reached = first
        self._page = 0

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage().split()
        if len(words) < 2 or words[0] != "Step" or not words[1].isdecimal():
            return
        step = int(words[1])
        # A document whose pages refer to each other is laid out several times, each time from its first page on.
        share = self._START.get(step, 0.0)
        if step == 5:
            self._page = max(self._page, next((int(word) for word in words[2:] if word.isdecimal()), 0))
            share += (self._START[6] - share) * self._page / (self._page + 8)
        self._reached = max(self._reached, self._first + int((self._last - self._first) * share))
        laying_out = f"Laying out page {self._page}" if self._page else "Preparing the pages"
        self._progress(self._reached, "Writing the PDF" if step > 5 else laying_out)


class _MissingLetters(logging.Filter):
    """Collects the letters that no font has, and keeps the warnings about them from the log."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.msg.startswith(".notdef glyph") or not isinstance(record.args, tuple):
            return True
        self.letters.add(record.args[1])  # type: ignore[arg-type]
        return False


@contextmanager
def _listening(steps: logging.Handler) -> Iterator[tuple[BufferingHandler, _MissingLetters]]:
    """Handle WeasyPrint's two loggers for the time of one document; only ``steps`` gets the log of the progress.

    The errors in the log are collected: each is about something that the document should show and does not.
    """
    missing = _MissingLetters()
    errors, level, propagate = BufferingHandler(sys.maxsize), PROGRESS_LOGGER.level, PROGRESS_LOGGER.propagate
    errors.setLevel(logging.ERROR)
    LOGGER.addHandler(errors)
    LOGGER.addFilter(missing)
    PROGRESS_LOGGER.addHandler(steps)
    PROGRESS_LOGGER.setLevel(logging.INFO)
    PROGRESS_LOGGER.propagate = False
    try:
        yield errors, missing
    finally:
        LOGGER.removeHandler(errors)
        LOGGER.removeFilter(missing)
        PROGRESS_LOGGER.removeHandler(steps)
        PROGRESS_LOGGER.setLevel(level)
        PROGRESS_LOGGER.propagate = propagate
