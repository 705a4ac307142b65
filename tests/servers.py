"""Servers of the tests: PostgreSQL, Redis, nginx, S3 and RabbitMQ, on loopback, a free port and a temporary folder.

The system's services are left alone. A server ends with the process that started it, even when that process is killed.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
import redis
from kombu import Connection
from psycopg import sql

from assessments.processes import die_with_parent

from .running import POSTGRESQL_TEMPLATE, ROOT, free_port, wait_until


class Server(ABC):
    """A process that is started, stopped and started again with the same data and on the same port."""

    # The user that the server runs as.
    user: str | None = None
    # The environment of the server; None for that of the tests.
    environment: dict[str, str] | None = None
    # The signal that ends the server soon and in good order.
    gently = signal.SIGTERM

    def __init__(self, program: Path) -> None:
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix=f"tests-{program.name}-"))
        self.log = self.folder / "log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        if self.user:
            shutil.chown(self.folder, self.user)

    @abstractmethod
    def arguments(self) -> list[str]: ...

    @abstractmethod
    def answers(self) -> bool: ...

    def start(self) -> None:
        """Start the server, and wait for an answer. Only the main thread may do so: servers end with their thread."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *self.arguments()],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        wait_until(self.ready, f"{self.program.name} does not answer")

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"{self.program.name} ended:\n{self.log.read_text()}"
        return self.answers()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the server with a signal, and wait for the end."""
        if self.process is None:
            return
        self.process.send_signal(number)
        self.process.wait(60)
        self.process = None

    def remove(self) -> None:
        """Kill the server and delete its folder."""
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgreSQL(Server):
    # Signals that end PostgreSQL: FAST does not wait for connected clients, and IMMEDIATE does not tidy up either.
    FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
    gently = FAST

    def __init__(self, made: Path | None = None) -> None:
        """Make a server without data, or with the data in a folder that ``postgresql_template`` has made."""
        # PostgreSQL refuses to run as root.
        self.user = "postgres" if os.getuid() == 0 else None
        super().__init__(self.find())
        self.data = self.folder / "data"
        # What ``create`` copies: the database of a prepared site, or an empty one.
        self.template = POSTGRESQL_TEMPLATE if made else "template1"
        if made:
            # PostgreSQL insists on the owner and the rights of each file.
            subprocess.run(["cp", "-a", made / "cluster", self.data], check=True)
            return
        subprocess.run(
            [
                self.program.with_name("initdb"),
                f"--pgdata={self.data}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            check=True,
        )

    @staticmethod
    def find() -> Path:
        """Return the path of the newest PostgreSQL that is installed, or skip the test."""
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
        return installed[-1] if installed else found("postgres", "PostgreSQL").resolve()

    def arguments(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            # The data need not survive the machine. Written data survive the end of the process all the same.
            "fsync": "off",
            "full_page_writes": "off",
        }
        return ["-D", str(self.data), *(f"--{name}={value}" for name, value in settings.items())]

    def answers(self) -> bool:
        try:
            self.execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def url(self, database: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, template: str | None = None) -> None:
        """Create a database as a copy of a template to which no client is connected; see ``self.template``."""
        names = sql.Identifier(database), sql.Identifier(template or self.template)
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))

    def drop(self, database: str) -> None:
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)


class Redis(Server):
    def __init__(self) -> None:
        super().__init__(found("redis-server", "Redis"))

    def arguments(self) -> list[str]:
        return ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]

    def answers(self) -> bool:
        with redis.Redis(port=self.port) as client, suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class Nginx(Server):
    """nginx with config/deploy/nginx.conf, before webs on loopback. ``media`` holds the files that they hand over.

    With ``certificate``, the site is on HTTPS as in a deployment; ``self.certificate`` is the file of the certificate.
    """

    def __init__(self, webs: list[int], media: Path, port: int = 0, certificate: bool = False) -> None:
        super().__init__(found("nginx", "nginx"))
        self.port = port or self.port
        self.plain_port = free_port()
        self.certificate, key = self.folder / "fullchain.pem", self.folder / "privkey.pem"
        if certificate:
            make_certificate(self.certificate, key)
        folder = self.folder if certificate else None
        (self.folder / "site.conf").write_text(site_conf(webs, media, self.port, self.plain_port, folder))
        (self.folder / "nginx.conf").write_text(NGINX_MAIN)

    def arguments(self) -> list[str]:
        return ["-p", str(self.folder), "-e", "stderr", "-c", "nginx.conf"]

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate.exists() else 'http'}://127.0.0.1:{self.port}"


class S3(Server):
    """A server of S3 with an empty bucket. A stop loses all files in the bucket."""

    bucket = "assessments"

    def __init__(self) -> None:
        super().__init__(Path(sys.executable).with_name("moto_server"))

    def start(self) -> None:
        super().start()
        self.client.create_bucket(Bucket=self.bucket)

    def arguments(self) -> list[str]:
        return ["-H", "127.0.0.1", "-p", str(self.port)]

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @cached_property
    def client(self) -> Any:
        """A client for tests that look into the bucket or change it behind the site's back."""
        keys = {"aws_access_key_id": "tests", "aws_secret_access_key": "tests"}
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", **keys)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of the files in the bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a site that uses the bucket."""
        keys = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}
        return {"S3_BUCKET": self.bucket, "S3_ENDPOINT_URL": self.url, **keys}


NGINX_CONF = ROOT / "config" / "deploy" / "nginx.conf"
# nginx runs as one process, as its workers would outlive a killed master.
NGINX_MAIN = """
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 4096; }
http {
    access_log off;
    include /etc/nginx/mime.types;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include site.conf;
}
"""


def site_conf(webs: list[int], media: Path, port: int, plain_port: int, certificate: Path | None) -> str:
    """Return the deployed configuration of the site, with the addresses of the tests.

    ``certificate`` is the folder of a certificate; without one the site is on plain HTTP.
    """
    text = NGINX_CONF.read_text()
    tls = (
        "ssl_certificate     /etc/ssl/assessments/fullchain.pem;",
        "ssl_certificate_key /etc/ssl/assessments/privkey.pem;",
    )
    replaced = {
        **{f"web-{number}:8000": (2, f"127.0.0.1:{web}") for number, web in enumerate(webs, start=1)},
        "listen 8080;": (1, f"listen 127.0.0.1:{plain_port};"),
        "listen 8443 ssl http2;": (1, f"listen 127.0.0.1:{port}{' ssl http2' if certificate else ''};"),
        **{line: (1, line.replace("/etc/ssl/assessments", str(certificate)) if certificate else "") for line in tls},
        "/data/media/": (1, f"{media}/"),
    }
    for there, (times, instead) in replaced.items():
        assert text.count(there) == times, f"{there} stands {text.count(there)} times in {NGINX_CONF}"
        text = text.replace(there, instead)
    return text


def make_certificate(certificate: Path, key: Path) -> None:
    """Make a certificate for 127.0.0.1 that is its own authority."""
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    command = [found("openssl", "OpenSSL"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)


class RabbitMQ(Server):
    # Debian's program without the script around it, which changes the user.
    PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

    def __init__(self) -> None:
        super().__init__(self.PROGRAM if self.PROGRAM.exists() else found("rabbitmq-server", "RabbitMQ"))
        (self.folder / "plugins").write_text("[].")
        (self.folder / "rabbitmq.conf").touch()
        # A node on its own, with its port on loopback and without epmd, the daemon that knows where all nodes are.
        alone = (
            f"-sname tests@localhost -erl_epmd_port {free_port()}",
            "-kernel inet_dist_use_interface {127,0,0,1}",
            # No busy waiting: the node need not answer within microseconds.
            "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        )
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            # RabbitMQ keeps a secret there.
            "HOME": str(self.folder),
            # The server takes the place of its start script.
            "RUNNING_UNDER_SYSTEMD": "1",
            "RABBITMQ_NODENAME": "tests@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.folder / "features"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(alone),
            # For each Erlang that RabbitMQ starts: after a minute RabbitMQ would start epmd once more.
            "ERL_FLAGS": "-start_epmd false",
        }

    def arguments(self) -> list[str]:
        return []

    def answers(self) -> bool:
        with Connection(self.url, connect_timeout=5) as connection, suppress(OSError):
            connection.connect()
            return True
        return False

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"


def found(program: str, name: str) -> Path:
    """Return the path of a program, or skip the test that needs it."""
    # The folder of the administrator's programs is not on every user's path.
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed, so nothing was tested on it. `make test` says how to get it.")
    return Path(path)
