"""How the log is written."""

import logging

# What a terminal or a reader of lines would obey: the control characters and the Unicode line ends. A tab may stay.
CONTROL = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029)
}


class LineFormatter(logging.Formatter):
    """Writes each record so that nobody can add a record of their own by a line break in a name.

    Further lines, such as those of a traceback, are indented; a record begins where a line does.
    """

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).translate(CONTROL).replace("\n", "\n    ")
