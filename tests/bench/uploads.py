"""The bench of uploads: ten people upload 60 photos each, three at a time as the page does; a visitor opens pages.

``BENCH_PEOPLE`` and ``BENCH_UPLOADS`` (10 and 60 when not set) are the numbers, ``BENCH_MEGAPIXELS`` (12) the size. At
first the site is idle for ``BENCH_IDLE`` (5) seconds. The site runs on PostgreSQL with one web and one worker.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from multiprocessing import get_context

import httpx
from rich.console import Console
from rich.table import Table

from assessments.operations.demo.pictures import picture
from tests.running import NO_TLS, Site, wait_until

from .prepared import site_on_postgresql
from .queueing import Visit, Visitor, highest_of

PEOPLE = int(os.environ.get("BENCH_PEOPLE", "10"))
UPLOADS = int(os.environ.get("BENCH_UPLOADS", "60"))
# Photos that one page sends at the same time.
AT_ONCE = 3
MEGAPIXELS = float(os.environ.get("BENCH_MEGAPIXELS", "12"))
WIDTH, HEIGHT = (round(side * (MEGAPIXELS / 12) ** 0.5) for side in (4032, 3024))
# Seconds before the uploads, in which only the visitor opens pages.
IDLE = float(os.environ.get("BENCH_IDLE", "5"))
# The senders of a real site are on other machines, so here they get the lowest priority.
NICENESS = 19


def fill(site: Site) -> list[dict[str, str]]:
    """Make people, each with a session and an assessment of their own."""
    code = (
        "import json; from tests import cast\n"
        f"people = [cast.make_person(f'person-{{number}}') for number in range({PEOPLE})]\n"
        "print(json.dumps([{'session': cast.session_of(person), "
        "'number': cast.make_assessment(person, photos=0).number} for person in people]))"
    )
    filled: list[dict[str, str]] = site.python(code)
    return filled


def send(url: str, person: dict[str, str], content: bytes, who: int) -> int:
    """Send one person's photos, each with some bytes of its own; return the number of added photos."""
    cookies = {"sessionid": person["session"], "csrftoken": "x" * 32}
    headers = {"X-CSRFToken": "x" * 32, "X-Requested-With": "XMLHttpRequest"}
    with (
        httpx.Client(base_url=url, cookies=cookies, headers=headers, timeout=300, verify=NO_TLS) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):

        def upload(number: int) -> int:
            mine = content + json.dumps([who, number]).encode()
            files = {"photos": (f"IMG_{number:04}.jpg", mine, "image/jpeg")}
            path = f"/assessments/{person['number']}/photos/"
            answer = client.post(path, data={"section": "damage"}, files=files)
            return int(answer.json()["added"]) if answer.status_code == 200 else 0

        return sum(pool.map(upload, range(UPLOADS)))


def new_photos(site: Site) -> int:
    return int(site.rows("SELECT count(*) AS count FROM assessments_photo WHERE state = 'new'")[0]["count"])


def run(console: Console, site: Site) -> None:
    people, content = fill(site), picture(WIDTH, HEIGHT, seed=1)
    console.print(f"{PEOPLE} people upload {UPLOADS} photos of {len(content) / 2**20:.1f} MiB each ...")
    wait_until(lambda: not new_photos(site), "there are new photos already")
    visitor = Visitor(
        site.login("assessor"), site.rows("SELECT min(number) AS number FROM assessments_assessment")[0]["number"]
    )
    with ProcessPoolExecutor(PEOPLE, get_context("spawn"), initializer=os.nice, initargs=(NICENESS,)) as pool:
        # Starting the senders takes seconds of the same processors, and is not part of the uploads.
        wait([pool.submit(time.sleep, 5) for _ in range(PEOPLE)])
        idle = time.monotonic()
        time.sleep(IDLE)
        begun = time.monotonic()
        sent: list[Future[int]] = [
            pool.submit(send, site.url, person, content, who) for who, person in enumerate(people)
        ]
        added = sum(future.result() for future in sent)
        uploaded = time.monotonic()
    wait_until(lambda: not new_photos(site), "not all photos are looked at", PEOPLE * UPLOADS)
    looked = time.monotonic()
    visitor.over.set()
    visitor.join()

    table = Table(
        title=f"{PEOPLE} x {UPLOADS} uploads of {len(content) / 2**20:.1f} MiB, one web, one worker, PostgreSQL"
    )
    for heading in ("", "ours", "idle", "at most"):
        table.add_column(heading, justify="left" if not heading else "right")
    before, during = visitor.within(idle, begun), visitor.within(begun, uploaded)

    def row(name: str, measure: Callable[[list[Visit]], float], target: str = "") -> None:
        table.add_row(name, *(f"{1000 * measure(visits):.0f}" for visits in (during, before)), target)

    table.add_row("photos not added", str(PEOPLE * UPLOADS - added), "", "0")
    table.add_row("pages refused", str(visitor.refused), "", "0")
    row("pages while photos come in, median (ms)", lambda visits: statistics.median(visit.seconds for visit in visits))
    row("pages while photos come in, 99 % (ms)", highest_of, "500")
    row("slowest page while photos come in (ms)", lambda visits: max(visits).seconds, "500")
    slowest = max((visit.seconds for visit in visitor.within(uploaded, looked)), default=0.0)
    table.add_row("slowest page while a worker looks at them (ms)", f"{1000 * slowest:.0f}", "", "500")
    table.add_row("uploads a second", f"{added / (uploaded - begun):.1f}", "", "")
    table.add_row("photos looked at a second", f"{added / (looked - begun):.1f}", "", "")
    console.print(table)


def main() -> None:
    with site_on_postgresql(LEASE_SECONDS="60") as site:
        run(Console(width=120), site)


if __name__ == "__main__":
    main()
