"""The Celery application and both its sides. Messages carry ids; the database is the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from celery import Celery
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError

from willis_models.errors import BrokerUnavailable

ANALYSE = "willis.analyse"
CANARY = "willis.canary"
_QUEUE = "willis"
_CONNECT_S = 5
_ANSWER_S = 10
_CANARIES_KEPT_S = 3600  # those of a worker that died
_BROKER_ERRORS = (OperationalError, redis.RedisError, OSError)


def build_celery(broker_url: str, visibility_timeout_s: int) -> Celery:
    """The application: late acknowledgement, one message at a time, no result backend."""
    app = Celery("willis", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=[_queue(_QUEUE)],
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
            # A Redis that hangs is left and connected to again, by workers and senders alike.
            "socket_timeout": _ANSWER_S,
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
        """Tell the workers that this job waits; who hears it takes the most urgent one."""
        self._send(ANALYSE, _QUEUE, job_id)

    def put_canary(self, worker_id: str) -> None:
        """Send a message to one worker, which shows that it consumes when it hears it."""
        self._send(CANARY, _canary_queue(worker_id))

    def depth(self) -> int:
        """How many messages wait for a worker."""
        try:
            with self.app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=_CONNECT_S)
                return int(connection.default_channel.client.llen(_QUEUE))
        except _BROKER_ERRORS as error:
            raise BrokerUnavailable("The queue's Redis does not answer.") from error

    def _send(self, task: str, queue: str, *arguments: str) -> None:
        try:
            self.app.send_task(task, args=arguments, queue=queue, retry=False)
        except _BROKER_ERRORS as error:
            raise BrokerUnavailable("The queue's Redis does not answer.") from error


def register_tasks(
    app: Celery, worker_id: str, analyse: Callable[[], None], hear: Callable[[], None]
) -> None:
    """Give a worker its tasks. ``hear`` is told of each message that arrives."""

    def run_analysis(_job_id: str) -> None:
        # The message says that there is work. Which job comes first, the database knows now; when
        # the message was sent, nobody did.
        hear()
        analyse()

    def hear_canary() -> None:
        hear()

    canaries = _queue(_canary_queue(worker_id), expires=_CANARIES_KEPT_S)
    app.conf.task_queues = [_queue(_QUEUE), canaries]
    # Not shared: by default Celery would add the tasks to every other application in the process.
    app.task(run_analysis, name=ANALYSE, shared=False)
    app.task(hear_canary, name=CANARY, shared=False)


def _canary_queue(worker_id: str) -> str:
    return f"{_QUEUE}.canary.{worker_id}"


def _queue(name: str, expires: float | None = None) -> Any:
    # The nameless exchange needs no table of bindings in Redis, which a flush would empty.
    exchange = Exchange("", type="direct")
    return Queue(name, exchange=exchange, routing_key=name, expires=expires)
