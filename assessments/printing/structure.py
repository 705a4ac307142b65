"""The structure of a PDF: what a screen reader reads, and in which order. It stands in for WeasyPrint's own tags.

WeasyPrint makes an element of each box, so a table over five pages becomes five tables whose heads are read five times.
Here, each element of the HTML is one element of the structure, on however many pages its boxes are. The running heads
and feet, the heads of tables that are printed again, and pictures with an empty ``alt`` are artifacts: a screen reader
leaves them out.

The structure is written with private parts of WeasyPrint, so a test names them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from xml.etree.ElementTree import Element

import pydyf
from weasyprint.formatting_structure import boxes
from weasyprint.layout.absolute import AbsolutePlaceholder
from weasyprint.logger import LOGGER

from . import scripts, table_heads
from .content import Content

SVG = "{http://www.w3.org/2000/svg}"
# The elements of HTML that are elements of the structure. All others only hand on what is in them.
TAGS = {
    **{name: name.upper() for name in ("p", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "th", "td")},
    "section": "Sect",
    "article": "Art",
    "blockquote": "BlockQuote",
    "table": "Table",
    "caption": "Caption",
    "thead": "THead",
    "tbody": "TBody",
    "tfoot": "TFoot",
    "a": "Link",
    "img": "Figure",
    f"{SVG}svg": "Figure",
}
TABLE = {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}
CELLS = {"TR", "TH", "TD"}
# Text straight in one of these becomes a paragraph.
GROUPS = {"Document", "Sect", "Art", "BlockQuote"}
# WeasyPrint draws marks of lists and fields of forms in ways that this module does not know.
UNKNOWN = {"ul", "ol", "li", "dl", "dt", "dd", "form", "input", "textarea", "select", "button"}
POINTS = 0.75


class Entry(pydyf.Dictionary):
    """An element of the structure. It becomes a part of the file with its first content."""

    def __init__(self, tag: str, parent: "Entry | None", language: str) -> None:
        super().__init__({"Type": b"/StructElem", "S": f"/{tag}".encode()})
        self.tag, self.parent, self.language = tag, parent, language
        self.page = -1
        self.written = b""

    @property
    def data(self) -> bytes:
        """The entry as it is written. pydyf asks twice: for the file, and for the file's identifier."""
        if not self.written:
            self.written = super().data
        return self.written

    def attach(self, pdf: pydyf.PDF) -> None:
        if self.number is not None or self.parent is None:
            return
        self.parent.attach(pdf)
        pdf.add_object(self)
        self["P"] = self.parent.reference
        self["K"] = pydyf.Array()
        self.parent["K"].append(self.reference)
        if self.language != self.parent.language:
            self["Lang"] = pydyf.String(self.language)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: its place in the structure and in the HTML, its last box, and the letters printed so far."""

    entry: Entry
    element: Element
    content: Content
    last: Any
    printed: int


def add_tags(pdf: pydyf.PDF, document: Any, version: object, streams: list[Any]) -> None:
    """Add the structure to a PDF. WeasyPrint calls this once all pages are drawn.

    What cannot be told to a screen reader is logged as an error, so that the document fails.
    """
    Structure(pdf, document).add(document.pages, streams)


class Structure:
    def __init__(self, pdf: pydyf.PDF, document: Any) -> None:
        self.pdf = pdf
        self.fonts = {font.hash.encode(): font for font in document.fonts.values()}
        self.language: str = document.metadata.lang or ""
        self.root = pydyf.Dictionary({"Type": "/StructTreeRoot"})
        self.top = Entry("Document", None, self.language)
        self.entries: dict[Element, Entry] = {}
        # The paragraphs of text that stands straight in a section, by the element that the text is in.
        self.paragraphs: dict[Element, Entry] = {}
        # The page on which the head of a table was printed first.
        self.heads: dict[Element, int] = {}
        # How many letters of an element were printed, and after how many of its letters a word ends.
        self.printed: dict[Element, int] = {}
        self.ends: dict[Element, set[int]] = {}
        self.before: Line | None = None
        self.annotations: list[tuple[Any, bytes]] = []

    def add(self, pages: list[Any], streams: list[Any]) -> None:
        self.pdf.add_object(self.root)
        self.pdf.add_object(self.top)
        self.top["P"], self.top["K"] = self.root.reference, pydyf.Array()
        numbers = pydyf.Array()
        references = self.pdf.page_references
        for number, (page, stream) in enumerate(zip(pages, streams, strict=True)):
            self.number, self.reference, self.height = number, references[number], page.height
            self.content = Content(stream, self.fonts)
            self.owners = pydyf.Array()
            for box in page._page_box.children:
                self.visit(box, self.top, self.language, laid_out=False)
            for box in self.content.left():
                LOGGER.error("Page %d shows something outside of its structure: %r", number + 1, box)
            numbers += [number, self.owners]
        for number, (annotation, owner) in enumerate(self.annotations, start=len(pages)):
            annotation["StructParent"] = number
            numbers += [number, owner]
        tree = pydyf.Dictionary({"Nums": numbers})
        self.pdf.add_object(tree)
        self.root |= {"K": self.top.reference, "ParentTree": tree.reference}
        self.root["ParentTreeNextKey"] = len(pages) + len(self.annotations)
        if names := table_heads.add_all(self.entries):
            identifiers = pydyf.Dictionary({"Names": names})
            self.pdf.add_object(identifiers)
            self.root["IDTree"] = identifiers.reference
        self.pdf.catalog |= {
            "StructTreeRoot": self.root.reference,
            "MarkInfo": pydyf.Dictionary({"Marked": "true"}),
            "ViewerPreferences": pydyf.Dictionary({"DisplayDocTitle": "true"}),
        }
        if not self.language:
            LOGGER.error("The document has no language")

    def visit(self, box: Any, parent: Entry, language: str, laid_out: bool) -> None:
        """Add a box and all in it. ``laid_out``: the box is in a table that only arranges its content."""
        if isinstance(box, AbsolutePlaceholder):
            box = box._box
        element = box.element
        if isinstance(box, boxes.MarginBox):
            self.leave_out(box, "Header" if box.at_keyword.startswith("@top") else "Footer")
        elif isinstance(box, boxes.TextBox):
            self.add_text(box, parent, language)
        elif isinstance(box, boxes.TableRowGroupBox) and box.is_header and not self.is_first(element):
            self.leave_out(box, "Header")
        elif isinstance(box, boxes.LineBox):
            self.add_line(box, parent, language, laid_out)
        else:
            if isinstance(box, boxes.ReplacedBox) and not self.is_told(element):
                self.leave_out(box, "")
                return
            if element is not None:
                tag = box.element_tag
                language = element.get("lang", language)
                if tag == "table":
                    laid_out = element.get("role") == "presentation"
                if tag in UNKNOWN:
                    LOGGER.error("The structure of <%s> is not known", tag)
                if tag in TAGS and not (laid_out and tag in TABLE):
                    parent = self.entry(element, TAGS[tag], parent, language)
            if box.link_annotation:
                self.add_link(box, parent)
            if isinstance(box, boxes.ReplacedBox):
                self.add_picture(box, parent)
            for child in box.children:
                self.visit(child, parent, language, laid_out)

    def is_first(self, head: Element) -> bool:
        return self.heads.setdefault(head, self.number) == self.number

    def leave_out(self, box: Any, kind: str) -> None:
        """Make artifacts of all that a box shows."""
        for shown in box.descendants():
            self.content.leave_out(shown, kind)

    def entry(self, element: Element, tag: str, parent: Entry, language: str) -> Entry:
        entry = self.entries.get(element)
        if entry is None:
            entry = self.entries[element] = Entry(tag, parent, language)
            if tag in CELLS:
                # An empty cell keeps its place in the table.
                entry.attach(self.pdf)
        return entry

    def add_content(self, box: Any, entry: Entry) -> None:
        entry.attach(self.pdf)
        if entry.page < 0:
            entry.page, entry["Pg"] = self.number, self.reference
        mcid = len(self.owners)
        self.content.number(box, mcid)
        self.owners.append(entry.reference)
        on_this_page = entry.page == self.number
        elsewhere = {"Type": "/MCR", "Pg": self.reference, "MCID": mcid}
        entry["K"].append(mcid if on_this_page else pydyf.Dictionary(elsewhere))

    # Text -------------------------------------------------------------------------------------------------------------

    def add_line(self, line: Any, parent: Entry, language: str, laid_out: bool) -> None:
        """Add a line of text.

        WeasyPrint drops the space at a line's end. Without it, the first word of the next line would be read together
        with the last word of this one.
        """
        element = line.element
        if parent.tag in GROUPS:
            if element not in self.paragraphs:
                self.paragraphs[element] = Entry("P", parent, language)
            parent = self.paragraphs[element]
        if self.before and self.before.entry is parent:
            self.part_words(self.before)
        self.before = None
        self.last: Any = None
        self.letters = 0
        for child in line.children:
            self.visit(child, parent, language, laid_out)
        if self.last is None:
            return
        self.printed[element] = self.printed.get(element, 0) + self.letters
        self.before = Line(parent, element, self.content, self.last, self.printed[element])

    def part_words(self, line: "Line") -> None:
        """Add the space at the end of a line, unless the line ends within a word."""
        if line.element not in self.ends:
            self.ends[line.element] = set(accumulate(map(len, words_in(line.element).split())))
        if line.printed in self.ends[line.element]:
            line.content.add_space(line.last)

    def add_text(self, box: Any, parent: Entry, language: str) -> None:
        if not box.text.strip():
            # WeasyPrint draws no text that consists of spaces alone.
            self.content.leave_out(box, "")
            if self.last is not None:
                self.content.add_space(self.last)
            return
        language = scripts.language_of(box.text, language)
        if language != parent.language:
            parent = Entry("Span", parent, language)
        self.add_content(box, parent)
        self.content.tell(box)
        self.last = box
        if "::" not in box.element_tag:
            self.letters += len("".join(box.text.split()))

    # Pictures and links ---------------------------------------------------------------------------------------------

    def is_told(self, element: Element) -> bool:
        return element.tag.startswith(SVG) or element.get("alt") != ""

    def add_picture(self, box: Any, entry: Entry) -> None:
        element = box.element
        alt = element.findtext(f"{SVG}title") if element.tag.startswith(SVG) else element.get("alt")
        if not alt:
            LOGGER.error("A picture has no words for people who cannot see it: %s", element.get("src", "a drawing"))
        x, y = box.content_box_x() * POINTS, (self.height - box.content_box_y()) * POINTS
        area = pydyf.Array([x, y - box.height * POINTS, x + box.width * POINTS, y])
        entry["Alt"] = pydyf.String(alt)
        entry["A"] = pydyf.Dictionary({"O": "/Layout", "BBox": area})
        self.add_content(box, entry)

    def add_link(self, box: Any, entry: Entry) -> None:
        entry.attach(self.pdf)
        annotation = box.link_annotation
        annotation["Contents"] = pydyf.String(" ".join(words_in(box.element).split()))
        place = {"Type": "/OBJR", "Obj": annotation.reference, "Pg": self.reference}
        entry["K"].append(pydyf.Dictionary(place))
        self.annotations.append((annotation, entry.reference))


def words_in(element: Element) -> str:
    return "".join(texts_in(element))


def texts_in(element: Element) -> Iterator[str]:
    """Yield the texts in an element; a line break counts as a space."""
    yield element.text or ""
    for child in element:
        if child.tag == "br":
            yield " "
        else:
            yield from texts_in(child)
        yield child.tail or ""
