"""One thread that answers everything that waits at once: group commit for writing, micro-batches for scoring."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from penchant.types import PenchantError

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class OverloadedError(PenchantError):
    """More is waiting than can be answered soon; ask again later."""


class Worker(Generic[Job, Answer]):
    """A thread that takes all waiting jobs, up to ``at_once``, and answers them together.

    Under little load a job is answered at once and alone; under more, those that came meanwhile share one transaction or one
    matrix product, so waiting pays for itself. ``answer`` gives one answer a job, in order; an exception as an answer
    fails that job, one that is raised fails all of them. At most ``waiting`` jobs wait.
    """

    def __init__(
        self, name: str, answer: Callable[[Sequence[Job]], Sequence[Answer | Exception]], *, at_once: int, waiting: int = 2000
    ) -> None:
        self.name = name
        self._answer = answer
        self._at_once = at_once
        self._most_waiting = waiting
        self._jobs: SimpleQueue[tuple[Job, Future[Answer]] | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return self._jobs.qsize()

    def submit(self, job: Job) -> Future[Answer]:
        """The job's answer, once it is there. Raises ``OverloadedError`` where too many wait, or the worker has stopped."""
        with self._closing:  # so that no job comes in behind the last
            if self._closed:
                raise OverloadedError("the service is stopping; ask again when it is back")
            if self._jobs.qsize() >= self._most_waiting:
                raise OverloadedError(f"{self._most_waiting:,} requests are waiting; ask again in a moment")
            future: Future[Answer] = Future()
            self._jobs.put((job, future))
            return future

    def close(self) -> None:
        """Answer what still waits, then stop."""
        with self._closing:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            taken = [self._jobs.get()]
            while len(taken) < self._at_once:
                try:
                    taken.append(self._jobs.get_nowait())
                except Empty:
                    break
            stopping = None in taken
            self._work([entry for entry in taken if entry is not None and entry[1].set_running_or_notify_cancel()])
            del taken  # the last answers don't stay until the next job: they may be what somebody had erased

    def _work(self, taken: Sequence[tuple[Job, Future[Answer]]]) -> None:
        if not taken:
            return
        try:
            answers = self._answer([job for job, _ in taken])
        except Exception as error:
            answers = [error] * len(taken)
        for (_, future), answer in zip(taken, answers, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
