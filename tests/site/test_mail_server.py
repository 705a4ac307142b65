"""Mails reach a server that begins with TLS, or that offers TLS after a greeting; one that hangs holds up nothing."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import staging
from tests.cast import YEAR
from tests.running import PATIENCE, Site, bare_environment, wait_until
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


FAIL = """
from django.contrib.auth.models import User
from assessments.documents import queue
from assessments.models import Assessment

who = User.objects.get(username="assessor")
for _ in range(20):
    assessment = Assessment.objects.create(assessor=who)
    queue.request(assessment, ["report"], by=who)
    queue.claim(assessment.pk).fail("It broke.")
"""


def test_a_mail_server_that_never_answers_holds_up_no_document(start_site: Callable[..., Site]) -> None:
    other = f"ASM-{YEAR}-002"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        site = start_site(
            WORKERS="1",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=str(server.getsockname()[1]),
            EMAIL_TIMEOUT="600",
            DEFAULT_FROM_EMAIL="documents@example.org",
        )
        site.python(FAIL)
        caller, _ = server.accept()
        with caller, site.login("stranger") as client:
            # The web waits for the mail server, too.
            client.post("/password/reset/", data={"email": "assessor@example.org"})
            second, _ = server.accept()
            client.post(f"/assessments/{other}/documents/estimate/retry/")
            wait_until(lambda: site.statuses(other)["estimate"] == "success", "the document is not made")
            wait_until(site.healthy, "a part of the site hangs")
            # Both calls still wait for the first word of the server.
            for call in (caller, second):
                call.setblocking(False)
                with pytest.raises(BlockingIOError):
                    call.recv(1)
            second.close()
        rows = "SELECT mail_tries FROM assessments_batch WHERE mailed_at IS NULL AND mail_due_at IS NOT NULL"
        wait_until(lambda: site.rows(rows) == [{"mail_tries": 1}], "the mail is not due again after a pause")
