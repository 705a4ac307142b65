"""The web process is killed while pages are open: the pages resume where they were."""

import os
import signal
from collections.abc import Callable

from tests import family
from tests.running import Site, wait_until

from .scene import OWN, all_made, ask, serve, workers
from .viewer import Viewer, nothing_missed, nothing_twice

VIEWERS = 20


def test_twenty_streams_resume_after_the_web_process_was_killed(start_site: Callable[..., Site]) -> None:
    site = start_site(LEASE_SECONDS="30")
    (worker,), (web,) = workers(site), family.named(serve(site), "web")
    viewers = [Viewer(site, OWN, username) for username in ("assessor", "staff") for _ in range(VIEWERS // 2)]
    for viewer in viewers:
        viewer.start()
    wait_until(lambda: all(viewer.opened == 1 for viewer in viewers), "not every page is open")
    ask(site)
    renderer = family.hold_renderer(worker)
    wait_until(lambda: all(viewer.shown.get("report") == "processing" for viewer in viewers), "a page stands still")
    os.kill(web, signal.SIGKILL)
    os.kill(renderer, signal.SIGCONT)
    wait_until(lambda: all(viewer.opened == 2 for viewer in viewers), "not every page came back", 60)
    wait_until(lambda: all_made(site), "the documents are not made", 60)
    wait_until(lambda: all(map(nothing_missed, viewers)), "a page misses a change")
    assert all(map(nothing_twice, viewers)), [viewer.revisions for viewer in viewers]
    assert workers(site) == [worker]
    assert {len(viewer.shown) for viewer in viewers} == {4}
