"""The marked content of a page: the pieces that WeasyPrint drew, each with a list of properties that can be changed."""

import re
from typing import Any

import pydyf

TEXT_END = b"] TJ"
# The text of a glyph that is only a part of a letter. A reader of PDFs takes no text at all for an error.
NOTHING = "\u200b"
GLYPHS = re.compile(rb"<([0-9a-f]+)>")
# Letters that are drawn one after another, each by a glyph of its own: Latin letters, and signs.
PLAIN = re.compile(r"[ -~\u00a0-\u00ac\u00ae-\u02ff\u2010-\u2027\u202f-\u205e\u20a0-\u20cf\u2100-\u22ff]*")


class Content:
    def __init__(self, stream: Any, fonts: dict[bytes, Any]) -> None:
        """Read a page's stream; ``fonts`` are the document's, by the names that the stream gives them."""
        self.items: list[Any] = stream.stream
        self.fonts = fonts
        # The boxes whose properties hold their text.
        self.told: set[Any] = set()
        self.unread = dict.fromkeys(stream._tags)
        drawn = {piece["mcid"]: box for box, piece in stream._tags.items()}
        # Where the properties of each box's piece are.
        self.found: dict[Any, int] = {
            drawn[item["MCID"]]: place for place, item in enumerate(self.items) if item.__class__ is pydyf.Dictionary
        }

    def left(self) -> list[Any]:
        """Return the boxes that are drawn and have neither a place in the structure nor been left out."""
        return list(self.unread)

    def number(self, box: Any, number: int) -> None:
        """Give the piece of a box its number in the structure."""
        del self.unread[box]
        self.properties(box)["MCID"] = number

    def properties(self, box: Any) -> Any:
        return self.items[self.found[box]]

    def leave_out(self, box: Any, kind: str) -> None:
        """Make an artifact of a box's piece: a ``Header`` or ``Footer``, or a part of the layout."""
        if box not in self.found:
            return
        del self.unread[box]
        place = self.found[box]
        self.items[place - 1] = "/Artifact"
        self.items[place] = pydyf.Dictionary(
            {"Type": "/Pagination", "Subtype": f"/{kind}"} if kind else {"Type": "/Layout"}
        )

    def tell(self, box: Any) -> None:
        """Add a box's text where the glyphs say another: they go from right to left, or are drawn around others."""
        if not PLAIN.fullmatch(box.text) and self.drawn(box) != box.text:
            self.put_text(box, box.text)

    def put_text(self, box: Any, text: str) -> None:
        self.told.add(box)
        self.properties(box)["ActualText"] = pydyf.String(text)

    def add_space(self, box: Any) -> None:
        """Add a space at the end of a box's text. Nobody sees it; it keeps two words apart that are read."""
        last = self.texts(box)[-1:]
        if box in self.told or not last:
            self.put_text(box, f"{box.text} ")
            return
        place, font = last[0]
        space = next((glyph for glyph, text in font.to_unicode.items() if text == " "), None)
        if space is None:
            self.put_text(box, f"{box.text} ")
            return
        digits = 2 if font.bitmap else 4
        self.items[place] = self.items[place].removesuffix(TEXT_END) + f"<{space:0{digits}x}>".encode() + TEXT_END

    def texts(self, box: Any) -> list[tuple[int, Any]]:
        """Return the places of a box's texts in the stream, each with its font."""
        found = []
        place = self.found[box]
        # The font may have been set for a piece before.
        font = next((self.items[at] for at in range(place, -1, -1) if is_font(self.items[at])), b"")
        while (item := self.items[place]) != b"EMC":
            if is_font(item):
                font = item
            elif isinstance(item, bytes) and item.endswith(TEXT_END):
                found.append((place, self.fonts[font[1:].partition(b" ")[0]]))
            place += 1
        return found

    def drawn(self, box: Any) -> str:
        """Return the text that a program reads in a box's glyphs."""
        return "".join(
            font.to_unicode.get(int(run[at : at + digits], 16)) or NOTHING
            for place, font in self.texts(box)
            for digits in [2 if font.bitmap else 4]
            for run in GLYPHS.findall(self.items[place])
            for at in range(0, len(run), digits)
        )


def is_font(item: Any) -> bool:
    return isinstance(item, bytes) and item.endswith(b" Tf")
