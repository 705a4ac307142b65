"""Proxies between a browser and a site that treat streams as the network may."""

import select
import socket
import threading
import time
from contextlib import suppress
from typing import Self

from .running import Site


class Wire:
    """A proxy of a site that sends streams on in small pieces, each by itself, and can break all connections."""

    PIECE = 90

    def __init__(self, site: Site) -> None:
        self.site_port = site.port
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}"
        self.ends: list[socket.socket] = []
        self.streamed = b""
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                browser = self.door.accept()[0]
                site = socket.create_connection(("127.0.0.1", self.site_port))
                browser.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.ends += [browser, site]
                threading.Thread(target=self.carry, args=(browser, site), daemon=True).start()

    def carry(self, browser: socket.socket, site: socket.socket) -> None:
        streams = False
        with browser, site, suppress(OSError):
            while True:
                for ready in select.select([browser, site], [], [])[0]:
                    content = ready.recv(65536)
                    if not content:
                        return
                    streams = streams or b"content-type: text/event-stream" in content.lower()
                    if ready is site and streams:
                        self.streamed += content
                        self.pass_on(browser, content)
                    else:
                        (site if ready is browser else browser).sendall(content)

    def pass_on(self, browser: socket.socket, content: bytes) -> None:
        for start in range(0, len(content), self.PIECE):
            browser.sendall(content[start : start + self.PIECE])
            # Without the pause, two pieces would arrive as one.
            time.sleep(0.002)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.door.close()
        self.tear()

    def tear(self) -> None:
        for each in self.ends:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Hoarder(Wire):
    """A proxy that keeps all streams back, or lets the first bytes of each pass, as an antivirus program may do."""

    def __init__(self, site: Site, passes: int = 0) -> None:
        super().__init__(site)
        self.passes = passes
        self.passed: dict[socket.socket, int] = {}
        self.kept: dict[socket.socket, bytes] = {}

    def pass_on(self, browser: socket.socket, content: bytes) -> None:
        passed = self.passed.get(browser, 0)
        room = max(0, self.passes - passed)
        browser.sendall(content[:room])
        self.passed[browser] = passed + len(content)
        self.kept[browser] = self.kept.get(browser, b"") + content[room:]

    def let_half_go(self) -> None:
        """Send on the first half of what was kept back."""
        for browser, content in self.kept.items():
            with suppress(OSError):
                browser.sendall(content[: len(content) // 2])
