"""The Celery application and both its sides. Messages carry ids; the database is the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery, Task
from kombu.exceptions import OperationalError

from willis_models.errors import BrokerUnavailable, DestinationRefused, DestinationUnreachable
from willis_service.domain.peers import Destination

ANALYSE = "willis.analyse"
DELIVER = "willis.deliver"
_QUEUE = "willis"
_FIRST_RETRY_S = 5
_LONGEST_RETRY_S = 900
_CONNECT_S = 5


def build_celery(broker_url: str, visibility_timeout_s: int) -> Celery:
    """The application: late acknowledgement, one message at a time, no result backend."""
    app = Celery("willis", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue=_QUEUE,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_concurrency=1,
        # The root logger and the standard streams are the entry point's (telemetry).
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            # Redis hands a message to another worker after this: above the longest run (R15).
            "visibility_timeout": visibility_timeout_s,
            "socket_connect_timeout": _CONNECT_S,
            # Publishing fails soon where the broker is away: the reconciler sends the hint later.
            "max_retries": 1,
        },
        task_publish_retry=False,
        accept_content=["json"],
        task_serializer="json",
    )
    return app


@dataclass(frozen=True)
class CeleryQueue:
    """The sending side. Raises BrokerUnavailable."""

    app: Celery

    def put_analysis(self, job_id: str) -> None:
        """Ask a worker to run a job."""
        self._send(ANALYSE, job_id)

    def put_delivery(self, job_id: str, destination: Destination) -> None:
        """Ask a worker to send a job's results."""
        self._send(DELIVER, job_id, str(destination))

    def depth(self) -> int:
        """How many messages wait for a worker."""
        try:
            with self.app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=_CONNECT_S)
                return int(connection.default_channel.client.llen(_QUEUE))
        except (OperationalError, redis.RedisError, OSError) as error:
            raise BrokerUnavailable("The queue's Redis does not answer.") from error

    def _send(self, task: str, *arguments: str) -> None:
        try:
            self.app.send_task(task, args=arguments, retry=False)
        except (OperationalError, redis.RedisError, OSError) as error:
            raise BrokerUnavailable("The queue's Redis does not answer.") from error


def register_tasks(
    app: Celery,
    analyse: Callable[[str], None],
    deliver: Callable[[str, Destination], None],
    delivery_attempts: int,
) -> None:
    """Give a worker its two tasks."""

    def run_analysis(job_id: str) -> None:
        analyse(job_id)

    def run_delivery(task: Task[Any, Any], job_id: str, destination: str) -> None:
        try:
            deliver(job_id, Destination.parse(destination))
        except DestinationUnreachable as error:
            # An archive that is down is a state of the delivery, not of the analysis (R43).
            wait_s = min(_FIRST_RETRY_S * 2**task.request.retries, _LONGEST_RETRY_S)
            raise task.retry(exc=error, countdown=wait_s) from error

    # Not shared: by default Celery would add the tasks to every other application in the process.
    app.task(run_analysis, name=ANALYSE, shared=False)
    app.task(
        run_delivery,
        name=DELIVER,
        bind=True,
        shared=False,
        max_retries=delivery_attempts - 1,
        throws=(DestinationRefused, DestinationUnreachable),
    )
