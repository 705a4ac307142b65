"""Whether a file holds its whole picture. Decoders fill missing parts without a word."""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import IO, NamedTuple

from PIL import Image

# Zero bytes in a row where no encoder writes so many: that part of the file never arrived. A disk or a network loses
# whole blocks.
HOLE = bytes(16)
SECTOR, BLOCK = bytes(512), bytes(4096)


class Incomplete(ValueError):  # noqa: N818
    """A part of the picture is missing."""


# HEIC ---------------------------------------------------------------------------------------------------------------


def check_heic(file: IO[bytes]) -> None:
    """Raise Incomplete, or an error of parsing, unless all coded pictures of the file are there.

    A photo of a phone is a grid of tiles. The decoder paints a missing tile green.
    """
    content = memoryview(file.read())
    # Some phones append a film to the photo, after the boxes.
    meta = next((inner for name, inner in boxes(content) if name == b"meta"), None)
    if meta is None:
        raise Incomplete("The list of items is missing.")
    parts = dict(boxes(meta[4:]))
    kinds = dict(item_kinds(parts[b"iinf"]))
    for item, within_idat, places in item_places(parts[b"iloc"]):
        if kinds.get(item) in (b"hvc1", b"hev1"):
            holder = parts[b"idat"] if within_idat else content
            check_hevc(b"".join(piece(holder, start, length) for start, length in places))


def boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Give the name and the content of each box."""
    while len(content) >= 8:
        size, name = struct.unpack_from(">I4s", content)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", content, 8), 16
        size = size or len(content)
        if size < head:
            raise Incomplete("A box is shorter than its head.")
        yield name, content[head:size]
        content = content[size:]


def item_kinds(iinf: memoryview) -> Iterator[tuple[int, bytes]]:
    for _, entry in boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        item, kind = struct.unpack_from(">H2x4s" if entry[0] < 3 else ">I2x4s", entry, 4)
        yield item, kind


def item_places(iloc: memoryview) -> Iterator[tuple[int, bool, list[tuple[int, int]]]]:
    """Give each item's number, whether it is in the box "idat", and the start and length of each of its pieces."""
    place = 4

    def number(size: int) -> int:
        nonlocal place
        place += size
        if place > len(iloc):
            raise Incomplete("The list of items ends early.")
        return int.from_bytes(iloc[place - size : place])

    version, sizes = iloc[0], number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    for _ in range(number(wide)):
        item = number(wide)
        within_idat = version > 0 and number(2) & 15 == 1
        number(2)
        base = number(base_size)
        places = []
        for _ in range(number(2)):
            number(index_size if version > 0 else 0)
            start = base + number(offset_size)
            places.append((start, number(length_size)))
        yield item, within_idat, places


def piece(content: memoryview, start: int, length: int) -> memoryview:
    found = content[start : start + length] if length else content[start:]
    if len(found) < length:
        raise Incomplete("The file ends within a tile.")
    return found


def check_hevc(tile: bytes) -> None:
    """Raise Incomplete unless a tile is a row of units, each after its length, without a hole."""
    place = 0
    while place < len(tile):
        length = int.from_bytes(tile[place : place + 4])
        place += 4 + length
        if not length or place > len(tile):
            raise Incomplete("A unit of a tile is missing.")
    if not tile or HOLE in tile:
        raise Incomplete("A tile is empty.")


# PNG and WebP -------------------------------------------------------------------------------------------------------


def check_png(file: IO[bytes]) -> None:
    """Raise Incomplete unless each part of the picture has its checksum. The decoder would paint zeros black."""
    content = memoryview(file.read())[8:]
    while len(content) >= 12 and (name := bytes(content[4:8])) != b"IEND":
        end = 8 + int.from_bytes(content[:4])
        if name in (b"IHDR", b"PLTE", b"IDAT") and zlib.crc32(content[4:end]) != int.from_bytes(content[end : end + 4]):
            raise Incomplete("A part of the picture differs from its checksum.")
        content = content[end + 4 :]


def check_webp(file: IO[bytes]) -> None:
    content = memoryview(file.read())[12:]
    while len(content) > 8:
        name, end = bytes(content[:4]), 8 + int.from_bytes(content[4:8], "little")
        part = bytes(content[8:end])
        # Within a lossless picture, zeros may be an area of one colour.
        if (name in (b"VP8 ", b"ANMF") and BLOCK in part) or (name == b"VP8L" and part.endswith(BLOCK)):
            raise Incomplete("A part of the picture is zeros.")
        content = content[end + end % 2 :]


# JPEG ---------------------------------------------------------------------------------------------------------------

END = b"\xff\xd9"
TABLES, START_OF_SCAN = 0xC4, 0xDA
# A marker that ends a scan: within a scan, 0xFF is followed by a zero, by the number of a restart, or by 0xFF.
MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")
# Two different ends for a JPEG without one. A decoder takes bits of a missing part from them.
ENDS = (END, b"\x55" * 256 + END)


class Segment(NamedTuple):
    """A part of a JPEG: its marker, its content, and the places where its scan begins and ends, if it has one."""

    marker: int
    content: bytes
    start: int
    end: int


def ended_jpeg(file: IO[bytes]) -> IO[bytes] | None:
    """Return a JPEG that has no end marker with one; None if it has one. Raises Incomplete when rows are missing.

    Some cameras forget the marker, and a copy that broke off has none. The decoder treats both alike, and makes up the
    missing rows from the next bytes. So a photo is whole if it looks the same, whatever follows it.
    """
    content = file.read()
    if SECTOR in content:
        check_scans(content)
    if content.rstrip(b"\0").endswith(END):
        return None
    ends = {segment.marker: segment.end for segment in segments(content)}
    if END[1] in ends or START_OF_SCAN not in ends:
        return None
    scans = content[: ends[START_OF_SCAN]].rstrip(b"\xff")
    if scans.endswith(HOLE):
        # The last zero may belong to the scan.
        scans = scans.rstrip(b"\0") + b"\0"
    if len({pixels(scans + end) for end in ENDS}) > 1:
        raise Incomplete("The scan ends early.")
    return BytesIO(scans + END)


def segments(content: bytes) -> Iterator[Segment]:
    """Give the parts of a JPEG, up to its end marker."""
    place = 2
    while found := MARKER.match(content, place):
        marker, head = found[1][0], found.end()
        start = place = head + int.from_bytes(content[head : head + 2])
        if marker == START_OF_SCAN:
            after = MARKER.search(content, start)
            place = after.start() if after else len(content)
        yield Segment(marker, content[head + 2 : start], start, place)
        if marker == END[1]:
            return


def check_scans(content: bytes) -> None:
    """Raise Incomplete when there are rows after a sector of zeros that its codes cannot mean."""
    # The value whose code is zeros, in each table. Tables of the same number are for different kinds of values.
    of_zeros: dict[int, int] = {}
    for segment in segments(content):
        tables = segment.content if segment.marker == TABLES else b""
        while len(tables) > 17:
            of_zeros[tables[0]] = tables[17]
            tables = tables[17 + sum(tables[1:17]) :]
        if segment.marker == START_OF_SCAN and not zeros_mean_something(segment.content, of_zeros):
            hole = content.find(SECTOR, segment.start, segment.end)
            if hole >= 0 and content[hole : segment.end].strip(b"\0"):
                raise Incomplete("A part of a scan is zeros.")


def zeros_mean_something(scan: bytes, of_zeros: dict[int, int]) -> bool:
    """Return whether zeros can be an area of one colour: "as before" for its colour, and "nothing more" for its detail.

    ``scan`` is the head of a scan.
    """
    tables, (first, last, depths) = scan[2:-3:2], scan[-3:]
    if first or depths >> 4:
        # A progressive scan counts the areas without detail. A refinement of colours has no codes at all.
        return not first
    return not any(of_zeros.get(table >> 4) or (last and of_zeros.get(16 | table & 15)) for table in tables)


def pixels(content: bytes) -> bytes:
    """Return a digest of a JPEG's pixels."""
    with Image.open(BytesIO(content), formats=["JPEG"]) as photo:
        return hashlib.sha256(photo.tobytes()).digest()
