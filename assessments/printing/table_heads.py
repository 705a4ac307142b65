"""The heads of a table's cells. With them a screen reader says what a figure is, wherever in the table it stands."""

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import pydyf

PARTS = {"thead", "tbody", "tfoot"}


def add_all(entries: Mapping[Element, Any]) -> Any:
    """Name the heads and give each cell the names of its own; return all names with their heads, as a name tree has."""
    named: dict[str, bytes] = {}
    for element, entry in entries.items():
        if entry.tag == "Table":
            add(element, entries, named)
    return pydyf.Array(part for name in sorted(named) for part in (name, named[name]))


def add(table: Element, entries: Mapping[Element, Any], named: dict[str, bytes]) -> None:
    """Give each cell its heads: those of its columns, that of its group of rows, and the nearest head to the left."""
    of_column: dict[int, str] = {}
    # The rows that a cell from above still takes, by column.
    taken: dict[int, int] = {}
    for part in parts_of(table):
        of_group: list[str] = []
        for row in part.iter("tr"):
            column, of_row = 0, list[str]()
            for cell in row:
                while taken.get(column):
                    taken[column] -= 1
                    column += 1
                columns = range(column, column := column + int(cell.get("colspan", "1")))
                rows = int(cell.get("rowspan", "1"))
                taken.update(dict.fromkeys(columns, rows - 1))
                entry = entries[cell]
                spans = (f"/ColSpan {len(columns)}" if len(columns) > 1 else "") + (
                    f"/RowSpan {rows}" if rows > 1 else ""
                )
                if cell.tag == "th":
                    name = f"(h{len(named)})"
                    named[name] = entry.reference
                    entry["ID"] = name.encode()
                    scope = cell.get("scope", "col")
                    attributes = f"/Scope /{'Row' if scope.startswith('row') else 'Column'}"
                    if scope == "rowgroup":
                        of_group = [name]
                    elif scope == "row":
                        of_row = [name]
                    else:
                        of_column |= dict.fromkeys(columns, name)
                else:
                    over = dict.fromkeys(of_column[at] for at in columns if at in of_column)
                    heads = [*over, *of_group, *of_row]
                    attributes = f"/Headers [{' '.join(heads)}]" if heads else ""
                entry["A"] = f"<</O /Table{spans}{attributes}>>".encode()


def parts_of(table: Element) -> Iterator[Element]:
    """Yield the parts of a table that have its rows. The parser of HTML puts every row into one."""
    return (part for part in table if part.tag in PARTS)
