"""How much time the daemon has had. What must be durable within a second must be so within a second in which the daemon can work: not in one in
which the machine has given its threads no processor, or its disk no answer. So beside the wall clock stands what was lost:

- time that threads of the daemon, of power_disk and of the file system's journal were ready to run and did not (schedstat);
- time in which a request of the disk was under way (io_ticks);
- time by which this clock itself was late: a machine that stood still.

Counted more than once where they overlap, which is fair: it makes the second longer, never shorter."""
import glob
import os
import threading
import time

PERIOD = 0.05


def pids_named(name):
    for path in glob.glob('/proc/[0-9]*/comm'):
        try:
            with open(path, encoding='utf-8') as f:
                if f.read().strip() == name:
                    yield int(path.split('/')[2])
        except OSError:
            pass


class Clock(threading.Thread):
    """Marks the log of the disk with what is lost, all the time. `worked`: nanoseconds since the start that were not lost."""

    def __init__(self, control, device, pids):
        super().__init__(daemon=True)
        self.control, self.device = control, os.path.basename(device)
        self.pids = [*pids, os.getpid(), *pids_named(f'jbd2/{self.device}-8')]
        self.late = self.lost = self.started = 0
        self.stopping = threading.Event()
        self.first = self.now_lost()

    def waited(self, pid):
        total = 0
        for path in glob.glob(f'/proc/{pid}/task/*/schedstat'):
            try:
                with open(path, encoding='utf-8') as f:
                    total += int(f.read().split()[1])
            except OSError:
                pass
        return total

    def now_lost(self):
        with open(f'/sys/block/{self.device}/stat', encoding='utf-8') as f:
            busy = int(f.read().split()[9]) * 1000000
        return busy + self.late + sum(self.waited(p) for p in self.pids)

    def mark(self):
        # Threads that have ended take their part with them: it never goes back.
        self.lost = max(self.lost, self.now_lost() - self.first)
        os.write(self.control, f'clock {self.lost}'.encode())

    def run(self):
        self.started = before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        while not self.stopping.wait(PERIOD):
            now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            self.late += max(0, now - before - int(PERIOD * 1.2e9))
            before = now
            self.mark()

    def worked(self):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - self.started - self.lost

    def wait_worked(self, seconds):
        """Until the daemon has had so much time from now on."""
        until = self.worked() + int(seconds * 1e9)
        while self.worked() < until:
            self.stopping.wait(PERIOD)

    def stop(self):
        self.stopping.set()
        self.join()
