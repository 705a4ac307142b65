"""A bucket of S3 as the storage of files, in a module of its own: a site with a folder does not load the library."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import cached_property
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files import File
from storages.backends.s3 import S3Storage

from assessments.connections import give_back

from .folder import PIECE, StorageAway, unlike_any

# Seconds to connect, and seconds between two pieces of a response.
CONNECT_PATIENCE, READ_PATIENCE = 5, 10


class BucketStorage(S3Storage):
    """Gives the guarantees of WholeFileStorage, and its errors: FileNotFoundError, and StorageAway for any other.

    A file exists only when all of it has arrived, so there is no half file. Its name is made unique before it is
    stored, so saving never replaces another file. When a response is lost, the library saves once more under the same
    name, which leaves one file.
    """

    # Set by the library from the options.
    bucket_name: str
    location: str
    region_name: str | None
    endpoint_url: str | None
    client_config: Any

    def __init__(self, **options: Any) -> None:
        config = Config(
            signature_version="s3v4",
            # Under its own host name, a bucket needs an entry in the DNS. Hardly any server except Amazon's makes such
            # an entry.
            s3={"addressing_style": "path" if options.get("endpoint_url") else "auto"},
            connect_timeout=CONNECT_PATIENCE,
            read_timeout=READ_PATIENCE,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=32,
            # Not every server knows the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # An upload uses no threads of its own: it has one part in memory at a time, and ends when its caller ends.
        super().__init__(
            client_config=config, transfer_config=TransferConfig(use_threads=False), file_overwrite=True, **options
        )

    @cached_property
    def connection(self) -> Any:
        """One for all threads, as its client allows. The library would make one per thread, for 100 ms and 10 MB."""
        return self._create_session().resource(
            "s3", region_name=self.region_name, endpoint_url=self.endpoint_url, config=self.client_config
        )

    @property
    def client(self) -> Any:
        return self.connection.meta.client

    def generate_filename(self, filename: str | os.PathLike[str]) -> str:
        return unlike_any(super().generate_filename(filename))

    def _open(self, name: str, mode: str = "rb") -> "StoredFile":
        if mode != "rb":
            raise ValueError("Files of a bucket are written by saving them.")
        return StoredFile(self, name, self.size(name))

    def _save(self, name: str, content: Any) -> str:
        with self.answers(name):
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        # The library takes a missing bucket for a missing file, which would be no error.
        with suppress(FileNotFoundError), self.answers(name):
            self.client.delete_object(Bucket=self.bucket_name, Key=self.key(name))

    def exists(self, name: str) -> bool:
        with self.answers(name):
            return bool(super().exists(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with self.answers(name):
            directories, files = super().listdir(name)
        return directories, files

    def everything(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Yield the names of all files below a folder, folder by folder, with the time of each's last change."""
        root = self.key("")
        with self.answers(folder):
            for stored in self.bucket.objects.filter(Prefix=f"{self.key(folder)}/"):
                yield stored.key.removeprefix(root).lstrip("/"), stored.last_modified

    def size(self, name: str) -> int:
        with self.answers(name):
            head = self.client.head_object(Bucket=self.bucket_name, Key=self.key(name))
        return int(head["ContentLength"])

    def begin(self, name: str, first: int, last: int) -> Any:
        """Begin to read the bytes from ``first`` to ``last``, both included. Call this within ``answers``."""
        part = f"bytes={first}-{last}"
        return self.client.get_object(Bucket=self.bucket_name, Key=self.key(name), Range=part)["Body"]

    def link(self, name: str, content_type: str, disposition: str, seconds: int) -> str:
        """Return an address at which anybody can get the file, with these headers, for a number of seconds."""
        headers = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        with self.answers(name):
            return str(self.url(name, parameters=headers, expire=seconds))

    def place(self, name: str) -> str:
        return f"s3://{self.bucket_name}/{self.key(name)}"

    def key(self, name: str) -> str:
        return str(self._normalize_name(name))

    @contextmanager
    def answers(self, name: str) -> Iterator[None]:
        """Raise OSError for an error of the library: FileNotFoundError when the file is missing, else StorageAway."""
        give_back()
        try:
            yield
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404 and error.response["Error"]["Code"] != "NoSuchBucket" and self.has_bucket():
                raise FileNotFoundError(f"{self.place(name)} does not exist") from error
            raise StorageAway(f"{self.place(name)}: {error}") from error
        except (BotoCoreError, Boto3Error) as error:
            raise StorageAway(f"{self.place(name)}: {error}") from error

    def has_bucket(self) -> bool:
        """Return whether the bucket exists: a 404 for a file may mean the file or the bucket."""
        try:
            self.client.head_bucket(Bucket=self.bucket_name)
        except (ClientError, BotoCoreError):
            return False
        return True


class StoredFile(File[bytes]):
    """A file of a bucket, open for reading. Each piece is a request of its own, so nothing is held between reads.

    Raises StorageAway when the rest cannot be read.
    """

    def __init__(self, storage: BucketStorage, name: str, size: int) -> None:
        super().__init__(None, name)
        self.storage = storage
        self.size = size
        self.seek(0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position, self.piece = offset, b""
        return offset

    def read(self, length: int = -1) -> bytes:
        wanted = self.size - self.position if length < 0 else min(length, self.size - self.position)
        if wanted > len(self.piece):
            # A request for each small read would take long.
            first = self.position + len(self.piece)
            last = min(self.position + max(wanted, PIECE), self.size) - 1
            with self.storage.answers(str(self.name)):
                self.piece += self.storage.begin(str(self.name), first, last).read()
        content, self.piece = self.piece[:wanted], self.piece[wanted:]
        self.position += len(content)
        return content

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Yield the whole content, with one request."""
        if self.size:
            with (
                self.storage.answers(str(self.name)),
                closing(self.storage.begin(str(self.name), 0, self.size - 1)) as body,
            ):
                yield from body.iter_chunks(chunk_size or PIECE)

    def close(self) -> None:
        self.piece = b""
