"""All that waits is answered at once, in order, and nothing is left unanswered."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from itertools import chain

import pytest

from penchant.live.worker import OverloadedError, Worker


def test_what_waits_is_answered_together() -> None:
    go = threading.Event()
    batches: list[list[int]] = []

    def double(jobs: Sequence[int]) -> list[int]:
        go.wait(5)
        batches.append(list(jobs))
        return [2 * job for job in jobs]

    worker = Worker("test", double, at_once=4)
    futures = [worker.submit(number) for number in range(10)]
    go.set()
    assert [future.result(5) for future in futures] == [2 * number for number in range(10)]
    assert list(chain(*batches)) == list(range(10))
    assert max(map(len, batches)) == 4
    worker.close()


def test_a_failing_job_fails_alone_and_a_failing_batch_as_a_whole() -> None:
    def answer(jobs: Sequence[str]) -> list[str | Exception]:
        if "all" in jobs:
            raise ValueError("all of it")
        return [KeyError(job) if job == "one" else job for job in jobs]

    worker = Worker("test", answer, at_once=10)
    assert worker.submit("fine").result(5) == "fine"
    with pytest.raises(KeyError):
        worker.submit("one").result(5)
    with pytest.raises(ValueError, match="all of it"):
        worker.submit("all").result(5)
    assert worker.submit("still there").result(5) == "still there"
    worker.close()


def test_an_answer_goes_with_whoever_asked() -> None:
    class Histories(list[str]):
        """A list that can be looked after."""

    def answer_all(jobs: Sequence[str]) -> list[Histories]:
        return [Histories([job]) for job in jobs]

    worker = Worker("test", answer_all, at_once=1)
    future = worker.submit("erased")
    answer = weakref.ref(future.result(5))
    assert answer() == ["erased"]
    del future
    for _ in range(500):
        if answer() is None:
            break
        time.sleep(0.01)
    assert answer() is None
    worker.close()


def test_too_much_waiting_is_refused_and_closing_answers_the_rest() -> None:
    go = threading.Event()

    def slow(jobs: Sequence[int]) -> Sequence[int]:
        go.wait(5)
        return jobs

    worker = Worker("test", slow, at_once=1, waiting=3)
    futures = [worker.submit(0)]
    with pytest.raises(OverloadedError, match="3 requests are waiting"):
        futures.extend(worker.submit(number) for number in range(1, 100))
    go.set()
    worker.close()
    assert [future.result(0) for future in futures] == list(range(len(futures)))
    with pytest.raises(OverloadedError, match="stopping"):
        worker.submit(1)


def test_a_job_nobody_waits_for_any_more_is_left_out() -> None:
    go = threading.Event()
    done: list[int] = []

    def note(jobs: Sequence[int]) -> Sequence[int]:
        go.wait(5)
        done.extend(jobs)
        return jobs

    worker = Worker("test", note, at_once=1)
    _, second, third = (worker.submit(number) for number in range(3))
    assert second.cancel()
    go.set()
    assert third.result(5) == 2
    worker.close()
    assert done == [0, 2]
