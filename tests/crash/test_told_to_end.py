"""A deployment ends the site in the middle of a document: the document is finished, the rest waits for a new start."""

import signal
from collections.abc import Callable

import pytest

from tests import family
from tests.running import Site, wait_until

from .scene import (
    OWN,
    all_made,
    ask,
    document,
    finishes_its_document_and_leaves_the_rest,
    outcomes,
    serve,
    versions,
    workers,
)

StartSite = Callable[..., Site]


def test_an_ending_site_finishes_its_document_and_leaves_the_rest_for_the_next_start(site_with: StartSite) -> None:
    site = site_with(LEASE_SECONDS="30")
    finishes_its_document_and_leaves_the_rest(site)
    site.start()
    wait_until(lambda: all_made(site), "the rest is not made")
    assert versions(site) == [1, 1, 1, 1]
    assert outcomes(site) == ["success"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_second_request_to_end_gives_the_document_back_unmade(site_with: StartSite, number: signal.Signals) -> None:
    site = site_with(LEASE_SECONDS="30")
    (worker,), process = workers(site), site.process
    assert process
    ask(site)
    renderer = family.hold_renderer(worker)
    process.send_signal(number)
    wait_until(lambda: not family.named(serve(site), "web"), "the web process goes on")
    wait_until(lambda: family.has_taken(worker, signal.SIGTERM), "the worker is not told")
    process.send_signal(number)
    assert process.wait(30) == 0
    assert not family.running(renderer)
    assert set(site.statuses(OWN).values()) == {"pending"}
    assert document(site, "report")["attempts"] == 0
    assert outcomes(site) == ["released"]
    site.start()
    wait_until(lambda: all_made(site), "the documents are not made")
    assert versions(site) == [1, 1, 1, 1]
