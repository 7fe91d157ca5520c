"""How much time the daemon has had. What must be durable within a second must be so within a second in which the daemon can work: not in one in
which the machine has given its threads no processor, or its disk no answer. So beside the wall clock stands what was lost:

- time that threads of the daemon, of power_disk and of the file system's journal were ready to run and did not (schedstat);
- time in which a request of the disk was under way (io_ticks);
- time by which this clock itself was late: a machine that stood still.

Counted more than once where they overlap, which is fair: it makes the second longer, never shorter. But at most nine tenths of any time count as lost, so
that the second ends at last on the busiest machine."""
import glob
import os
import threading
import time

PERIOD = 0.05
LOST_MOST = 0.9


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
        self.stopping = threading.Event()
        self.lost, self.counted = 0, self.count()
        self.started = self.marked = self.now()

    @staticmethod
    def now():
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def waited(self, pid):
        total = 0
        for path in glob.glob(f'/proc/{pid}/task/*/schedstat'):
            try:
                with open(path, encoding='utf-8') as f:
                    total += int(f.read().split()[1])
            except OSError:
                pass
        return total

    def count(self):
        with open(f'/sys/block/{self.device}/stat', encoding='utf-8') as f:
            busy = int(f.read().split()[9]) * 1000000
        return busy + sum(self.waited(p) for p in self.pids)

    def mark(self):
        now, counted = self.now(), self.count()
        passed = now - self.marked
        late = max(0, passed - int(PERIOD * 1.2e9))
        # Threads that have ended take their part with them.
        self.lost += min(int(passed * LOST_MOST), max(0, counted - self.counted) + late)
        self.counted, self.marked = counted, now
        os.write(self.control, f'clock {self.lost}'.encode())

    def run(self):
        while not self.stopping.wait(PERIOD):
            self.mark()

    def worked(self):
        return self.marked - self.started - self.lost

    def wait_worked(self, seconds):
        """Until the daemon has had so much time from now on."""
        until = self.worked() + int(seconds * 1e9)
        while self.worked() < until:
            self.stopping.wait(PERIOD)

    def stop(self):
        self.stopping.set()
        self.join()
