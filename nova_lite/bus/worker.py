"""What there is between the bus and a driver: the same for every kind of worker."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from uuid import UUID

from nova_lite.bus.messages import Command, Json, Report
from nova_lite.domain.errors import NotFound, NovaLiteError

LOG = logging.getLogger(__name__)
Verb = Callable[[Json, int], Json]
"""Makes something so, from arguments that say all there is to know, and the
command's sequence; returns what was learnt.  Said twice is said once."""
Question = Callable[[Json], Json]
"""Looks something up, now, and changes nothing."""


class Worker:
    """Runs commands: about one thing one at a time, about different things side by side.

    What a command is about is its argument `id` (a guest, a network).  One that
    is older than the newest done is not carried out: it was on its way while
    the world moved on.  `done` says how far each thing had got before us.
    """

    def __init__(
        self,
        host: str,
        verbs: Mapping[str, Verb],
        questions: Mapping[str, Question],
        send: Callable[[Report], None],
        done: Mapping[str, int] | None = None,
    ) -> None:
        self.host = host
        self.verbs = verbs
        self.questions = questions
        self.send = send
        self._newest: defaultdict[str, int] = defaultdict(int, done or {})
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._busy_with: set[UUID] = set()
        self._bookkeeping = threading.Lock()

    def handle(self, command: Command) -> None:
        about = str(command.args.get("id", ""))
        with self._bookkeeping:
            if command.id in self._busy_with:
                return  # a re-send of what we have not finished yet
            self._busy_with.add(command.id)
            lock = self._locks[about]
        try:
            with lock:
                self.send(self._carry_out(command, about))
        finally:
            with self._bookkeeping:
                self._busy_with.discard(command.id)

    def answer(self, question: str, args: Json) -> Json:
        """Raises NovaLiteError in words that may be shown."""
        known = self.questions.get(question)
        if known is None:
            raise NotFound(f"{question} is not something this worker can be asked")
        return known(args)

    def _carry_out(self, command: Command, about: str) -> Report:
        result: Json = {}
        error = None
        try:
            if command.sequence < self._newest[about]:
                raise NovaLiteError("superseded by a later command")
            self._newest[about] = command.sequence
            verb = self.verbs.get(command.verb)
            if verb is None:
                raise NotFound(f"{command.verb} is not a verb of this worker")
            LOG.info("%s %s (%s)", command.verb, about, command.request_id)
            result = verb(command.args, command.sequence)
        except NovaLiteError as failure:
            error = str(failure)
            LOG.warning("%s %s (%s): %s", command.verb, about, command.request_id, error)
        except Exception as bug:
            # The owner of the operation reads this: not a word of our insides.
            LOG.exception("%s %s (%s) raised", command.verb, about, command.request_id)
            error = f"Unexpected {type(bug).__name__} on host {self.host}."
        return Report(
            command_id=command.id,
            operation_id=command.operation_id,
            role=command.role,
            host=self.host,
            verb=command.verb,
            result=result,
            error=error,
            request_id=command.request_id,
        )
