"""Sending stored files under ASGI: in asynchronous chunks, with ranges, at constant memory.

Django reads a synchronous iterator whole before it sends the first byte; this does not.
"""

import re
import unicodedata
from collections.abc import AsyncIterator
from datetime import datetime
from urllib.parse import quote

from django.core.files import File
from django.core.files.storage import Storage
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import http_date

from assessments.stream import in_stream_thread

CHUNK = 2**17
# What no file name may hold on one system or another, and what turns the direction of writing around.
UNNAMED = re.compile(r'[\x00-\x1f\x7f-\x9f"*/:<>?\\|%\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")


async def send(
    request: HttpRequest,
    storage: Storage,
    stored_name: str,
    *,
    name: str,
    content_type: str,
    size: int,
    etag: str,
    modified: datetime,
    disposition: str,
) -> HttpResponseBase:
    """Answer a GET or HEAD with a stored file, or the range of it that was asked for.

    ``size`` is in bytes, ``etag`` is quoted, ``disposition`` is "inline" or "attachment". Raises FileNotFoundError.
    """
    first, last, status = wanted_range(request, size, etag)
    if unmodified := get_conditional_response(request, etag, int(modified.timestamp())):
        unmodified["ETag"] = etag
        return unmodified
    if status == 416:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    length = last - first + 1
    file = await in_stream_thread(storage.open, stored_name, "rb")
    response = StreamingHttpResponse(
        chunks(file, first, length if request.method == "GET" else 0), status=status, content_type=content_type
    )
    response["Content-Length"] = str(length)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Last-Modified"] = http_date(modified.timestamp())
    response["Cache-Control"] = "private, no-cache"
    response["Content-Disposition"] = content_disposition(disposition, name)
    response["X-Content-Type-Options"] = "nosniff"
    if status == 206:
        response["Content-Range"] = f"bytes {first}-{last}/{size}"
    return response


def content_disposition(disposition: str, name: str) -> str:
    """The header (RFC 6266) with a file name in any script: in ASCII for every reader, and the true one (RFC 8187).

    Of a name, no more is kept than a name may have: no folders, and no control characters.
    """
    name = UNNAMED.sub("_", name).strip(" .") or "document"
    simple = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip(" .") or "document"
    header = f'{disposition}; filename="{simple}"'
    return header if simple == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def wanted_range(request: HttpRequest, size: int, etag: str) -> tuple[int, int, int]:
    """First and last byte to send, and the status: 200, 206, or 416 for a range outside of the file.

    Several ranges at once, or a range of an older file (If-Range), are answered with the whole file, as HTTP allows.
    """
    whole = (0, size - 1, 200)
    match = RANGE.match(request.headers.get("Range", ""))
    if match is None or match.group() == "bytes=-" or request.headers.get("If-Range", etag) != etag:
        return whole
    first, last = match.groups()
    if not first:
        if int(last) == 0:
            return 0, 0, 416
        return max(size - int(last), 0), size - 1, 206
    if int(first) >= size:
        return 0, 0, 416
    if last and int(last) < int(first):
        return whole
    return int(first), min(int(last), size - 1) if last else size - 1, 206


async def chunks(file: File[bytes], first: int, length: int) -> AsyncIterator[bytes]:
    try:
        await in_stream_thread(file.seek, first)
        while length > 0 and (chunk := await in_stream_thread(file.read, min(CHUNK, length))):
            length -= len(chunk)
            yield chunk
    finally:
        file.close()
