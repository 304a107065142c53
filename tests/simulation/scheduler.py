"""A world in one thread: processes take turns at their effects, in an order that a seed determines.

Each process is a greenlet that runs real, synchronous code. Whenever that code uses the outside world, it calls
``pause``, ``sleep`` or ``wait``, and the scheduler picks the process that continues. Time is virtual: it jumps to the
next process that has something to do.
"""

from greenlet import getcurrent, greenlet

MORTAL = ("functions", "trainer", "operator")
"""Instances whose names begin with these can be killed; the others are the platform, and people."""


class Crash(BaseException):
    """Ends a process in the middle of its work."""


ENDED = (Exception, KeyboardInterrupt)
"""What a process may end with by itself: an error, or somebody's Ctrl-C."""


class Process:
    """One thread of control; processes with the same ``instance`` die at the same time."""

    def __init__(self, scheduler, name, instance, work, at):
        self.name, self.instance, self.wake_at = name, instance, at
        self.condition, self.is_dead, self.is_done, self.error, self.result = None, False, False, None, None
        self.is_interrupted = False
        self._scheduler, self._work = scheduler, work
        self.greenlet = greenlet(self._run)

    def _run(self):
        try:
            self.result = self._work()
        except Crash:
            self.is_dead = True
        except ENDED as problem:
            self.error = problem
        finally:
            self.is_done = True

    def is_ready(self, now):
        return self.wake_at <= now and (self.condition is None or self.condition())


class Scheduler:
    """Runs processes.

    Attributes:
        now: milliseconds since 1970.
        steps: how many turns were taken.
        crash_rate: the probability that a turn kills the instance whose turn it is.
    """

    def __init__(self, rng, now):
        self.rng, self.now, self.steps, self.crash_rate = rng, now, 0, 0.0
        self.processes, self.on_crash, self.trace = [], lambda instance: None, None
        self._hub, self._by_greenlet = getcurrent(), {}

    @property
    def current(self):
        """The running process, or None outside of processes."""
        return self._by_greenlet.get(getcurrent())

    def note(self, *words):
        if self.trace is not None:
            self.trace.append(f"{self.now} {' '.join(str(word) for word in words)}")

    def spawn(self, name, work, instance=None, after_ms=0):
        process = Process(self, name, instance if instance is not None else name, work, self.now + after_ms)
        self.processes.append(process)
        self._by_greenlet[process.greenlet] = process
        return process

    def pause(self):
        """Let other processes run; raise ``Crash`` if this one was killed meanwhile."""
        process = self.current
        if process is None:
            return
        if process.is_dead:
            raise Crash
        self._hub.switch()
        if process.is_dead:
            raise Crash
        if process.is_interrupted:
            process.is_interrupted = False
            raise KeyboardInterrupt

    def sleep(self, milliseconds):
        process = self.current
        process.wake_at = self.now + milliseconds
        self.pause()

    def wait(self, condition):
        process = self.current
        process.condition = condition
        self.pause()
        process.condition = None

    def interrupt(self, process):
        """Press Ctrl-C: the process's next turn raises ``KeyboardInterrupt``."""
        if not process.is_done:
            self.note("CTRL-C", process.name)
            process.is_interrupted, process.wake_at, process.condition = True, self.now, None

    def kill(self, instance):
        """Kill all processes of an instance."""
        self.note("CRASH", instance)
        doomed = [p for p in self.processes if p.instance == instance and not p.is_done]
        for process in doomed:
            process.is_dead = True
        for process in doomed:
            if process.greenlet is not getcurrent() and process.greenlet:
                process.greenlet.parent = getcurrent()
                process.greenlet.throw(Crash)
            process.is_done = True
        self.on_crash(instance)

    def is_alive(self, instance):
        return any(p.instance == instance and not p.is_done for p in self.processes)

    def run(self, until):
        """Take turns until the time ``until``, or until no process will ever have anything to do."""
        while True:
            for process in [p for p in self.processes if p.is_done]:
                self.processes.remove(process)
                del self._by_greenlet[process.greenlet]
            ready = [p for p in self.processes if p.is_ready(self.now)]
            if not ready:
                times = [p.wake_at for p in self.processes if p.condition is None and p.wake_at > self.now]
                if not times or min(times) > until:
                    self.now = max(self.now, until)
                    return
                self.now = min(times)
                continue
            process = ready[self.rng.randrange(len(ready))]
            self.steps += 1
            self.now += self.rng.randrange(4)
            if self.crash_rate and process.instance.startswith(MORTAL) and self.rng.random() < self.crash_rate:
                self.kill(process.instance)
                continue
            process.greenlet.parent = self._hub
            process.greenlet.switch()


class Lock:
    """Like ``threading.Lock``, for processes."""

    def __init__(self, scheduler):
        self._scheduler, self._is_held = scheduler, False

    def __enter__(self):
        while self._is_held:
            self._scheduler.wait(lambda: not self._is_held)
        self._is_held = True

    def __exit__(self, *error):
        self._is_held = False
