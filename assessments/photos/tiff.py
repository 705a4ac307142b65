"""The pages of a TIFF, by their tags alone. Raw files of most cameras are TIFFs, too."""

import struct
from collections.abc import Iterator
from io import SEEK_END
from typing import IO

from assessments.words import counted

# Tags, and their values: the kind of a page, its compression, how its values make colours, further pictures within it,
# the DNG version.
KIND, COMPRESSION, COLOURS, INNER_PICTURES, DNG_VERSION = 254, 259, 262, 330, 50706
UNCOMPRESSED = 1
# Zeros are black in grey pictures and in RGB; elsewhere they are white, or the first colour of a list.
ZERO_IS_BLACK = (1, 2)
# Tags without which no picture can be read: the bits of a pixel, and the places and sizes of strips and tiles.
NEEDED = {258, 273, 279, 324, 325}
# Bits of the kind: a smaller copy of another page, and a mask.
SMALLER, MASK = 1, 4
# The values of single sensor cells, and the same with linear light.
SENSOR = (32803, 34892)
# The sizes of the types of numbers that matter here: a byte, a short, a long.
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I"}
SIZES = {"B": 1, "H": 2, "I": 4}
# Zeros at the end of a file, where a copy that broke off has them.
EMPTY = bytes(4096)
# No scanner and no camera writes more tags or more pages.
MOST = 1000

RAW = "is a raw file of a camera. Upload the JPEG of this photo instead."


def refusal(file: IO[bytes]) -> str:
    """Return why a TIFF cannot be one photo, as words that follow the name of the file; empty when it can be one."""
    pages = list(tags(file))
    if pages and is_raw(pages[0]):
        return RAW
    several = len(full_pages(pages))
    if several > 1:
        return f"has {counted(several, 'page')}, and a photo has one. Save each page as a JPEG, then upload those."
    return ""


def is_raw(first: dict[int, int]) -> bool:
    """Return whether the first page belongs to a raw file: DNG says so; others begin with a small copy."""
    copy_of_inner = first.get(KIND, 0) & SMALLER and INNER_PICTURES in first
    return DNG_VERSION in first or first.get(COLOURS) in SENSOR or bool(copy_of_inner)


def full_pages(pages: list[dict[int, int]]) -> list[int]:
    """Return the indexes of the pages that are neither a smaller copy nor a mask."""
    return [index for index, page in enumerate(pages) if not page.get(KIND, 0) & (SMALLER | MASK)]


def ends_black(file: IO[bytes], page: dict[int, int]) -> bool:
    """Return whether a page without compression ends in zeros: they may be black pixels, or a part that is missing."""
    file.seek(0, SEEK_END)
    file.seek(max(file.tell() - len(EMPTY), 0))
    plain = page.get(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED and page.get(COLOURS) in ZERO_IS_BLACK
    return plain and file.read() == EMPTY


def tags(file: IO[bytes]) -> Iterator[dict[int, int]]:
    """Give the tags of each page, with their first number. A broken file ends early."""
    head = file.read(16)
    length = file.seek(0, SEEK_END)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    counter, entry, offset = (f"{order}{kinds}" for kinds in (("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")))
    try:
        (place,) = struct.unpack_from(offset, head, 8 if big else 4)
        seen: set[int] = set()
        while place and place not in seen and len(seen) < MOST:
            seen.add(place)
            file.seek(place)
            (count,) = struct.unpack(counter, file.read(struct.calcsize(counter)))
            size = struct.calcsize(entry)
            entries = list(struct.iter_unpack(entry, file.read(size * min(count, MOST))))
            (place,) = struct.unpack(offset, file.read(struct.calcsize(offset)))
            for tag, kind, many, value in entries:
                span = SIZES[INTEGERS.get(kind, "B")] * many
                if tag in NEEDED and span > len(value) and struct.unpack(offset, value)[0] + span > length:
                    return
            page = {
                tag: struct.unpack_from(order + INTEGERS.get(kind, "B"), value)[0] for tag, kind, _, value in entries
            }
            yield page
    except struct.error:
        return
