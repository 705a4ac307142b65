"""An open page, as the server sees it: the page reads the stream, and resumes a stream that breaks off."""

import threading
import time

import httpx

from tests import sse
from tests.running import Site

# Seconds before a stream that broke off is opened again.
PAUSE = 0.3


class Viewer(threading.Thread):
    """Watches one assessment's documents from a revision on, until the site is stopped or ``over`` is set."""

    def __init__(self, site: Site, number: str, username: str = "assessor") -> None:
        super().__init__(name=f"viewer of {number}", daemon=True)
        self.site = site
        self.number = number
        self.username = username
        self.events: list[sse.SentEvent] = []
        # The revision after which the viewer begins.
        self.since = 0
        self.opened = 0
        # For each stream that broke off, the seconds without a stream.
        self.gaps: list[float] = []
        self.lost_at = 0.0
        self.over = False

    def run(self) -> None:
        with self.site.login(self.username) as client:
            while self.site.process and not self.over:
                try:
                    self.watch(client)
                except httpx.TransportError:
                    self.lost_at = self.lost_at or time.monotonic()
                time.sleep(PAUSE)

    def watch(self, client: httpx.Client) -> None:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": f"{self.number}:{self.revision}"}
        with client.stream("GET", f"/assessments/{self.number}/events/", headers=headers) as response:
            if response.status_code != 200:
                return
            self.opened += 1
            if self.lost_at:
                self.gaps.append(time.monotonic() - self.lost_at)
                self.lost_at = 0.0
            for event in sse.changes(response):
                self.events.append(event)
        self.lost_at = time.monotonic()

    @property
    def revision(self) -> int:
        return self.events[-1].revision if self.events else self.since

    @property
    def revisions(self) -> list[int]:
        return [event.revision for event in self.events]

    @property
    def shown(self) -> dict[str, str]:
        """The status of each document, by slug, as the page shows it."""
        return {event.document: event.status for event in self.events}


def documents(site: Site, number: str) -> dict[str, tuple[str, int]]:
    """Return the status and the revision of each of an assessment's documents, by slug."""
    query = (
        "SELECT kind, d.status AS status, d.revision AS revision FROM assessments_document d "
        "JOIN assessments_assessment a ON a.id = d.assessment_id WHERE number = ?"
    )
    return {row["kind"]: (row["status"], row["revision"]) for row in site.rows(query, number)}


def nothing_missed(viewer: Viewer) -> bool:
    """Return whether the page shows each document's last change."""
    last = {event.document: (event.status, event.revision) for event in viewer.events}
    return last == {kind: change for kind, change in documents(viewer.site, viewer.number).items() if change[1]}


def nothing_twice(viewer: Viewer) -> bool:
    return all(before < after for before, after in zip(viewer.revisions, viewer.revisions[1:], strict=False))
