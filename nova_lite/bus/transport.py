"""The bus over AMQP, by oslo.messaging.

One topic per kind of worker (`nova-compute`, `nova-network`, `nova-scheduler`)
in the exchange `nova_lite`; workers listen on `topic.host`, schedulers share
theirs.  Messages are plain JSON (see `domain.specs.to_json`).

oslo.messaging acknowledges before it dispatches, so delivery is at most once;
that is all the operations rely on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

# Before oslo_messaging: importing it loads oslo.service, whose default is eventlet.
from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

import oslo_messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402

from nova_lite.bus import memory  # noqa: E402
from nova_lite.bus.bus import SchedulerInbox, WorkerInbox  # noqa: E402
from nova_lite.bus.messages import Command, HostStatus, Json, Report  # noqa: E402
from nova_lite.bus.outbox import Outbox  # noqa: E402
from nova_lite.domain.errors import NovaLiteError, RemoteFailure  # noqa: E402
from nova_lite.domain.specs import Role, from_json, to_json  # noqa: E402

LOG = logging.getLogger(__name__)
EXCHANGE = "nova_lite"
QUESTIONS = 64  # that may be waiting for their answers at a time
GRACE = 2.0  # seconds that what is still to be sent has when we close
_RABBIT: dict[str, Any] = {
    # A worker that was away listens again within a second or two,
    "rabbit_retry_interval": 1,
    "rabbit_retry_backoff": 1,
    "rabbit_interval_max": 5,
    # and a half-open connection is noticed soon.
    "heartbeat_timeout_threshold": 20,
    # What nobody reads is not kept for ever: it is sent again anyway.
    "rabbit_transient_queues_ttl": 600,
}
_EMBEDDED: dict[str, Any] = {"heartbeat_timeout_threshold": 0}


class AmqpBus:
    """Sends, and serves inboxes.  One per process.

    `threads` bounds how many messages each served inbox handles at a time.
    """

    def __init__(self, url: str, *, threads: int = 16) -> None:
        # oslo.messaging registers its tracing options on the global
        # configuration only; here is the one place that knows of that object.
        cfg.CONF([], project="nova-lite", default_config_files=[], default_config_dirs=[])
        oslo_messaging.set_transport_defaults(EXCHANGE)
        embedded = url.startswith("kombu+memory:")
        self._transport = oslo_messaging.get_rpc_transport(
            cfg.CONF, f"kombu+{memory.SCHEME}://localhost/" if embedded else url
        )
        self._threads = threads
        for option, value in (_EMBEDDED if embedded else _RABBIT).items():
            cfg.CONF.set_override(option, value, group="oslo_messaging_rabbit")
        self._clients: dict[tuple[str, str | None], Any] = {}
        self._servers: list[Any] = []
        self._lock = threading.Lock()
        self._outbox = Outbox()
        self._questions = threading.BoundedSemaphore(QUESTIONS)

    # --- sending ------------------------------------------------------------------------

    def wake(self, operations: Sequence[UUID]) -> None:
        self._cast(Role.SCHEDULER, None, "wake", operations=[str(id) for id in operations])

    def publish(self, command: Command) -> None:
        self._cast(command.role, command.host, "command", command=to_json(command))

    def report(self, report: Report) -> None:
        self._cast(Role.SCHEDULER, None, "report", report=to_json(report))

    def status(self, status: HostStatus) -> None:
        self._cast(Role.SCHEDULER, None, "status", status=to_json(status))

    def call(self, role: Role, host: str, question: str, args: Json, timeout: float) -> Json:
        # In a thread of its own, because without a broker the library waits for ever.
        if not self._questions.acquire(blocking=False):
            raise RemoteFailure(f"{role} on {host} cannot be asked: too many are asking")
        answered: Future[Json] = Future()

        def ask() -> None:
            try:
                client = self._client(role, host).prepare(timeout=timeout, retry=1)
                answered.set_result(client.call({}, "ask", question=question, args=args))
            except Exception as error:
                answered.set_exception(error)
            finally:
                self._questions.release()

        threading.Thread(target=ask, name=f"ask-{host}", daemon=True).start()
        try:
            answer = answered.result(timeout + 0.5)
        except (oslo_messaging.MessagingTimeout, TimeoutError):
            raise RemoteFailure(f"{role} on {host} did not answer in {timeout:g} seconds") from None
        except (oslo_messaging.MessagingException, OSError) as error:
            raise RemoteFailure(f"{role} on {host} cannot be asked: {error}") from None
        if answer.get("error"):
            raise RemoteFailure(str(answer["error"]))
        result: Json = answer["result"]
        return result

    def _cast(self, role: Role, host: str | None, method: str, **arguments: Any) -> None:
        def send() -> None:
            try:
                self._client(role, host).cast({}, method, **arguments)
            except (oslo_messaging.MessagingException, OSError) as error:
                # The row from which this was made will send it again.
                LOG.warning(
                    "bus: %s to %s %s was not sent: %s", method, role, host or "(any)", error
                )

        self._outbox.put(send)

    def _client(self, role: Role, host: str | None) -> Any:
        with self._lock:
            client = self._clients.get((role, host))
            if client is None:
                target = oslo_messaging.Target(topic=str(role), server=host)
                client = oslo_messaging.get_rpc_client(self._transport, target, retry=1)
                self._clients[role, host] = client
            return client

    # --- serving ------------------------------------------------------------------------

    def serve_scheduler(self, name: str, inbox: SchedulerInbox) -> None:
        """Hear what is said to schedulers; of several schedulers each message meets one."""
        self._serve(Role.SCHEDULER, name, _SchedulerEndpoint(inbox))

    def serve_worker(self, role: Role, host: str, inbox: WorkerInbox) -> None:
        """Hear what is said to the worker of this role on this host."""
        self._serve(role, host, _WorkerEndpoint(inbox))

    def _serve(self, role: Role, host: str, endpoint: object) -> None:
        server = oslo_messaging.get_rpc_server(
            self._transport,
            oslo_messaging.Target(topic=str(role), server=host),
            [endpoint],
            access_policy=oslo_messaging.DefaultRPCAccessPolicy,
        )
        # An option that exists only once a server was made, and is read at its start.
        cfg.CONF.set_override("executor_thread_pool_size", self._threads)
        server.start()
        self._servers.append(server)

    def close(self) -> None:
        self._outbox.close(GRACE)
        for server in self._servers:
            server.stop()
        # Each has threads that look once a second whether they shall end.
        with ThreadPoolExecutor(max(len(self._servers), 1)) as waiting:
            list(waiting.map(lambda server: server.wait(), self._servers))
        self._transport.cleanup()


@contextmanager
def _poison_is_dropped(method: str) -> Iterator[None]:
    """A message that does not say what it should is counted in the log and forgotten."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        LOG.error("bus: dropped a malformed %s: %s", method, error)


class _SchedulerEndpoint:
    def __init__(self, inbox: SchedulerInbox) -> None:
        self._inbox = inbox

    def wake(self, _context: Json, operations: list[str]) -> None:
        with _poison_is_dropped("wake"):
            ids = [UUID(id) for id in operations]
            self._inbox.wake(ids)

    def report(self, _context: Json, report: Json) -> None:
        with _poison_is_dropped("report"):
            self._inbox.report(from_json(Report, report))

    def status(self, _context: Json, status: Json) -> None:
        with _poison_is_dropped("status"):
            self._inbox.status(from_json(HostStatus, status))


class _WorkerEndpoint:
    def __init__(self, inbox: WorkerInbox) -> None:
        self._inbox = inbox

    def command(self, _context: Json, command: Json) -> None:
        with _poison_is_dropped("command"):
            parsed = from_json(Command, command)
            self._inbox.handle(parsed)

    def ask(self, _context: Json, question: str, args: Json) -> Json:
        return _answer(lambda: self._inbox.answer(question, args))


def _answer(ask: Callable[[], Json]) -> Json:
    """The worker's answer, or its words of failure: never a pickled exception."""
    try:
        return {"result": ask()}
    except NovaLiteError as failure:
        return {"error": str(failure)}
    except Exception as bug:
        LOG.exception("a question raised")
        return {"error": type(bug).__name__}
