"""The works, in the order in which each run does them, and the rows of the table: what each row compares, and what is to be reached."""

# Which systems: d the file system itself, h passthrough_hp, m dios in each mode, p plain-fuse.
# needs: what must be there first. cold: the kernel's caches are dropped before.


class Work:
    def __init__(self, name, title, systems, unit, needs=None, makes=None, takes=None, cold=False):
        self.name, self.title, self.systems, self.unit = name, title, systems, unit
        self.needs, self.makes, self.takes, self.cold = needs, makes, takes, cold
        self.key = 'rate' if unit != 'us' else 'p50_us'


WORKS = [
    Work('sequential_write', 'sequential write + fsync', 'dhm', 'MiB/s', makes='large'),
    Work('sequential_read', 'sequential read, cold', 'dhm', 'MiB/s', needs='large', cold=True),
    Work('sequential_read_again', 'sequential read, warm', 'dhm', 'MiB/s', needs='large'),
    Work('mapped_read_again', 'mmap read, warm', 'dhm', 'MiB/s', needs='large'),
    Work('random_read_again', '4 KiB random read, warm', 'dhm', '/s', needs='large'),
    Work('random_write_sync', '4 KiB random write + fsync', 'dhm', '/s', needs='large'),
    Work('random_write', '4 KiB random write', 'dhm', '/s', needs='large'),
    Work('plain_write', '4 KiB write, a plain FUSE round trip', 'p', '/s'),
    Work('create_files', 'create + write 4 KiB + close', 'dhm', '/s', makes='tree'),
    Work('stat_again', 'stat, second pass', 'dhm', '/s', needs='tree'),
    Work('read_files', 'read of small files, cold', 'dhm', '/s', needs='tree', cold=True),
    Work('read_files_again', 'read of small files, warm', 'dhm', '/s', needs='tree'),
    Work('unlink_files', 'unlink', 'dhm', '/s', needs='tree', takes='tree'),
    Work('create_files_sync', 'create + write 4 KiB + fsync + close', 'dhm', '/s', makes='tree', takes='tree'),
    Work('block_sync', '4 KiB over + fdatasync', 'd', 'us'),
    Work('bare_ioctl', 'bare FUSE ioctl', 'p', 'us'),
    Work('acquire_commit', 'acquire + commit (read), 4 KiB', 'm', 'us'),
    Work('commit_write', 'commit_write of 4 KiB, durable', 'm', 'us'),
    Work('stream_batched', 'stream, 256-byte records, batched', 'm', '/s'),
    Work('stream_single', 'stream, 256-byte records one by one', 'm', '/s'),
    Work('plain_stream', '256-byte records one by one through a minimal FUSE file', 'p', '/s'),
    Work('fork_exec', 'fork + exec of /bin/true in such name spaces by hand', 'd', 'us'),
    Work('run_task', 'run of /bin/true', 'm', 'us'),
]


class Figures:
    """All figures of all runs, as values[work][system][run], and what rows compute from those of one run."""

    def __init__(self, values):
        self.values = values

    def of(self, work, system, run):
        return self.values.get(work, {}).get(system, {}).get(run)

    def best_plain(self, work, run, best):
        found = [v for v in (self.of(work, s, run) for s in ('plain', 'plain-threads')) if v is not None]
        return best(found) if found else None


def to_direct(work):
    return lambda f, system, run: (f.of(work, system, run), f.of(work, 'direct', run))


def to_passthrough_hp(work):
    return lambda f, system, run: (f.of(work, system, run), f.of(work, 'passthrough_hp', run))


def to_plain(work, plain, best):
    return lambda f, system, run: (f.of(work, system, run), f.best_plain(plain, run, best))


def to_sync_and_crossings(f, system, run):
    sync, crossing = f.of('block_sync', 'direct', run), f.best_plain('bare_ioctl', run, min)
    return f.of('commit_write', system, run), sync + 2 * crossing if sync and crossing else None


def to_number(work, number):
    return lambda f, system, run: (f.of(work, system, run), number)


class Row:
    """compare gives a figure and what it is divided by. at_least or at_most is the bound of the quotient. mode: the one that the bound is for."""

    def __init__(self, work, compare, against, at_least=None, at_most=None, mode='write', title=None):
        self.work = next(w for w in WORKS if w.name == work)
        self.compare, self.against, self.at_least, self.at_most, self.mode = compare, against, at_least, at_most, mode
        self.title = title or self.work.title

    def reached(self, ratio):
        return ratio >= self.at_least if self.at_least is not None else ratio <= self.at_most


def direct(work, at_least, **more):
    return Row(work, to_direct(work), 'the file system', at_least, **more)


ROWS = [
    direct('sequential_write', 0.85),
    direct('sequential_read', 0.9),
    direct('sequential_read_again', 0.9),
    direct('mapped_read_again', 0.9),
    direct('random_read_again', 0.9),
    direct('random_write_sync', 0.8),
    direct('random_write', 0.9),
    direct('random_write_sync', 0.5, mode='off'),
    Row('random_write', to_plain('random_write', 'plain_write', max), 'a plain FUSE round trip', 1.0, mode='off'),
    Row('create_files', to_passthrough_hp('create_files'), 'passthrough_hp', 1.0),
    Row('unlink_files', to_passthrough_hp('unlink_files'), 'passthrough_hp', 1.0),
    direct('create_files_sync', 0.7),
    direct('stat_again', 0.8),
    direct('read_files', 0.5),
    direct('read_files_again', 0.7),
    Row('acquire_commit', to_plain('acquire_commit', 'bare_ioctl', min), 'a bare FUSE ioctl', at_most=2.5),
    Row('commit_write', to_sync_and_crossings, '1 fdatasync + 2 bare ioctls', at_most=1.3),
    Row('stream_batched', to_number('stream_batched', 300000), '300,000 a second', 1.0),
    Row('stream_single', to_plain('stream_single', 'plain_stream', max), 'a minimal FUSE file', 0.5),
    Row('run_task', lambda f, system, run: (f.of('run_task', system, run), f.of('fork_exec', 'direct', run)), 'fork + exec by hand', at_most=3.0),
]
