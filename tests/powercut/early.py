"""The kernel may write a page that nobody has synced, whenever it likes and in any order, and a power cut may leave it on the disk. It mostly does so
after seconds, and a workload is over by then: so here it is asked to begin with files of the data directory picked at random, all the time.
SYNC_FILE_RANGE_WRITE begins the writing and makes nothing durable: the disk gets writes, and no flush."""
import ctypes
import os
import random
import threading

SYNC_FILE_RANGE_WRITE = 2


class EarlyWriting(threading.Thread):
    def __init__(self, folder, seed):
        super().__init__(daemon=True)
        self.folder, self.random, self.stopping = folder, random.Random(f'{seed} early'), threading.Event()
        self.libc = ctypes.CDLL(None)

    def begin_writing(self, path):
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            return             # it has gone meanwhile
        self.libc.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), SYNC_FILE_RANGE_WRITE)
        os.close(fd)

    def run(self):
        while not self.stopping.wait(self.random.choice([0.005, 0.02, 0.1])):
            files = [os.path.join(folder, n) for folder, _, names in os.walk(self.folder) for n in names if n != 'reserve']
            for path in self.random.sample(files, min(len(files), self.random.choice([1, 2, 5]))):
                self.begin_writing(path)

    def stop(self):
        self.stopping.set()
        self.join()
