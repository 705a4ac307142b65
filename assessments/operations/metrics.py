"""The metrics for Prometheus: of the whole site from the database, at each scrape; of this process from memory."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Count, Min
from django.db.models.functions import Now
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from assessments.live.relay import RELAY_LAG
from assessments.live.viewers import present_viewers
from assessments.models import Attempt, Document, Heartbeat, Tally
from assessments.models.lease import FromNow


class SiteCollector(Collector):
    """Collects the documents, the attempts and the signs of life: four queries. Every web process gets the same result.

    Raises django.db.Error when the database does not answer.
    """

    def collect(self) -> Iterator[Metric]:
        yield from queue()
        yield documents()
        yield from attempts()
        yield processes()


def gauge(name: str, words: str, label: str, values: Mapping[Any, int]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def queue() -> Iterator[Metric]:
    active = (
        Document.objects.active().order_by().values_list("status").annotate(Count("pk"), Min("requested_at"), now=Now())
    )
    found = {status: (count, (now - first).total_seconds()) for status, count, first, now in active}
    waiting = {status: found.get(status, (0, 0))[0] for status in Document.ACTIVE}
    oldest = found.get(Document.Status.PENDING, (0, 0))[1]
    yield gauge("assessments_queue_documents", "Documents that wait or are being made.", "status", waiting)
    yield GaugeMetricFamily(
        "assessments_queue_oldest_seconds", "Seconds that the oldest waiting document waits.", oldest
    )


def documents() -> Metric:
    family = GaugeMetricFamily("assessments_documents", "Documents, by how they stand.", labels=["kind", "status"])
    for (kind, status), count in Tally.of_documents().items():
        family.add_metric([kind, status], count)
    return family


def attempts() -> Iterator[Metric]:
    """Yield the counts of ended attempts and the seconds of good ones. Both only grow."""
    ended = CounterMetricFamily(
        "assessments_attempts", "Attempts at documents, by how they ended.", labels=["kind", "outcome"]
    )
    seconds = SummaryMetricFamily(
        "assessments_document_seconds", "Seconds that making a document took.", labels=["kind"]
    )
    for (kind, outcome), (count, timed, total) in Tally.of_attempts().items():
        ended.add_metric([kind, outcome], count)
        if outcome == Attempt.Outcome.SUCCESS:
            seconds.add_metric([kind], timed, total)
    yield ended
    yield seconds


def processes() -> Metric:
    recent = Heartbeat.objects.filter(seen_at__gte=FromNow(-Heartbeat.RECENT))
    found = dict(recent.order_by().values_list("role").annotate(Count("pk")))
    alive = {role: found.get(role, 0) for role in Heartbeat.Role.values}
    return gauge("assessments_processes_alive", "Workers and sweeps that give signs of life.", "role", alive)


STREAMS = Gauge("assessments_streams_open", "Streams that this web process has open.", registry=None)
STREAMS.set_function(lambda: len(present_viewers()))

registry = CollectorRegistry(auto_describe=False)
for collector in (SiteCollector(), STREAMS, RELAY_LAG, ProcessCollector(registry=None)):
    registry.register(collector)
