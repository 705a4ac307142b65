"""What the engines have in common whose queue is outside of the database, with a broker."""

import logging
import time
from abc import abstractmethod
from functools import partial
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import close_old_connections
from django.tasks import Task, TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string

from assessments import worker

logger = logging.getLogger(__name__)

# Seconds in which a broker has to answer who puts something into its queue: a click waits for that.
ANSWER = 1
# Seconds for which a broker that did not answer is not asked again: 500 wake-ups in a row must not wait one by one.
REST = 5.0

# The ranks that priorities are put into: below, at and above the usual one of 0.
LOW, USUAL, HIGH = RANKS = range(3)


class BrokerBackend(BaseTaskBackend):
    """Puts tasks into the queue of a broker. What they return, and what became of them, is not kept.

    Of a priority only the sign counts. While the broker is away no error is raised: the result's status is FAILED.
    """

    supports_priority = True
    # What is raised while the broker is away.
    AWAY: tuple[type[Exception], ...] = ()

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.away_until = 0.0

    def enqueue[**P, T](self, task: Task[P, T], args: list[Any], kwargs: dict[str, Any]) -> TaskResult[P, T]:
        self.validate_task(task)
        result: TaskResult[P, T] = TaskResult(
            task=task,
            id=get_random_string(32),
            status=TaskResultStatus.READY if self.put(task, args, kwargs) else TaskResultStatus.FAILED,
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

    def put(self, task: Task[..., Any], args: list[Any], kwargs: dict[str, Any]) -> bool:
        """Put a task into the queue; return whether the broker took it."""
        if time.monotonic() < self.away_until:
            return False
        try:
            self.send(rank(task.priority), task.module_path, args, kwargs)
        except self.AWAY as error:
            self.away_until = time.monotonic() + REST
            logger.warning("The queue does not answer (%s); the sweep wakes a worker later", error)
            return False
        return True

    @abstractmethod
    def send(self, rank: int, *call: Any) -> None:
        """Send ``carry_out(*call)`` to a worker."""


def rank(priority: int) -> int:
    return LOW if priority < 0 else HIGH if priority else USUAL


def carry_out(path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Run a task, which the queue knows by its path. While the database does not answer it is run again."""
    task = import_string(path)
    if not isinstance(task, Task):
        raise SuspiciousOperation(f"{path} is no task.")
    close_old_connections()
    try:
        worker.insist(partial(task.call, *args, **kwargs))
    finally:
        close_old_connections()
