"""The sending of stored files under ASGI: in asynchronous chunks, with ranges, in constant memory.

Django would read a synchronous iterator whole before it sends the first byte. With another setting of DELIVERY, this
process does not send the bytes: nginx or the bucket sends them.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header, http_date

CHUNK = 2**17
# A storage on another machine may be slow, and must not hold up the streams. Between two chunks no thread is held.
READING_THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="reading")
# Seconds that one step of reading may take: to open a file, or to get the next chunk.
PATIENCE = 15.0

RANGE = re.compile(r"bytes=(?!-$)(\d{0,18})-(\d{0,18})$")


class Damaged(OSError):  # noqa: N818
    """A stored file does not have the size that its row says. The text is for the log."""

    def __init__(self, name: str, stored: int, size: int) -> None:
        super().__init__(f"{name} has {stored} bytes, and its row says {size}")


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
    as_attachment: bool,
) -> HttpResponseBase:
    """Answer a GET or HEAD with a stored file, or with the requested range of it.

    ``size`` is in bytes, ``etag`` is quoted. Raises FileNotFoundError, Damaged when the file has another size, and
    another OSError when the storage does not answer.
    """
    part = wanted_range(request, size, etag)
    if unmodified := get_conditional_response(request, etag, int(modified.timestamp())):
        unmodified["ETag"] = etag
        return unmodified
    disposition = str(content_disposition_header(as_attachment, name))
    if settings.DELIVERY != "stream":
        # This process has to report a missing or damaged file. Nginx or the bucket, which sends it, handles ranges.
        stored = await in_reading_thread(storage.size, stored_name)
        if stored != size:
            raise Damaged(stored_name, stored, size)
    if settings.DELIVERY == "link":
        bucket: Any = storage
        address = await in_reading_thread(bucket.link, stored_name, content_type, disposition, settings.LINK_SECONDS)
        return HttpResponseRedirect(address, headers={"Cache-Control": "no-store"})
    headers = {
        "ETag": etag,
        "Last-Modified": http_date(modified.timestamp()),
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition,
        "X-Content-Type-Options": "nosniff",
    }
    if settings.DELIVERY == "accel":
        headers["X-Accel-Redirect"] = quote(settings.ACCEL_PREFIX + stored_name)
        return HttpResponse(content_type=content_type, headers=headers)
    if part is not None and not part:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    wanted = range(size) if part is None else part
    file = await in_reading_thread(open_whole, storage, stored_name, size)
    response = StreamingHttpResponse(
        chunks(file, wanted.start, len(wanted) if request.method == "GET" else 0),
        status=200 if part is None else 206,
        content_type=content_type,
        headers=headers,
    )
    response["Content-Length"] = str(len(wanted))
    response["Accept-Ranges"] = "bytes"
    if part:
        response["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return response


def open_whole(storage: Storage, name: str, size: int) -> File[bytes]:
    file: File[bytes] = storage.open(name, "rb")
    if file.size != size:
        file.close()
        raise Damaged(name, file.size, size)
    return file


async def in_reading_thread[T](function: Callable[..., T], *args: Any) -> T:
    """Run a function in a reading thread. Raises TimeoutError (an OSError) when storage or other readers are slow."""
    async with asyncio.timeout(PATIENCE):
        return await asyncio.get_running_loop().run_in_executor(READING_THREADS, function, *args)


def wanted_range(request: HttpRequest, size: int, etag: str) -> range | None:
    """Return the bytes to send; empty for a range outside of the file, and None for the whole file.

    Several ranges at once, or a range of an older file (If-Range), are answered with the whole file, as HTTP allows.
    """
    match = RANGE.match(request.headers.get("Range", ""))
    if match is None or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


async def chunks(file: File[bytes], first: int, length: int) -> AsyncIterator[bytes]:
    """Yield a part of a file. Raises Damaged when the file ends early: a client would wait for the rest for ever."""
    end = first + length
    try:
        await in_reading_thread(file.seek, first)
        while length > 0:
            chunk = await in_reading_thread(file.read, min(CHUNK, length))
            if not chunk:
                raise Damaged(str(file.name), end - length, end)
            length -= len(chunk)
            yield chunk
    finally:
        # A client may leave in the middle of a read. Closing then waits for the thread that still reads.
        READING_THREADS.submit(file.close)
