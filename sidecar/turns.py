"""Turns: which thread may run plain methods of the user's object.

User objects are not assumed to be thread-safe, so there is one turn (or as many as ``threads=`` says), and jobs run on
it one after another, on the same thread as long as none of them waits. A job that waits for another call gives its turn
away: an overflow thread runs others meanwhile, and the job goes on as soon as a turn is free, before new jobs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Job = Callable[[], object]


class Turns:
    """Runs jobs on ``count`` turns with at most ``count + overflow`` threads. Jobs must not raise."""

    def __init__(self, name: str, count: int, overflow: int) -> None:
        self._name = name
        self._count = count
        self._most_threads = count + overflow
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self._free = count  # turns that nobody has; below 0 when there are more of them out than there should be
        self._returning: deque[threading.Semaphore] = deque()  # jobs that want their turn back, first come first served
        self._idle: list[_Worker] = []  # the last one out is the first in, so the first thread stays the usual one
        self._threads = 0
        self._away: set[int] = set()  # threads that have given their turn away
        self.is_closed = False

    def submit(self, job: Job) -> None:
        """Have ``job`` run when its turn comes, in the order of submission."""
        with self._lock:
            self._jobs.append(job)
            self._give_turn()

    def resize(self, count: int, overflow: int) -> None:
        """Have another number of turns and threads from now on; what runs goes on."""
        with self._lock:
            self._free += count - self._count
            self._count, self._most_threads = count, count + overflow
            for _ in range(max(0, self._free)):
                self._give_turn()

    def _give_turn(self) -> None:
        """Hand a free turn to a job that comes back, else to a thread for the next new job. Needs the lock."""
        if self._free <= 0:
            return
        if self._returning:
            self._free -= 1
            self._returning.popleft().release()
        elif self._jobs and not self.is_closed:
            if self._idle:
                # The oldest thread first: what the user's object is bound to is the thread it was built on.
                worker = min(self._idle, key=lambda idle: idle.number)
                self._idle.remove(worker)
            elif self._threads < self._most_threads:
                self._threads += 1
                worker = _Worker(self, self._threads, f"{self._name}-{self._threads}")
            else:
                return  # all threads wait inside jobs; the first that comes back takes the turn
            self._free -= 1
            worker.wake()

    def _next_job(self, worker: _Worker) -> Job | None:
        """The next job for a thread that has a turn; None takes the turn from it."""
        with self._lock:
            if self._jobs and not self._returning and self._free >= 0:
                return self._jobs.popleft()
            self._free += 1
            self._idle.append(worker)
            self._give_turn()
            return None

    @contextmanager
    def given_away(self) -> Iterator[None]:
        """While the caller, which runs in a job, waits inside, its turn is another's."""
        thread = threading.get_ident()
        with self._lock:
            self._away.add(thread)
            self._free += 1
            self._give_turn()
        try:
            yield
        finally:
            back = None
            with self._lock:
                if self._free > 0 and not self._returning:
                    self._free -= 1
                else:
                    back = threading.Semaphore(0)
                    self._returning.append(back)
            if back is not None:
                back.acquire()
            self._away.discard(thread)

    def is_away(self, thread: int) -> bool:
        """The job of that thread has given its turn away and has not got it back."""
        return thread in self._away

    def close(self) -> None:
        """Start no further job; threads end as soon as they have none."""
        with self._lock:
            self.is_closed = True
            self._jobs.clear()
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.wake()


class _Worker:
    """A thread that runs jobs while it has a turn."""

    def __init__(self, turns: Turns, number: int, name: str) -> None:
        self.number = number
        self._turns = turns
        self._turn = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._turn.release()

    def _run(self) -> None:
        while not self._turns.is_closed:
            self._turn.acquire()
            while (job := self._turns._next_job(self)) is not None:
                job()
