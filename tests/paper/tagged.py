"""A reader of tagged PDFs: the structure as a screen reader gets it, and all that the pages show, piece by piece."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pikepdf

SHOWS_TEXT = {"TJ", "Tj", "'", '"'}
PAINTS = {*SHOWS_TEXT, "Do", "f", "F", "f*", "B", "B*", "b", "b*", "S", "s", "sh"}
MAPPING = re.compile(rb"<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]+)>")


@dataclass(eq=False)
class Piece:
    """A marked piece of a page. A piece without a number is an artifact."""

    page: int
    number: int | None
    kind: str
    properties: dict[str, Any]
    drawn: str = ""
    paints: bool = False

    @property
    def text(self) -> str:
        return str(self.properties.get("/ActualText", self.drawn))


@dataclass(eq=False)
class Element:
    """An element of the structure, with its kids in the order of reading."""

    tag: str
    # The number of its object in the file, and its values.
    place: tuple[int, int]
    entry: dict[str, Any]
    parent: "Element | None"
    kids: "list[Element | Piece]" = field(default_factory=list)

    def __iter__(self) -> "Iterator[Element]":
        yield self
        for kid in self.kids:
            if isinstance(kid, Element):
                yield from kid

    def all(self, *tags: str) -> "list[Element]":
        return [each for each in self if each.tag in tags]

    @property
    def text(self) -> str:
        return "".join(kid.text for kid in self.kids)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def alt(self) -> str:
        return str(self.entry.get("/Alt", ""))

    @property
    def language(self) -> str:
        if "/Lang" in self.entry or self.parent is None:
            return str(self.entry.get("/Lang", ""))
        return self.parent.language

    @property
    def name(self) -> str:
        return str(self.entry.get("/ID", ""))

    def attribute(self, name: str) -> Any:
        return self.entry.get("/A", {}).get(name)

    @property
    def heads(self) -> list[str]:
        return [str(head) for head in self.attribute("/Headers") or []]


class Tagged:
    """A PDF as it is read. Everything is read at once, and the file is closed."""

    def __init__(self, path: Path) -> None:
        self.pieces: list[Piece] = []
        # The words that a page shows outside of all marked pieces.
        self.unmarked: list[str] = []
        with pikepdf.open(path) as pdf:
            for number, page in enumerate(pdf.pages):
                self._read(number, page)
            self.numbered = {(piece.page, piece.number): piece for piece in self.pieces if piece.number is not None}
            self.artifacts = [piece for piece in self.pieces if piece.number is None]
            pages = {page.objgen: number for number, page in enumerate(pdf.pages)}
            root = pdf.Root.StructTreeRoot
            self.xmp = pdf.Root.Metadata.read_bytes()
            self.info = {name: str(value) for name, value in pdf.docinfo.items()}
            self.files = {name: file.get_file().read_bytes() for name, file in pdf.attachments.items()}
            self.relations = [str(file.AFRelationship) for file in pdf.Root.get("/AF", [])]
            self.links = [str(note.get("/Contents", "")) for page in pdf.pages for note in page.get("/Annots", [])]
            self.top = self._element(root.K, None, pages)
            self.top.entry["/Lang"] = str(pdf.Root.get("/Lang", ""))
            owners = _numbers(root.ParentTree)
            self.owners = {
                (number, place): owner.objgen
                for number, page in enumerate(pdf.pages)
                for place, owner in enumerate(owners[page.StructParents])
            }
            self.named = {}
            if "/IDTree" in root:
                names = list(root.IDTree.Names)
                self.named = {str(name): entry.objgen for name, entry in zip(names[::2], names[1::2], strict=True)}
            self.page_count = len(pdf.pages)

    def _read(self, number: int, page: pikepdf.Page) -> None:
        fonts = {name: _letters(font) for name, font in page.Resources.get("/Font", {}).items()}
        open_pieces: list[Piece] = []
        font: dict[int, str] = {}
        for operands, operator in pikepdf.parse_content_stream(page):
            name = str(operator)
            if name in ("BDC", "BMC"):
                properties = {key: _value(value) for key, value in operands[1].items()} if name == "BDC" else {}
                piece = Piece(number, properties.get("/MCID"), str(operands[0]), properties)
                open_pieces.append(piece)
                self.pieces.append(piece)
            elif name == "EMC":
                open_pieces.pop()
            elif name == "Tf":
                font = fonts[str(operands[0])]
            elif name in PAINTS:
                if not open_pieces:
                    self.unmarked.append(f"page {number + 1}: {name}")
                    continue
                open_pieces[-1].paints = True
                if name in SHOWS_TEXT:
                    open_pieces[-1].drawn += _text(operands[0], font)

    def _element(self, entry: pikepdf.Object, parent: Element | None, pages: dict[Any, int]) -> Element:
        element = Element(str(entry.S).lstrip("/"), entry.objgen, _plain(entry), parent)
        kids = entry.get("/K", [])
        for kid in [kids] if isinstance(kids, pikepdf.Dictionary) else kids:
            if isinstance(kid, int):
                element.kids.append(self.numbered[pages[entry.Pg.objgen], kid])
            elif kid.get("/Type") == "/MCR":
                element.kids.append(self.numbered[pages[kid.Pg.objgen], kid.MCID])
            elif kid.get("/Type") != "/OBJR":
                assert kid.P.objgen == entry.objgen
                element.kids.append(self._element(kid, element, pages))
        return element


def _value(value: Any) -> Any:
    if isinstance(value, pikepdf.Array):
        return [_value(each) for each in value]
    return value if isinstance(value, int) else str(value)


def _plain(entry: Any) -> Any:
    """Return a dictionary of the structure without its references, so that the file can be closed."""
    kept = {name: str(entry[name]) for name in ("/Alt", "/Lang", "/ID") if name in entry}
    return {**kept, "/A": {name: _value(value) for name, value in entry.get("/A", {}).items()}}


def _numbers(tree: Any) -> dict[int, Any]:
    numbers = list(tree.Nums)
    return dict(zip(numbers[::2], numbers[1::2], strict=True))


def _letters(font: Any) -> dict[int, str]:
    table = font.ToUnicode.read_bytes() if "/ToUnicode" in font else b""
    return {int(code, 16): bytes.fromhex(text.decode()).decode("utf-16-be") for code, text in MAPPING.findall(table)}


def _text(shown: Any, font: dict[int, str]) -> str:
    codes = [
        bytes(part)
        for part in (shown if isinstance(shown, pikepdf.Array) else [shown])
        if isinstance(part, pikepdf.String)
    ]
    return "".join(font.get(int.from_bytes(run[at : at + 2]), "\0") for run in codes for at in range(0, len(run), 2))
