"""The preparation that each child would otherwise repeat. Only the fork server imports this, after the generators.

A read style sheet, compiled templates, loaded fonts and the modules of the formats of pictures save a child a quarter
of the time of a short document.
"""

import gc
import re
from typing import Any

import weasyprint
from django.utils import translation
from PIL import Image
from weasyprint.pdf import fonts

from . import pdf


class AnyLength:
    """WeasyPrint's way to C, with one type for arrays of all lengths.

    WeasyPrint names a type with the length of each array. cffi takes two milliseconds to read the name of a new type,
    and a document has five.
    """

    def __init__(self, ffi: Any) -> None:
        self.ffi = ffi

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ffi, name)

    def new(self, kind: str, *content: Any) -> Any:
        return self.ffi.new(re.sub(r"\[\d+]$", "[]", kind) if content else kind, *content)


fonts.ffi = AnyLength(fonts.ffi)  # type: ignore[attr-defined]

for template in pdf.PRINT_STYLES.glob("*.html"):
    pdf.engine().get_template(f"documents/{template.name}")
# Both calls import modules, which each child would import otherwise.
Image.preinit()
translation.get_language()
weasyprint.HTML(string="<p>Warm <strong>up</strong>").write_pdf(stylesheets=[pdf.print_styles()])

# The objects that exist now are never collected: a collection would only copy their memory into every child. A child
# lives for one document, and the layout makes few cycles, so few collections are enough.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 50, 100)
