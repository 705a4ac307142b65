"""Mails reach a server that begins with TLS, or that offers TLS after a greeting, by settings alone."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import staging
from tests.running import bare_environment
from tests.servers import make_certificate

SEND = "from django.core.mail import send_mail; print(send_mail('Ready', 'All made.', None, ['a@example.org']))"


class MailServer(socketserver.TCPServer):
    """Takes one mail after another; ``implicit`` TLS begins at once, else with STARTTLS."""

    def __init__(self, folder: Path, implicit: bool) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.certificate = folder / "certificate.pem"
        make_certificate(self.certificate, folder / "key.pem")
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(self.certificate, folder / "key.pem")
        self.implicit = implicit
        self.received = ""


class Conversation(socketserver.BaseRequestHandler):
    server: MailServer

    def handle(self) -> None:
        talk = self.request
        if self.server.implicit:
            talk = self.server.tls.wrap_socket(talk, server_side=True)
        file = talk.makefile("rwb", buffering=0)
        file.write(b"220 ready\r\n")
        in_tls = self.server.implicit
        while line := file.readline().strip().lower():
            if line.startswith(b"ehlo"):
                file.write(b"250 good\r\n" if in_tls else b"250-good\r\n250 STARTTLS\r\n")
            elif line == b"starttls":
                file.write(b"220 go on\r\n")
                file = self.server.tls.wrap_socket(talk, server_side=True).makefile("rwb", buffering=0)
                in_tls = True
            elif line == b"data":
                file.write(b"354 go on\r\n")
                lines = iter(lambda file=file: file.readline(), b".\r\n")
                self.server.received = b"".join(lines).decode()
                file.write(b"250 taken\r\n")
            else:
                assert in_tls
                file.write(b"250 good\r\n")


@pytest.fixture(params=["EMAIL_USE_SSL", "EMAIL_USE_TLS"])
def setting(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def mail_server(setting: str, tmp_path: Path) -> Iterator[MailServer]:
    with MailServer(tmp_path, implicit=setting == "EMAIL_USE_SSL") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_mail_is_delivered_over_either_kind_of_tls(mail_server: MailServer, setting: str, tmp_path: Path) -> None:
    environment = bare_environment(tmp_path) | {
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(mail_server.server_address[1]),
        setting: "1",
        "DEFAULT_FROM_EMAIL": "documents@example.org",
        "SSL_CERT_FILE": str(mail_server.certificate),
    }
    sent = staging.run(environment, SEND)
    assert (sent.stdout.strip(), sent.stderr) == ("1", "")
    assert "Subject: Ready" in mail_server.received
    assert "All made." in mail_server.received
