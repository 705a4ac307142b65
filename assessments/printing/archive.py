"""A PDF for an archive: both of its claims in one place, its data inside, the same bytes each time."""

import zlib
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import pydyf
import weasyprint
from weasyprint.urls import URLFetcher

from .content import NOTHING

VARIANT = "pdf/a-3a"
# PDF/A-3a knows no claim of PDF/UA, so the file explains the property itself.
CLAIM = b"""\
<rdf:Description xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/" rdf:about="" pdfuaid:part="1"/>
<rdf:Description xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" \
xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#" \
rdf:about=""><pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">\
<pdfaSchema:schema>PDF/UA identification</pdfaSchema:schema>\
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>\
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>\
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">\
<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType>\
<pdfaProperty:category>internal</pdfaProperty:category>\
<pdfaProperty:description>The part of ISO 14289 that the file keeps to</pdfaProperty:description>\
</rdf:li></rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>
"""
END = b"</rdf:RDF>"
WITHOUT_TEXT = f"<{ord(NOTHING):04x}>".encode()


@dataclass(frozen=True, slots=True)
class Attached:
    """A file within a PDF: the data of the document."""

    name: str
    description: str
    content: bytes
    made_on: date


def attachment(file: Attached, fetcher: URLFetcher) -> weasyprint.Attachment:
    """Return a file as WeasyPrint takes it. WeasyPrint can read it once, so each printing needs its own.

    The fetcher opens nothing here; WeasyPrint would make one that can, and read all certificate authorities.
    """
    made = datetime.combine(file.made_on, time())
    return weasyprint.Attachment(
        string=file.content,
        name=file.name,
        description=file.description,
        created=made,
        modified=made,
        relationship="Data",
        url_fetcher=fetcher,
    )


def finish(document: Any, pdf: pydyf.PDF) -> None:
    """Finish a PDF before it is written."""
    metadata = next(each for each in pdf.objects if each.number and each.reference == pdf.catalog["Metadata"])
    metadata.stream = [metadata.stream[0].replace(END, CLAIM + END)]
    # Programs that know nothing of PDF find the claims in a file that is not packed.
    metadata.compress = False
    if "AF" in pdf.catalog:
        # WeasyPrint names each file twice.
        pdf.catalog["AF"] = pydyf.Array(dict.fromkeys(pdf.catalog["AF"]))
    for each in pdf.objects:
        if isinstance(each, pydyf.Stream) and b"begincmap" in each.stream:
            each.stream = [line.replace(b"<>", WITHOUT_TEXT) for line in each.stream]


def pack_once(stream: pydyf.Stream) -> bytes:
    """Return a stream as it is written. pydyf asks twice: for the file, and for the file's identifier."""
    if stream.compress:
        content = b"\n".join(map(pydyf._to_bytes, stream.stream))
        stream.extra = {**stream.extra, "Filter": "/FlateDecode"}
        stream.stream, stream.compress = [zlib.compress(content)], False
    return bytes(as_it_is.fget(stream))


as_it_is = vars(pydyf.Stream)["data"]
pydyf.Stream.data = property(pack_once)  # type: ignore[assignment, method-assign]
