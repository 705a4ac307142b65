"""The engine with a queue in RabbitMQ: Celery. Each worker carries out its tasks itself (the solo pool)."""

import logging
import time
from functools import partial
from types import FrameType
from typing import Any

from amqp.exceptions import AMQPError, MessageNacked
from celery import Celery
from celery.exceptions import WorkerTerminate
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import SuspiciousOperation
from django.db import close_old_connections
from django.tasks import Task, TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string
from kombu.asynchronous import Hub
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import KombuError

from assessments.connections import insist

from .engine import Engine

logger = logging.getLogger(__name__)

# Seconds that RabbitMQ has to confirm a task that is put into its queue: a click waits for that.
ANSWER = 1
# Seconds without another try after RabbitMQ did not answer: 500 wake-ups in a row must not wait one by one.
REST = 5.0
# The most seconds between two tries of a worker to reach RabbitMQ.
PATIENCE = 5
# Seconds between two checks of a worker whether it was told to end.
LOOK = 1
# The errors that are raised while RabbitMQ is away.
AWAY = (KombuError, AMQPError, MessageNacked, OSError)
# The ranks of the queue for tasks whose priority is below, at and above the usual 0.
LOW, USUAL, HIGH = range(3)

app = Celery("assessments", broker=settings.CELERY_BROKER_URL, fixups=[], set_as_current=False)
app.conf.update(
    task_queues=[Queue("assessments", routing_key="assessments", queue_arguments={"x-max-priority": HIGH})],
    task_default_queue="assessments",
    task_ignore_result=True,
    worker_pool="solo",
    # A busy worker must not hold a second task that a free worker could carry out.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_prefetch_count_reduction=False,
    worker_enable_remote_control=False,
    # A busy worker cannot send heartbeats to RabbitMQ; the kernel notices a machine that is gone.
    broker_heartbeat=0,
    broker_connection_timeout=2 * ANSWER,
    broker_connection_retry_on_startup=True,
    # Without a confirmation, a message is lost with a connection that ended unnoticed.
    broker_transport_options={"confirm_publish": True},
)


class AtMostTwice(Request):
    """A request that is delivered at most twice: the task may have killed the worker of the first delivery."""

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        # A worker that was told to end leaves the task to others. Celery's loop checks that only after reading all.
        state.maybe_shutdown()
        if self.delivery_info["redelivered"]:
            self.message.ack_log_error(logger, self.connection_errors)
            self.acknowledged = True
        super().on_accepted(pid, time_accepted)


def carry_out(path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Carry out the task at that dotted path. While the database does not answer, carry out the task again."""
    task = import_string(path)
    if not isinstance(task, Task):
        raise SuspiciousOperation(f"{path} is no task.")
    close_old_connections()
    try:
        insist(partial(task.call, *args, **kwargs))
    finally:
        close_old_connections()


run = app.task(carry_out, name="assessments.carry_out", Request=AtMostTwice)


class CeleryBackend(BaseTaskBackend):
    """Puts tasks into the queue of RabbitMQ. Neither the return values nor the outcomes of tasks are kept.

    Only the sign of a priority counts. While RabbitMQ is away, no error is raised: the result's status is FAILED.
    """

    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.away_until = 0.0

    def enqueue[**P, T](self, task: Task[P, T], args: list[Any], kwargs: dict[str, Any]) -> TaskResult[P, T]:
        self.validate_task(task)
        result: TaskResult[P, T] = TaskResult(
            task=task,
            id=get_random_string(32),
            status=TaskResultStatus.READY if self.send(task, args, kwargs) else TaskResultStatus.FAILED,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        if result.status == TaskResultStatus.READY:
            task_enqueued.send(type(self), task_result=result)
        return result

    def send(self, task: Task[..., Any], args: list[Any], kwargs: dict[str, Any]) -> bool:
        if time.monotonic() < self.away_until:
            return False
        try:
            run.apply_async(
                (task.module_path, args, kwargs),
                priority=LOW if task.priority < 0 else HIGH if task.priority else USUAL,
                # A connection that was lost while idle is replaced once.
                retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
                timeout=ANSWER,
                confirm_timeout=ANSWER,
            )
        except AWAY as error:
            self.away_until = time.monotonic() + REST
            logger.warning("The queue does not answer (%s); the sweep wakes a worker later", error)
            return False
        return True

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        if settings.CELERY_BROKER_URL:
            return []
        message = "The queue is to be in RabbitMQ, but there is no address of one."
        return [Error(message, "Set CELERY_BROKER_URL.", id="assessments.E010")]


class PatientConsumer(Consumer):
    """Gives signs of life, and reconnects as soon as RabbitMQ answers."""

    def __init__(self, *args: Any, engine: "CeleryEngine", **kwargs: Any) -> None:
        self.engine = engine
        super().__init__(*args, **kwargs)

    def register_with_event_loop(self, hub: Hub) -> None:
        super().register_with_event_loop(hub)
        # At each call the loop also checks whether this worker was told to end.
        hub.call_repeatedly(LOOK, self.engine.beat)

    def ensure_connected(self, connection: Connection) -> Connection:
        pauses = {"interval_start": 1, "interval_step": 1, "interval_max": PATIENCE}
        connection.ensure_connection(self.on_connection_refused, callback=self.look, **pauses)
        return connection

    def on_connection_refused(self, error: Exception, pause: float) -> None:
        logger.warning("The queue does not answer (%s); this worker tries again", error)

    def look(self) -> None:
        state.maybe_shutdown()
        self.engine.beat()


class CeleryEngine(Engine):
    END = WorkerTerminate

    def stop(self, number: int, frame: FrameType | None) -> None:
        # Celery exits with this value as its code.
        state.should_stop = 0  # type: ignore[assignment]
        super().stop(number, frame)

    def work(self) -> None:
        celery_worker = app.WorkController(
            consumer_cls=partial(PatientConsumer, engine=self),
            concurrency=1,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        celery_worker.start()
        if self.running:
            # Celery has logged the reason. This process cannot start a second Celery worker, so this process ends, too.
            raise SystemExit(celery_worker.exitcode or 1)
