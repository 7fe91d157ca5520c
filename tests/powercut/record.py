"""What power_disk wrote down, and images of the disk as a power cut may have left it.

A cut is a flush F and a moment M before the next flush is answered. Everything written before F is on the disk. Of what was written
between F and M each sector of 512 bytes is there or not, on its own: lost, whole or torn, in any order.

But for one block: the disk's first 4 KiB are written whole or not at all. ext4's superblock is there, 1 KiB with one checksum, which ext4 writes in
place and trusts the disk to write in one piece, as any with physical sectors of 4 KiB does. Half of it makes `e2fsck -p`, with a journal too, ask a
person to name another superblock (`e2fsck -b`): that would be a test of e2fsck."""
import bisect
import mmap
import os
import random
import struct

WRITE, FLUSH, MARK = 1, 2, 3
HEADER = struct.Struct('=IIQq')
SECTOR = 512
FIRST_BLOCK = 4096      # that are one sector
SECOND = 1000000000


class Record:
    """The events of a log, in order. begun, ended: for each program the events at which its operations began and returned."""

    def __init__(self, path):
        with open(path, 'rb') as f:
            self.log = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        self.events = []          # (kind, size, offset, time in ns, where the data is)
        self.flushes, self.begun, self.ended = [], {}, {}
        self.marks = {}           # other marks: the event of each
        self.clocks = []          # (time, ns lost so far): see clock.py
        at = 0
        while at + HEADER.size <= len(self.log):
            kind, size, offset, time = HEADER.unpack_from(self.log, at)
            at += HEADER.size
            self.note(kind, size, time, at)
            self.events.append((kind, size, offset, time, at))
            at += size if kind != FLUSH else 0

    def note(self, kind, size, time, at):
        number = len(self.events)
        if kind == FLUSH:
            self.flushes.append(number)
        elif kind == MARK:
            word, *rest = self.log[at:at + size].decode().split(' ')
            if word == 'begin':
                self.begun.setdefault(rest[0], []).append(number)
            elif word == 'end':
                self.ended.setdefault(rest[0], []).append(number)
            elif word == 'clock':
                self.clocks.append((time, int(rest[0])))
            else:
                self.marks[word] = number

    def lost_before(self, time):
        i = bisect.bisect_right(self.clocks, (time, 1 << 62)) - 1
        return self.clocks[i][1] if i >= 0 else 0

    def lost_after(self, time):
        i = bisect.bisect_left(self.clocks, (time, 0))
        if i < len(self.clocks):
            return self.clocks[i][1]
        return self.clocks[-1][1] + time - self.clocks[-1][0] if self.clocks else time

    def age(self, event, moment):
        """Nanoseconds from one event to another in which the daemon could have worked."""
        start, end = self.events[event][3], self.events[moment][3]
        return end - start - (self.lost_after(end) - self.lost_before(start))

    def view(self, program, moment):
        """How many of a program's operations had begun, had returned, and had returned a second before."""
        ended = self.ended.get(program, [])
        count = bisect.bisect_right(ended, moment)
        old = count
        while old > 0 and self.age(ended[old - 1], moment) <= SECOND:
            old -= 1
        return View(bisect.bisect_right(self.begun.get(program, []), moment), count, old)


class View:
    def __init__(self, begun, ended, old):
        self.begun, self.ended, self.old = begun, ended, old


class Images:
    """Makes images for cuts, whose flushes must come in rising order. base: the disk before the first event."""

    def __init__(self, record, base):
        self.record, self.base, self.at = record, base, 0
        self.story = []            # what became of each write of the last cut

    def write(self, fd, event):
        _, size, offset, _, at = event
        os.pwrite(fd, self.record.log[at:at + size], offset)

    def advance(self, flush):
        fd = os.open(self.base, os.O_WRONLY)
        for event in self.record.events[self.at:flush]:
            if event[0] == WRITE:
                self.write(fd, event)
        os.close(fd)
        self.at = max(self.at, flush)

    def tear(self, fd, event, keep):
        """Each sector of a write is there with probability `keep`; neighbours that are go in one piece. Says which are."""
        _, size, offset, _, at = event
        start, kept = None, []
        first = min(size, max(FIRST_BLOCK - offset, SECTOR))
        for s in [0, *range(first, size, SECTOR), size]:
            there = s < size and random_of(keep)
            if there and start is None:
                start = s
            elif not there and start is not None:
                os.pwrite(fd, self.record.log[at + start:at + s], offset + start)
                kept.append(f'{start // SECTOR}-{(s - 1) // SECTOR}')
                start = None
        return 'sectors ' + ' '.join(kept) if kept else 'lost'

    def make(self, flush, moment, seed, path):
        """The disk at a cut. Returns how many writes were not covered by the flush."""
        self.advance(flush)
        copy_sparse(self.base, path)
        GENERATOR.seed(seed)
        keep = GENERATOR.choice([0, 0.1, 0.5, 0.9, 1])
        fd = os.open(path, os.O_WRONLY)
        self.story = [f'writes since flush {flush}, offset size fate:']
        for number, event in enumerate(self.record.events[flush:moment + 1], flush):
            if event[0] != WRITE:
                continue
            if GENERATOR.random() < 0.5:
                fate = self.tear(fd, event, keep)
            elif random_of(keep):
                self.write(fd, event)
                fate = 'whole'
            else:
                fate = 'lost'
            self.story.append(f'  event {number}: {event[2]} {event[1]} {fate}')
        os.close(fd)
        return len(self.story) - 1


GENERATOR = random.Random()


def random_of(probability):
    return GENERATOR.random() < probability


def copy_sparse(source, target):
    """What is a hole stays one."""
    a, b = os.open(source, os.O_RDONLY), os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    size, at = os.fstat(a).st_size, 0
    os.ftruncate(b, size)
    while at < size:
        try:
            start = os.lseek(a, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(a, start, os.SEEK_HOLE)
        while start < at:
            piece = os.pread(a, min(at - start, 4 << 20), start)
            os.pwrite(b, piece, start)
            start += len(piece)
    os.close(a)
    os.close(b)
