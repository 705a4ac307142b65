"""The queue is in Redis: RQ. Each worker carries out its tasks itself; RQ's own would fork for each."""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.serializers import JSONSerializer

from .broker import ANSWER, RANKS, BrokerBackend, carry_out
from .engine import LOOK, Engine

# By rank; a worker looks into the last one first.
NAMES = ["assessments-low", "assessments", "assessments-high"]
# Seconds after which a task is forgotten that no worker took, or that raised an error. RQ's own tools show those.
KEPT = 86_400
# RQ's measure of how long a worker may be silent, in seconds. It waits for Redis for 5 s less.
SILENT = 16


def connect(retries: int) -> Redis:
    retry = Retry(NoBackoff(), retries)
    return Redis.from_url(settings.REDIS_URL, socket_connect_timeout=ANSWER, socket_timeout=ANSWER, retry=retry)


class RQBackend(BrokerBackend):
    AWAY = (RedisError,)

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        # A connection that was lost while nobody used it is replaced once.
        self.redis = connect(retries=1) if settings.REDIS_URL else None

    def send(self, rank: int, *call: Any) -> None:
        queue = Queue(NAMES[rank], connection=self.redis, serializer=JSONSerializer)
        # Without a limit of time: a worker has its own for what it makes.
        queue.enqueue_call(carry_out, call, timeout=-1, ttl=KEPT, result_ttl=0, failure_ttl=KEPT)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        if self.redis is not None:
            return []
        message = "The queue is to be in Redis, but there is no address of one."
        return [Error(message, "Set REDIS_URL.", id="assessments.E011")]


class RQEngine(Engine):
    AWAY = (RedisError,)

    def work(self) -> None:
        # A worker that lost Redis begins anew, as Redis may have.
        names = [NAMES[rank] for rank in reversed(RANKS)]
        worker = SimpleWorker(names, connection=connect(retries=0), serializer=JSONSerializer, worker_ttl=SILENT)
        worker.register_birth()
        try:
            while self.running:
                self.beat()
                worker.heartbeat()
                if worker.should_run_maintenance_tasks:
                    worker.run_maintenance_tasks()
                with suppress(DequeueTimeout):
                    found = Queue.dequeue_any(worker.queues, LOOK, worker.connection, serializer=JSONSerializer)
                    assert found is not None
                    worker.execute_job(*found)
        finally:
            with suppress(RedisError):
                worker.register_death()
