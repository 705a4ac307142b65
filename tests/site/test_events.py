"""The event stream over HTTP, from a real server: its events, their times, and its viewers."""

import asyncio
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from assessments.documents import panel, queue
from assessments.live import announce
from assessments.live.changes import DocumentStorage
from assessments.live.relay import relay
from assessments.live.viewers import Viewer
from assessments.models import Assessment
from tests import family, sse
from tests.cast import YEAR
from tests.running import PATIENCE, Site, wait_until
from tests.servers import Redis

OWN, FOREIGN, WITHOUT_PHOTOS = (f"ASM-{YEAR}-00{number}" for number in (1, 2, 3))


@contextmanager
def watching(client: httpx.Client, number: str, since: int | None = None, **headers: str) -> Iterator[httpx.Response]:
    query = "" if since is None else f"?lastEventId={number}:{since}"
    accept = {"Accept": "text/event-stream"}
    with client.stream("GET", f"/assessments/{number}/events/{query}", headers=accept | headers) as response:
        yield response


def generate(client: httpx.Client, number: str) -> None:
    assert client.post(f"/assessments/{number}/documents/generate/").status_code == 302


def all_ended(site: Site, number: str) -> bool:
    return not {"pending", "processing"} & set(site.statuses(number).values())


def until_ended(events: Iterator[sse.SentEvent], documents: int = 4) -> list[sse.SentEvent]:
    """Return the events up to the end of the last document."""
    seen, ended = [], set()
    for event in events:
        seen.append(event)
        if event.status in {"success", "error"}:
            ended.add(event.document)
        if len(ended) == documents:
            return seen
    raise AssertionError("the stream ended before the documents did")


def test_the_stream_opens_at_once(site: Site) -> None:
    with site.login("assessor") as client, watching(client, OWN) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        first = next(sse.read(response))
        assert first.type == "stream-open"
        assert first.at < 1


def test_every_document_is_seen_from_waiting_to_its_end(site: Site) -> None:
    with site.login("assessor") as client, watching(client, WITHOUT_PHOTOS, since=0) as response:
        generate(client, WITHOUT_PHOTOS)
        events = until_ended(sse.changes(response))
    story: dict[str, list[str]] = {}
    for event in events:
        story.setdefault(event.document, []).append(event.status)
    assert [events[-1].status, set(story)] == ["error", {"report", "estimate", "photos-pdf", "photos-zip"}]
    assert {kind: statuses[-1] for kind, statuses in story.items()} == {
        "report": "success",
        "estimate": "success",
        "photos-pdf": "error",
        "photos-zip": "error",
    }
    revisions = [event.revision for event in events]
    assert revisions == sorted(revisions)
    assert "This assessment has no photos. Add photos, then retry." in events[-1].data


def test_a_change_reaches_the_page_within_a_second(site: Site) -> None:
    with site.login("assessor") as client, site.login("assessor") as other, watching(client, OWN, since=0) as response:
        events = sse.read(response)
        assert next(events).type == "stream-open"
        assert next(events).type == "saved"
        clicked = time.monotonic()
        generate(other, OWN)
        assert next(events).status == "pending"
        assert time.monotonic() - clicked < 1


def test_a_stream_that_is_resumed_by_header_sends_later_changes_alone(site: Site) -> None:
    with site.login("assessor") as client:
        generate(client, OWN)
        wait_until(lambda: all_ended(site, OWN), "the documents are not made")
        revisions = {
            row["kind"]: row["revision"]
            for row in site.rows(
                "SELECT kind, d.revision AS revision FROM assessments_document d "
                "JOIN assessments_assessment a ON a.id = d.assessment_id WHERE number = ? ORDER BY d.revision",
                OWN,
            )
        }
        kinds = list(revisions)
        for known in range(4):
            since = f"{OWN}:{revisions[kinds[known - 1]] if known else 0}"
            # The header of a reconnecting browser counts more than the revision in the address.
            with watching(client, OWN, since=0, **{"Last-Event-ID": since}) as response:
                events = sse.changes(response)
                assert [next(events).document for _ in kinds[known:]] == kinds[known:]


def test_a_revision_from_the_future_gets_everything(site: Site) -> None:
    with site.login("assessor") as client:
        generate(client, OWN)
        wait_until(lambda: all_ended(site, OWN), "the documents are not made")
        with watching(client, OWN, since=10**9) as response:
            assert len(until_ended(sse.changes(response))) == 4


@pytest.mark.parametrize(
    "event_id", ["error", "1", "ASM-2026-001", "ASM-2026-001:x", "a:1,b:2", ":", "ASM-2026-001:-1"]
)
def test_a_malformed_or_foreign_event_id_is_refused(site: Site, event_id: str) -> None:
    with site.login("assessor") as client, watching(client, OWN, **{"Last-Event-ID": event_id}) as response:
        assert response.status_code == 400


def test_strangers_get_no_stream(site: Site) -> None:
    with site.login("assessor") as client, watching(client, FOREIGN) as response:
        assert response.status_code == 404
    with site.login("staff") as client, watching(client, FOREIGN) as response:
        assert response.status_code == 200
    with httpx.Client(base_url=site.url, timeout=PATIENCE) as client, watching(client, OWN) as response:
        assert response.status_code == 401


def test_one_stream_carries_the_changes_of_several_assessments(site: Site) -> None:
    with site.login("staff") as client:
        generate(client, FOREIGN)
        wait_until(lambda: all_ended(site, FOREIGN), "the documents are not made")
        address = f"/assessments/{OWN}/events/?lastEventId={OWN}:0&also={FOREIGN}:0&also={WITHOUT_PHOTOS}:0"
        with client.stream("GET", address) as response:
            assert response.status_code == 200
            for number in (OWN, WITHOUT_PHOTOS):
                client.post(f"/assessments/{number}/documents/report/retry/")
            last: dict[str, tuple[str, str]] = {}
            for event in sse.changes(response):
                number = event.id.partition(":")[0]
                assert f"/assessments/{number}/" in event.data
                last[number] = (event.document, event.status)
                if last.get(OWN) == last.get(WITHOUT_PHOTOS) == ("report", "success"):
                    break
        # The changes since the revision of the second assessment came, too.
        assert last[FOREIGN] == ("photos-zip", "success")


def test_a_stream_of_several_assessments_needs_the_right_to_each(site: Site) -> None:
    with site.login("assessor") as client:
        for also, status in [
            (f"{WITHOUT_PHOTOS}:0", 200),
            (f"{FOREIGN}:0", 404),
            (f"ASM-{YEAR}-999:0", 404),
            (WITHOUT_PHOTOS, 400),
            ("", 400),
            (f"{WITHOUT_PHOTOS}:0,{FOREIGN}:0", 400),
        ]:
            with client.stream("GET", f"/assessments/{OWN}/events/?also={also}") as response:
                assert response.status_code == status, also
    with httpx.Client(base_url=site.url, timeout=PATIENCE) as client:
        address = f"/assessments/{OWN}/events/?also={WITHOUT_PHOTOS}:0"
        assert client.get(address, headers={"Accept": "text/event-stream"}).status_code == 401


def test_no_parameter_opens_another_channel(site: Site) -> None:
    with site.login("assessor") as client:
        address = f"/assessments/{OWN}/events/?channel={FOREIGN}&channels={FOREIGN}&es-meta=x&link=next&recover=true"
        with client.stream("GET", address) as response:
            assert response.status_code == 200
            with site.login("stranger") as stranger:
                generate(stranger, FOREIGN)
            wait_until(lambda: all_ended(site, FOREIGN), "the documents are not made")
            generate(client, OWN)
            assert f"/assessments/{OWN}/" in next(sse.changes(response)).data


def test_a_silent_stream_is_kept_alive(site: Site) -> None:
    with site.login("assessor") as client, watching(client, OWN) as response:
        # To a server that has seen a test before this one, this site is a restored back-up, and its data is saved data.
        types = (event.type for event in sse.read(response) if event.type != "saved")
        assert [next(types), next(types)] == ["stream-open", "keep-alive"]


def test_a_client_that_goes_away_leaves_no_connection_and_stops_no_document(site: Site) -> None:
    assert site.process
    web = family.named(site.process.pid, "web")[0]

    def sockets() -> int:
        return sum(held.startswith("socket:") for held in family.held_open(web))

    def settled() -> int:
        count = sockets()
        time.sleep(0.5)
        return count if count == sockets() else 0

    # The connection of the last check for readiness may still be closing.
    before = wait_until(settled, "the connections do not settle")
    clients = [site.login("assessor") for _ in range(10)]
    streams = []
    for client in clients:
        response = client.send(client.build_request("GET", f"/assessments/{OWN}/events/"), stream=True)
        streams.append(sse.read(response))
        assert next(streams[-1]).type == "stream-open"
    assert sockets() >= before + 10
    generate(clients[0], OWN)
    for client in clients:
        client.close()
    wait_until(lambda: sockets() <= before, "the connections are still open")
    wait_until(lambda: all_ended(site, OWN), "the documents are not made")
    assert set(site.statuses(OWN).values()) == {"success"}


def test_a_stream_that_fails_halfway_is_broken_off_and_the_server_lives_on(site: Site) -> None:
    with site.login("assessor") as client:
        with watching(client, OWN) as open_before, sqlite3.connect(site.data_dir / "db.sqlite3") as database:
            assert next(sse.read(open_before)).type == "stream-open"
            # A higher revision makes the stream read the documents.
            database.execute("UPDATE assessments_assessment SET revision = revision + 1 WHERE number = ?", [OWN])
            database.execute("ALTER TABLE assessments_document RENAME TO elsewhere")
            database.commit()
            with pytest.raises(httpx.TransportError), watching(client, OWN, since=0) as response:
                list(sse.read(response))
            database.execute("ALTER TABLE elsewhere RENAME TO assessments_document")
            database.commit()
        with watching(client, OWN, since=0) as response:
            generate(client, OWN)
            assert {event.status for event in until_ended(sse.changes(response))} >= {"success"}


def test_a_killed_web_process_starts_again_and_a_resumed_stream_shows_the_end(site: Site) -> None:
    assert site.process
    web = family.named(site.process.pid, "web")[0]
    last = f"{OWN}:0"
    with site.login("assessor") as client:
        with watching(client, OWN, since=0) as response:
            generate(client, OWN)
            events = sse.changes(response)
            last = next(events).id
            os.kill(web, signal.SIGKILL)
            with suppress(httpx.TransportError):
                for event in events:
                    last = event.id
        wait_until(site.ready, "the web process does not come back")
        with watching(client, OWN, **{"Last-Event-ID": last}) as response:
            wait_until(lambda: all_ended(site, OWN), "the documents are not made")
            known = int(last.rpartition(":")[2])
            seen = {event.document: event.status for event in until_ended_since(response, site, known)}
    assert set(seen.values()) == {"success"}


def until_ended_since(response: httpx.Response, site: Site, known: int) -> Iterator[sse.SentEvent]:
    """Yield the events up to the assessment's present revision."""
    present = site.rows("SELECT revision FROM assessments_assessment WHERE number = ?", OWN)[0]["revision"]
    assert present > known
    for event in sse.changes(response):
        yield event
        if event.revision == present:
            return


def test_two_hundred_streams_hold_four_threads_and_two_connections(start_site: Callable[..., Site]) -> None:
    site = start_site(STREAMS_PER_USER="200")
    assert site.process
    web = family.named(site.process.pid, "web")[0]
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    with httpx.Client(base_url=site.url, cookies=site.cookies("assessor"), timeout=60, limits=limits) as client:
        client.headers["X-CSRFToken"] = site.cookies("assessor")["csrftoken"]
        responses = []
        for number in range(200):
            address = f"/assessments/{(OWN, WITHOUT_PHOTOS)[number % 2]}/events/"
            responses.append(client.send(client.build_request("GET", address), stream=True))
        streams = [sse.read(response) for response in responses]
        assert {next(events).type for events in streams} == {"stream-open"}
        generate(client, OWN)
        for events in streams[::2]:
            assert next(events).document
        wait_until(lambda: all_ended(site, OWN), "the documents are not made")
        assert family.threads(web) <= 4
        # Each connection opens the log once. The database file itself SQLite may keep open for a while longer.
        assert family.open_files(web, "db.sqlite3-wal") <= 2
        for response in responses:
            response.close()


def test_a_change_while_another_change_is_being_shown_is_not_lost(
    assessment: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = assessment.number
    queue.request(assessment)
    show = panel.load

    def show_later(assessment_ids: Iterable[int]) -> dict[int, panel.Panel]:
        """Change the first document again before the panel is loaded, as a quick worker could."""
        monkeypatch.setattr(panel, "load", show)
        assert queue.claim(assessment.pk)
        return show(assessment_ids)

    monkeypatch.setattr(panel, "load", show_later)
    told = DocumentStorage().get_events(number, 0)
    told += DocumentStorage().get_events(number, told[-1].id)
    revisions = [event.id for event in told]
    assert revisions == sorted(set(revisions))
    assert revisions[-1] == Assessment.objects.get(pk=assessment.pk).revision
    last = next(event for event in reversed(told) if 'data-document="report"' in event.data)
    assert last is told[-1]
    assert 'id="document-report" class="document" data-document="report" data-status="processing"' in last.data


@pytest.mark.django_db(transaction=True)
def test_a_change_before_the_first_query_of_the_relay_is_read_again(assessment: Assessment, assessor: User) -> None:
    number = assessment.number
    queue.request(assessment)
    present = Assessment.objects.get(pk=assessment.pk).revision

    async def watch() -> list[bool]:
        behind, up_to_date = Viewer(assessor, "", number), Viewer(assessor, "", number)
        behind.since, up_to_date.since = present - 1, present
        async with behind, up_to_date:
            relay.forget()
            await relay.pass_on(Assessment.objects.filter(pk=assessment.pk), {number})
            return [behind.overflow, up_to_date.overflow]

    assert asyncio.run(watch()) == [True, False]


def test_a_sent_event_is_not_sent_again(assessor: User) -> None:
    def events(*revisions: int) -> str:
        return "".join(f"id: {OWN}:{revision}\ndata: row\n\n" for revision in revisions)

    async def send() -> list[str]:
        viewer = Viewer(assessor, "", OWN)
        sent = [viewer.unsent(events(*revisions)) for revisions in ((2, 3), (3, 4), (4,), (5,))]
        viewer.leave()
        return sent

    assert asyncio.run(send()) == [events(2, 3), events(4), "", events(5)]


def test_a_change_is_announced_to_the_end_of_the_process_of_its_click(redis: Redis, settings: Settings) -> None:
    settings.REDIS_URL = redis.url
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [redis.url]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    ending = asyncio.new_event_loop()
    ending.call_soon(relay.start)
    ending.call_later(0.1, ending.stop)
    ending.run_forever()
    # The loop of the web has stopped, and the thread of the click goes on.
    assert relay.running
    try:
        announce.announce([1])
        announce.let_messages_arrive()
        assert not announce.under_way
    finally:
        for task in (tasks := asyncio.all_tasks(ending)):
            task.cancel()
        ending.run_until_complete(asyncio.wait(tasks, timeout=1))
        ending.close()
