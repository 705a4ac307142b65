"""Printing opens files of its work folder and the print styles, and no other file and no other machine."""

import itertools
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from pypdf import PdfReader

from assessments.printing import pdf
from assessments.printing.contract import DocumentError
from tests import cast

SECRET = "The-secret-of-the-machine"
# Addresses outside the work folder, each of which would open something if it were allowed.
SCHEMES = (
    "http://127.0.0.1:{port}/a",
    "https://127.0.0.1:{port}/a",
    "HTTP://127.0.0.1:{port}/a",
    "//127.0.0.1:{port}/a",
    "ftp://127.0.0.1:{port}/a",
    "http://example.com/a",
    "file://127.0.0.1:{port}{secret}",
    "file://{secret}",
    "FILE://{secret}",
    "file:{secret}",
    "file:////{secret}",
    "file://localhost{secret}",
    "file:///etc/passwd",
    "file:///proc/self/environ",
    "{secret}",
    "../outside/{name}",
    "..%2foutside%2f{name}",
    "%2e%2e/outside/{name}",
    "inside/../../outside/{name}",
    "link-{name}",
    "folder/{name}",
    "{secret}%00.jpg",
    "data:text/html,{text}",
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'%3E%3Ctext%3E{text}%3C/text%3E%3C/svg%3E",
    "javascript:alert(1)",
    "jar:file://{secret}!/a",
    "gopher://127.0.0.1:{port}/_a",
)
# Markup that opens an address, by the kind of file at the address.
PLACES = {
    "jpg": (
        '<img src="{url}">',
        '<embed src="{url}" type="image/jpeg">',
        '<object data="{url}" type="image/jpeg"></object>',
        '<p style="background: url({url})">Text</p>',
        '<ul style="list-style-image: url({url})"><li>Text</li></ul>',
        "<style>p::before {{ content: url({url}) }}</style><p>Text</p>",
        '<p style="border: 5px solid; border-image: url({url}) 30">Text</p>',
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="{url}" width="9" height="9"/></svg>',
    ),
    "css": (
        '<link rel="stylesheet" href="{url}">',
        "<style>@import url({url});</style><p>Text</p>",
        '<style>@import "{url}";</style><p>Text</p>',
        "<style>@font-face {{ font-family: X; src: url({url}) }} p {{ font-family: X }}</style><p>Text</p>",
        '<svg xmlns="http://www.w3.org/2000/svg"><style>@import "{url}";</style><text y="9">Text</text></svg>',
    ),
    "svg": (
        '<img src="{url}">',
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="{url}#text"/></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        '<use xlink:href="{url}#text"/></svg>',
    ),
    "txt": (
        '<link rel="attachment" href="{url}">',
        '<a rel="attachment" href="{url}">Text</a>',
        '<p style="-weasy-link: url({url})">Text</p>',
        '<iframe src="{url}"></iframe>',
        '<script src="{url}"></script>',
        '<video poster="{url}" src="{url}"></video>',
    ),
}
# Pictures in the work folder that name addresses outside.
PICTURES = {
    "image": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}" width="9" height="9"/></svg>',
    "use": '<svg xmlns="http://www.w3.org/2000/svg"><use href="{url}#text"/></svg>',
    "style": '<?xml-stylesheet href="{url}"?><svg xmlns="http://www.w3.org/2000/svg">'
    "<style>@import '{url}';</style><text y='9'>Text</text></svg>",
    "entity": '<!DOCTYPE svg [<!ENTITY outside SYSTEM "{url}">]>'
    '<svg xmlns="http://www.w3.org/2000/svg"><text y="9">&outside;</text></svg>',
    "type": '<!DOCTYPE svg SYSTEM "{url}"><svg xmlns="http://www.w3.org/2000/svg"><text y="9">Text</text></svg>',
    "include": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xi="http://www.w3.org/2001/XInclude">'
    '<xi:include href="{url}" parse="text"/><text y="9">Text</text></svg>',
    "foreign": '<svg xmlns="http://www.w3.org/2000/svg"><foreignObject><img xmlns="http://www.w3.org/1999/xhtml" '
    'src="{url}"/></foreignObject></svg>',
}

opened: list[str] = []
watching = threading.Event()


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Record the files that are opened and the machines that are looked up."""
    if watching.is_set() and event in {"open", "socket.connect", "socket.getaddrinfo"}:
        opened.append(f"{event} {arguments[1] if event == 'socket.connect' else arguments[0]}")


@contextmanager
def watched() -> Iterator[list[str]]:
    opened.clear()
    watching.set()
    try:
        yield opened
    finally:
        watching.clear()


class Redirecting(BaseHTTPRequestHandler):
    """Redirects each request to a file."""

    target = ""
    visits: list[str] = []

    def do_GET(self) -> None:
        self.visits.append(self.path)
        self.send_response(302)
        self.send_header("Location", f"file://{self.target}")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        return


@pytest.fixture(scope="module", autouse=True)
def listening() -> None:
    sys.addaudithook(watch)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Make a folder with a file of every kind beside the work folder. Its name begins with the work folder's name."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.jpg").write_bytes(cast.picture(1))
    (folder / "secret.css").write_text(f'body::after {{ content: "{SECRET}" }}')
    (folder / "secret.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"><text id="text" y="9">{SECRET}</text></svg>'
    )
    (folder / "secret.txt").write_text(SECRET)
    return folder


@pytest.fixture
def work(tmp_path: Path, outside: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "inside").mkdir()
    (folder / "folder").symlink_to(outside)
    for file in outside.iterdir():
        (folder / f"link-{file.name}").symlink_to(file)
    return folder


@pytest.fixture
def server(outside: Path) -> Iterator[ThreadingHTTPServer]:
    Redirecting.target = str(outside / "secret.svg")
    Redirecting.visits = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def addresses(port: int, secret: Path) -> list[str]:
    return [scheme.format(port=port, secret=secret, name=secret.name, text=SECRET) for scheme in SCHEMES]


def pages_of(html: str, work: Path) -> list[str]:
    """Print HTML; return the text of the pages and of attached files, or nothing when printing was refused."""
    out = work / "out.pdf"
    out.unlink(missing_ok=True)
    # Without a language, or a picture without words, the document would be refused for that reason.
    html = '<html lang="en">' + re.sub(r"<img\b", '<img alt="A picture"', html)
    html = re.sub(r"(<svg\b[^>]*>)", r"\1<title>A drawing</title>", html)
    try:
        pdf.write(html, work, out, logging.NullHandler())
    except DocumentError:
        return []
    kept = [content.decode(errors="replace") for files in PdfReader(out).attachments.values() for content in files]
    with pypdfium2.PdfDocument(out) as document:
        return [page.get_textpage().get_text_range() for page in document] + kept


@pytest.mark.parametrize("kind", PLACES)
def test_no_markup_of_a_document_opens_anything_outside(
    kind: str, work: Path, outside: Path, server: ThreadingHTTPServer
) -> None:
    refused = 0
    for url in addresses(server.server_port, outside / f"secret.{kind}"):
        for place in PLACES[kind]:
            with watched() as seen:
                pages = pages_of(place.format(url=url), work)
            assert not any(SECRET in page for page in pages), (url, place)
            reached = [each for each in seen if not harmless(each, work)]
            assert not reached, (url, place, reached)
            refused += not pages
    assert refused >= len(SCHEMES)
    assert Redirecting.visits == []


def harmless(seen: str, work: Path) -> bool:
    """Return whether a path is in the work folder, the print styles, the libraries or WeasyPrint's folder for fonts."""
    event, _, path = seen.partition(" ")
    if event != "open":
        return False
    own = f"{tempfile.gettempdir()}/weasyprint-"
    # The folder of the environment may be a link.
    libraries = os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix)
    folders = f"{work}/", f"{pdf.PRINT_STYLES}/", *libraries, "/usr/share/", "/dev/", own
    return os.path.realpath(path).startswith(folders)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_in_the_work_folder_opens_nothing_outside(
    name: str, work: Path, outside: Path, server: ThreadingHTTPServer
) -> None:
    # Most addresses on a network are the same for both kinds of files.
    urls = [addresses(server.server_port, outside / f"secret.{kind}") for kind in ("svg", "txt")]
    for url in dict.fromkeys(itertools.chain(*urls)):
        (work / "picture.svg").write_text(PICTURES[name].format(url=url.replace("&", "&amp;")))
        with watched() as seen:
            pages = pages_of('<img src="picture.svg">', work)
        assert not any(SECRET in page for page in pages), url
        assert [each for each in seen if not harmless(each, work)] == [], url
    assert Redirecting.visits == []


def test_a_base_outside_the_work_folder_is_refused(work: Path, outside: Path, server: ThreadingHTTPServer) -> None:
    for base in (f"http://127.0.0.1:{server.server_port}/", f"file://{outside}/", "../outside/", "//127.0.0.1/"):
        assert pages_of(f'<base href="{base}"><img src="secret.jpg"><p>Text</p>', work) == [], base
    assert Redirecting.visits == []


def test_neither_our_fetcher_nor_that_of_the_library_follows_a_redirect(
    work: Path, outside: Path, server: ThreadingHTTPServer
) -> None:
    fetcher = pdf.WorkFolderFetcher(work)
    for url in addresses(server.server_port, outside / "secret.svg"):
        with pytest.raises((OSError, ValueError)):
            fetcher.fetch(url)
        with pytest.raises((OSError, ValueError)):
            fetcher.open(url)
    assert Redirecting.visits == []


def test_the_check_notices_opened_files(work: Path, outside: Path) -> None:
    """The tests above could not fail without this check: within the work folder, each of these ways opens a file."""
    (work / "inside.svg").write_text((outside / "secret.svg").read_text())
    (work / "inside.css").write_text((outside / "secret.css").read_text())
    (work / "inside.txt").write_text((outside / "secret.txt").read_text())
    for html in (
        '<link rel="stylesheet" href="inside.css">',
        "<style>@import url(inside.css);</style>",
        '<img src="inside.svg">',
        '<link rel="attachment" href="inside.txt">',
        f'<link rel="stylesheet" href="{work.as_uri()}/inside/../inside.css">',
    ):
        with watched() as seen:
            pages = pages_of(f"<p>Text</p>{html}", work)
        assert any(SECRET in page for page in pages), html
        assert any(re.search(r"inside\.(svg|css|txt)$", each) for each in seen), html
    with watched() as seen:
        (outside / "secret.txt").read_text()
    assert [each for each in seen if not harmless(each, work)]
