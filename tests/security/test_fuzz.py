"""Thousands of requests that no browser would send, on both databases: none causes an error of the server.

``FUZZ_CASES`` is their number: ten thousand with ``make security``. The cases are the same in each run.
"""

import http.client
import json
import os
import random
import re
import selectors
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import batched

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import cast, family
from tests.cast import YEAR
from tests.running import CSRF_TOKEN, Site

OWN, WITHOUT_PHOTOS = f"ASM-{YEAR}-001", f"ASM-{YEAR}-003"
CASES = int(os.environ.get("FUZZ_CASES", "2500"))
# The shares of the tests in per cent, and the fifths for each database: PostgreSQL takes longer for each case.
BODIES, EVENT_IDS, UPLOADS, LINES = 44, 26, 22, 8
FIFTHS = {"sqlite": 4, "postgresql": 1}
# Seconds in which an answer must have begun.
PATIENCE = 60.0
# Seconds of silence after which no further answer is expected.
SILENCE = 3.0


def fuzz(per_cent: int, database: str) -> settings:
    """Return the settings for a database's share of the cases, which are the same in each run."""
    return settings(
        max_examples=share(per_cent, database),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def share(per_cent: int, database: str) -> int:
    return CASES * per_cent * FIFTHS[database] // 500


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes


class Wire:
    """A kept connection that sends any bytes as they are. Of a stream, only the beginning is read."""

    def __init__(self, site: Site, username: str = "assessor") -> None:
        self.port = site.port
        cookies = "; ".join(f"{name}={value}" for name, value in site.cookies(username).items())
        self.headers = f"Host: 127.0.0.1\r\nCookie: {cookies}\r\nX-CSRFToken: {CSRF_TOKEN}\r\n".encode()
        self.socket: socket.socket | None = None
        self.asked = 0

    def ask(self, method: str, target: str, headers: bytes = b"", body: bytes = b"") -> Answer:
        length = f"Content-Length: {len(body)}\r\n".encode()
        head = f"{method} {target} HTTP/1.1\r\n".encode() + self.headers + length + headers + b"\r\n"
        self.asked += 1
        try:
            return self.send(head + body)
        except (ConnectionError, http.client.BadStatusLine):
            # The server had closed the kept connection.
            self.close()
            return self.send(head + body)

    def send(self, request: bytes) -> Answer:
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.socket.sendall(request)
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        content_type = response.headers.get("Content-Type", "").partition(";")[0]
        if content_type == "text/event-stream":
            answer = Answer(response.status, content_type, response.readline())
            self.close()
            return answer
        answer = Answer(response.status, content_type, response.read())
        if response.will_close:
            self.close()
        return answer

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


@pytest.fixture
def wire(shared_site: Site) -> Iterator[Wire]:
    """Give a connection to the web process; check that the same process still runs afterwards and logged no error."""
    assert shared_site.process
    web = family.named(shared_site.process.pid, "web")
    known = len(shared_site.log.read_bytes())
    wire = Wire(shared_site)
    yield wire
    wire.close()
    log = shared_site.log.read_bytes()[known:].decode()
    errors = re.findall(r"^[\d-]+ [\d:,]+ (?:ERROR|CRITICAL) (?!django.security).*(?:\n    .*)*", log, re.MULTILINE)
    assert not errors, errors[0]
    assert family.named(shared_site.process.pid, "web") == web
    assert wire.ask("GET", "/assessments/").status == 200


def plain(answer: Answer) -> None:
    """Check that an answer is no error of the server and shows no internals."""
    assert answer.status < 500, answer
    for secret in (b"Traceback", b"/site-packages/", b"Exception", b"DoesNotExist", b"SELECT"):
        assert secret not in answer.body, answer


# The body of the API --------------------------------------------------------------------------------------------------

texts = st.one_of(
    st.text(max_size=40),
    st.text("\0\r\n\x1b\u202e\ufffe%.{}<>'\";/\\", max_size=20),
    st.sampled_from(["", OWN, f"{OWN}\0", f"{OWN}\n", f"ASM-{YEAR}-\u0661\u0662\u0663", "../../", "A" * 100_000]),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
bodies = st.one_of(
    st.binary(max_size=200),
    values.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"assessmentId": values}).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"assessmentId": texts}).map(
        lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")
    ),
    st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig", "cp037"]).map(
        lambda encoding: json.dumps({"assessmentId": WITHOUT_PHOTOS}).encode(encoding)
    ),
    st.sampled_from(
        [
            b"[" * 100_000,
            b'{"assessmentId":' * 20_000,
            b'{"assessmentId": "\\ud800"}',
            b'{"assessmentId": 1' + b"0" * 10_000 + b"}",
            b'{"assessmentId": NaN}',
            b'{"assessmentId": "a", "assessmentId": ["b"]}',
            b"\xef\xbb\xbf{}",
            b" " * 3_000_000,
        ]
    ),
)
content_types = st.one_of(
    st.just(b"application/json"),
    st.just(b"application/json"),
    st.sampled_from(
        [
            b"",
            b"application/json; charset=utf-16",
            b"application/json; charset=none-such",
            b'application/json; charset="\xff"',
            b"APPLICATION/JSON",
            b"text/plain",
            b"multipart/form-data",
            b"multipart/form-data; boundary=",
            b"multipart/form-data; boundary=" + b"b" * 300,
            b"multipart/form-data; boundary=x; charset=none-such",
            b"application/x-www-form-urlencoded",
            b"application/x-www-form-urlencoded; charset=latin-1",
        ]
    ),
    st.binary(max_size=30).map(lambda header: re.sub(rb"[\0\r\n]", b"", header)),
)


def test_the_api_answers_any_body_with_a_stream_or_a_reason(wire: Wire, database: str) -> None:
    @fuzz(BODIES, database)
    @given(bodies, content_types)
    def send(body: bytes, content_type: bytes) -> None:
        answer = wire.ask("POST", "/api/generate-all-documents", b"Content-Type: " + content_type + b"\r\n", body)
        plain(answer)
        if answer.status == 200:
            assert answer.content_type == "text/event-stream"
            assert json.loads(answer.body.removeprefix(b"data: "))["results"]
            return
        assert answer.status in {400, 404, 413, 415, 429}
        if b"Invalid header value" in answer.body:
            # The web server itself refuses control characters in a header.
            assert answer.status == 400
            return
        assert answer.content_type == "application/json"
        assert json.loads(answer.body)["message"]

    send()
    assert wire.asked >= share(BODIES, database)


# The event id ---------------------------------------------------------------------------------------------------------

event_ids = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=30).map(lambda text: text.encode(errors="surrogatepass")),
    st.from_regex(rb"ASM-\d{4}-\d{3}:-?\d{1,30}"),
    st.integers().map(lambda revision: f"{OWN}:{revision}".encode()),
    st.sampled_from(
        [
            f"{OWN}:0,{WITHOUT_PHOTOS}:0".encode(),
            f"{OWN}:{'9' * 5000}".encode(),
            f"{OWN}:\u0661".encode(),
            b":",
            b"::",
            b",",
            b"x" * 10_000,
            b"%00",
            b"error",
        ]
    ),
)


def test_a_stream_with_any_event_id_begins_or_is_refused(wire: Wire, database: str) -> None:
    @fuzz(EVENT_IDS, database)
    @given(event_ids, st.sampled_from(["header", "parameter", "both"]))
    def resume(event_id: bytes, place: str) -> None:
        target, headers = f"/assessments/{OWN}/events/", b"Accept: text/event-stream\r\n"
        if place != "header":
            target += "?lastEventId=" + "".join(f"%{byte:02x}" for byte in event_id[:2000])
        if place != "parameter":
            headers += b"Last-Event-ID: " + re.sub(rb"[\0\r\n]", b"", event_id) + b"\r\n"
        answer = wire.ask("GET", target, headers)
        plain(answer)
        # 429: the server has not noticed yet that the streams before were closed.
        assert answer.status in {200, 400, 429}
        # The web server refuses control characters in a header with a page.
        refusals = {"text/plain", "text/html"}
        assert answer.content_type in ({"text/event-stream"} if answer.status == 200 else refusals)

    resume()
    assert wire.asked >= share(EVENT_IDS, database)


# The upload -----------------------------------------------------------------------------------------------------------

names = st.one_of(
    st.text(max_size=30).map(lambda text: text.encode(errors="surrogatepass")),
    st.binary(max_size=30),
    st.sampled_from(
        [b"a.jpg", b"", b"../../etc/passwd", b"C:\\x.jpg", b"x" * 5000, b'a"; filename="b', b"a\0b.jpg", b"..", b"%00"]
    ),
)
fields = st.sampled_from([b"photos", b"photos", b"section", b"caption", b"", b"photos[]", b"x"])
contents = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([b"damage", b"exterior_360", b"DAMAGE", b"\0", b"", b"c" * 300, "\u202e\0\ud7ff".encode()]),
    st.just(cast.picture(1, (16, 12))),
    st.just(cast.picture(1, (16, 12))[:-9]),
)


@st.composite
def parts(draw: st.DrawFn) -> bytes:
    name, content = draw(fields), draw(contents)
    extra = b""
    if name == b"photos" or draw(st.integers(0, 5)) == 0:
        form = draw(st.sampled_from([b'; filename="%s"', b"; filename=%s", b"; filename*=utf-8''%s", b""]))
        extra = form % draw(names) if b"%s" in form else form
    headers = draw(st.sampled_from([b"", b"Content-Type: image/jpeg\r\n", b"Content-Transfer-Encoding: base64\r\n"]))
    return b'Content-Disposition: form-data; name="%s"%s\r\n%s\r\n%s\r\n' % (name, extra, headers, content)


@st.composite
def forms(draw: st.DrawFn) -> tuple[bytes, bytes]:
    boundary = draw(st.sampled_from([b"frontier", b"-", b"f" * 200, b'"a b"', b"\xff", b"a;b"]))
    body = b"".join(b"--" + boundary.strip(b'"') + b"\r\n" + part for part in draw(st.lists(parts(), max_size=5)))
    body += draw(st.sampled_from([b"--%s--\r\n" % boundary.strip(b'"'), b"", b"--", b"--%s" % boundary]))
    damage = draw(st.sampled_from(["none", "none", "none", "cut", "lines", "noise"]))
    if damage == "cut":
        body = body[: draw(st.integers(0, len(body)))]
    elif damage == "lines":
        body = body.replace(b"\r\n", b"\n")
    elif damage == "noise":
        place = draw(st.integers(0, len(body)))
        body = body[:place] + draw(st.binary(max_size=20)) + body[place:]
    return boundary, body


def test_any_upload_is_taken_or_refused_with_a_reason(wire: Wire, database: str) -> None:
    @fuzz(UPLOADS, database)
    @given(forms(), st.sampled_from([b"", b"X-Requested-With: XMLHttpRequest\r\n"]))
    def upload(form: tuple[bytes, bytes], script: bytes) -> None:
        boundary, body = form
        content_type = b"Content-Type: multipart/form-data; boundary=" + boundary + b"\r\n"
        answer = wire.ask("POST", f"/assessments/{WITHOUT_PHOTOS}/photos/", content_type + script, body)
        plain(answer)
        assert answer.status in {200, 302, 400, 413}
        if answer.status == 400:
            assert answer.content_type in {"text/html", "text/plain"}
            assert answer.body

    upload()
    assert wire.asked >= share(UPLOADS, database)


# Everything else ------------------------------------------------------------------------------------------------------

PATHS = (
    "/",
    "/login/",
    "/login/?next=%00",
    "/login/?next=//evil.example/",
    "/assessments/?q=%00",
    "/assessments/?q=%ff%fe",
    "/assessments/?q=" + "%25" * 500,
    "/assessments/?shown=%00,a",
    "/assessments/?shown=" + ",".join("a" * 500),
    "/assessments/?page=%00",
    "/assessments/?page=" + "9" * 100,
    "/assessments/%00/",
    "/assessments/%ff/",
    "/assessments/ASM-2026-%00/documents/report/",
    "/assessments/ASM-2026-%00/events/",
    "/assessments/%00/photos/",
    "/assessments/%00/photos/1/thumbnail/",
    f"/assessments/{OWN}/photos/{'9' * 30}/thumbnail/",
    f"/assessments/{OWN}/documents/report/?version=%00",
    f"/assessments/{OWN}/documents/report/?version=\u0661",
    f"/assessments/{OWN}/%2e%2e/%2e%2e/etc/passwd",
    "/static/../config/settings.py",
    "/static/%2e%2e/%2e%2e/config/settings.py",
    "/static/%00",
    "/static/" + "a" * 3000,
    "/admin/assessments/assessment/?q=%00",
    "/admin/assessments/assessment/?status=%00",
    "/admin/assessments/assessment/?documents=%00",
    "/admin/assessments/assessment/?p=%00",
    "/admin/assessments/assessment/?o=%00.9999",
    "/admin/assessments/assessment/%00/change/",
    "/admin/assessments/assessment/progress/%00/",
    "/admin/assessments/assessment/progress/" + "9" * 5000 + "/",
    "/admin/assessments/assessment/progress/\u0661/?show=%ff&page=-1",
    "/admin/assessments/photo/?assessment__number=%00",
    "/admin/r/%00/%00/",
    "/admin/autocomplete/?app_label=assessments&model_name=assessment&field_name=client&term=%00",
    "/readyz?%00",
    "/healthz?%00",
    "/api/generate-all-documents",
    "/%c0%ae%c0%ae/",
    "/" + "a/" * 2000,
    "//evil.example/",
    "/\u202e",
    "/\xff",
    "/a b",
    "http://evil.example/assessments/",
    "*",
    "",
)


def header_lines(choose: random.Random) -> bytes:
    noise = bytes(choose.choices(range(256), k=choose.randrange(40)))
    return choose.choice(
        [
            b"",
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n",
            b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n",
            b'Cookie: sessionid="aaaaaaaaaaaa\\000"; csrftoken="\\000"\r\n',
            b"Cookie: sessionid=" + b"s" * 5000 + b"\r\n",
            b"Cookie: messages=" + noise + b"; sessionid=" + noise + b"\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: gzip, chunked\r\nContent-Length: 4\r\n",
            b"Content-Length: -1\r\n",
            b"Content-Length: 1e3\r\n",
            b"Content-Length: 4\r\nContent-Length: 5\r\n",
            b"Expect: 100-continue\r\nContent-Length: 4\r\n",
            b"Host: evil.example\r\n",
            b"Host: \xff\r\n",
            b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: \0\r\nX-Forwarded-For: '\"<>\r\n",
            b"Range: bytes=" + noise + b"\r\n",
            b"If-None-Match: " + noise + b"\r\nIf-Modified-Since: " + noise + b"\r\n",
            b"Accept-Encoding: " + noise + b"\r\nAccept: " + noise + b"\r\nAccept-Language: " + noise + b"\r\n",
            b"Referer: " + noise + b"\r\nOrigin: " + noise + b"\r\n",
            b"HX-Request: true\r\nHX-Current-URL: " + noise + b"\r\nHX-Target: " + noise + b"\r\n",
            noise + b": " + noise + b"\r\n",
            b"Daphne-Root-Path: \xff\r\n",
            b"Daphne-Root-Path: /evil\r\n",
            b"A: b\r\n c\r\n",
            b"X: " + b"a" * 100_000 + b"\r\n",
            b"X: y\r\n" * 1000,
            b"a\r\n",
        ]
    )


def test_any_bytes_are_answered_or_end_the_connection(shared_site: Site, wire: Wire, database: str) -> None:
    choose = random.Random(1)
    methods = [*["GET"] * 3, "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "X" * 50, "\0"]
    versions = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", "", "ICY"]
    people = [b"", Wire(shared_site, "assessor").headers, Wire(shared_site, "staff").headers]
    requests = [
        f"{choose.choice(methods)} {path} {choose.choice(versions)}\r\n".encode(encoding, "replace")
        + choose.choice(people)
        + header_lines(choose)
        + choose.choice([b"\r\n", b"\r\n", b"\r\n", b"\n", b"", b"\r\n0\r\n\r\n", b"\r\nzz\r\nabc\r\n"])
        for encoding in ("utf-8", "latin-1")
        for path in choose.choices(PATHS, k=max(0, share(LINES, database) // 2 - len(PATHS)))
    ]
    # Each path as a signed-in assessor, and as the office.
    requests += [f"GET {path} HTTP/1.1\r\n".encode() + who + b"\r\n" for path in PATHS for who in people[1:]]
    # HTTP/2, TLS, and nothing at all.
    requests += [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n" * 5,
        b"\0" * 100,
    ]
    answered = 0
    for some in batched(requests, 50):
        for request, begun in zip(some, first_bytes(shared_site.port, some), strict=True):
            status = re.match(rb"HTTP/1\.[01] (\d{3}) ", begun)
            assert status or not begun, (request[:300], begun)
            assert not status or int(status[1]) < 500, (request[:300], begun)
            plain(Answer(0, "", begun))
            answered += bool(begun)
    assert len(requests) >= share(LINES, database)
    assert answered > len(requests) / 2


def first_bytes(port: int, requests: Sequence[bytes]) -> list[bytes]:
    """Return the beginning of the answer to each request; no bytes if the server gives none, or waits for the rest."""
    begun = dict.fromkeys(range(len(requests)), b"")
    with ExitStack() as connections, selectors.DefaultSelector() as selector:
        for number, request in enumerate(requests):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
            with suppress(ConnectionError):
                connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ, number)
        while ready := selector.select(timeout=SILENCE):
            for key, _ in ready:
                with suppress(ConnectionError):
                    begun[key.data] = key.fileobj.recv(20_000)  # type: ignore[union-attr]
                selector.unregister(key.fileobj)
    return list(begun.values())
