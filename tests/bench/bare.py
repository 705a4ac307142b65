"""The floor of the queue: the generators alone, on the same snapshots, in as many processes as there are workers."""

import json
import multiprocessing
import time

from assessments.documents import snapshot
from assessments.documents.kinds import KINDS
from assessments.models import Attempt

from . import peers


def measure(assessments: int, workers: int) -> str:
    """Make the documents of some assessments again; return JSON: documents, seconds of wall and of processor.

    Runs within the environment of a site (``manage.py shell``).
    """
    made = Attempt.objects.filter(outcome=Attempt.Outcome.SUCCESS).order_by("document__assessment", "pk")
    snapshots = [snapshot.take(attempt) for attempt in made[: assessments * len(KINDS)]]
    processes = multiprocessing.get_context("forkserver")
    # The libraries are loaded once for all processes.
    processes.set_forkserver_preload([peers.__name__])
    with processes.Pool(workers) as pool:
        # Each process makes its first documents before the clock starts.
        pool.map(peers.generate, snapshots[: 4 * workers], chunksize=4)
        begun = time.perf_counter()
        costs = pool.map(peers.generate, snapshots, chunksize=1)
        wall = time.perf_counter() - begun
    return json.dumps([len(snapshots), wall, sum(costs)])
