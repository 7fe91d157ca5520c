"""Programs of the workload that use what is dios' own, and a database: streams, commit_write, tokens, SQLite."""
import contextlib
import ctypes
import os
import random
import sqlite3

from lost import read_what_is_left, same
from programs import Program, Wrong, read_file

READ, WRITE = 1, 2
BLOB, STREAM = 1, 2
TOKEN, AT_END, FORCE, RELAXED, TRUNCATE = 0x10000, 0x10000000, 0x8000000, 0x20000000, 0x40000000


class Buffer(ctypes.Structure):
    """struct dios_buffer"""
    _fields_ = [('data', ctypes.c_void_p), ('size', ctypes.c_size_t), ('offset', ctypes.c_uint64), ('version', ctypes.c_uint64),
                ('map', ctypes.c_void_p), ('map_size', ctypes.c_size_t), ('id', ctypes.c_uint8 * 16)]


class CopyOptions(ctypes.Structure):
    """struct dios_copy_options"""
    _fields_ = [('rights', ctypes.c_uint32), ('offset', ctypes.c_uint64), ('length', ctypes.c_uint64), ('expiry_ns', ctypes.c_int64),
                ('once', ctypes.c_uint32), ('node', ctypes.c_uint64), ('task', ctypes.c_void_p), ('create', ctypes.c_void_p)]


class CreateOptions(ctypes.Structure):
    """struct dios_create_options"""
    _fields_ = [('kind', ctypes.c_int), ('rights', ctypes.c_uint32), ('path', ctypes.c_char_p), ('string', ctypes.c_char_p),
                ('parent', ctypes.c_void_p), ('counter', ctypes.c_uint64), ('mode', ctypes.c_uint32), ('lifecycle', ctypes.c_int),
                ('replicas', ctypes.c_uint32), ('node', ctypes.c_uint64), ('near', ctypes.c_void_p), ('read_consistency', ctypes.c_int),
                ('write_consistency', ctypes.c_int), ('limit_bytes', ctypes.c_uint64), ('trim_bytes', ctypes.c_uint64),
                ('trim_age_ns', ctypes.c_int64), ('trim_consumed', ctypes.c_uint32)]


class Library:
    """libdios of this build; failures are exceptions."""
    path = None

    def __init__(self, mount):
        os.environ['DIOS_MOUNT'] = mount
        self.library = ctypes.CDLL(self.path)

    def call(self, name, *arguments):
        r = getattr(self.library, name)(*arguments)
        if r < 0:
            raise OSError(-r, f'{name}: {os.strerror(-r)}')
        return r

    def create(self, kind, path):
        """A reference to it."""
        ref = ctypes.c_int()
        self.call('dios_create', 0, ctypes.byref(CreateOptions(kind=kind, path=path.encode(), mode=0o644)), None, ctypes.byref(ref))
        return ref.value

    def publish(self, fd, data, flags):
        """One acquire_write and commit_write."""
        buffer = Buffer()
        at_end = flags & AT_END
        self.call('dios_acquire_write', at_end, fd, ctypes.c_uint64(0), ctypes.c_size_t(len(data)), ctypes.byref(buffer))
        ctypes.memmove(buffer.data, data, len(data))
        self.call('dios_commit_write', flags, fd, ctypes.byref(buffer), ctypes.c_size_t(len(data)))

    def mint(self, fd, once):
        text = ctypes.create_string_buffer(1001)
        self.call('dios_copy', TOKEN, fd, ctypes.byref(CopyOptions(rights=READ, once=once)), None, text)
        return text.value.decode()

    def revoke(self, token):
        self.call('dios_revoke', token.encode())


def mount_of(folder):
    return os.path.dirname(folder)


class Published(Program):
    """commit_write: the object is one version, whole, none older than the last that was durable. A second one grows by appends."""
    rounds = 70

    def run(self, c):
        library, r = Library(mount_of(c.folder)), c.random
        fds = [library.create(BLOB, os.path.join(c.folder, n)) for n in ('whole', 'grown')]
        for i, fd in enumerate(fds):
            c.do(('sync', i), lambda fd=fd: os.fsync(fd))
        for _ in range(self.rounds):
            i, seed = r.randrange(2), len(c.journal)
            relaxed = r.random() < 0.3
            size = r.choice([100, 5000, 50000, 200000, 200000, 2500000]) if i == 0 else r.choice([100, 5000, 30000])
            flags = (TRUNCATE if i == 0 else AT_END) | (RELAXED if relaxed else 0)
            data = random.Random(seed).randbytes(size)
            c.do(('publish', i, size, seed, relaxed), lambda i=i, d=data, f=flags: library.publish(fds[i], d, f))
            if r.random() < 0.3:
                c.stopped.wait(r.choice([0.01, 0.2]))

    def examine(self, folder, begun, durable, old):
        for i, name in enumerate(('whole', 'grown')):
            path = os.path.join(folder, name)
            operations = [(at, o) for at, o in enumerate(self.journal[:begun], 1) if o[1] == i]
            floor = max([at for at, o in operations if (o[0] == 'sync' or not o[4]) and at <= durable], default=0)
            floor = max(floor, max([at for at, _ in operations if at <= old], default=0))
            if not os.path.exists(path):
                if floor:
                    raise Wrong('', f'{name} is not there')
                continue
            (found, gone), content = read_what_is_left(path, self.lost), b''
            good = found == b'' and not floor
            for at, o in operations:
                if o[0] == 'publish':
                    data = random.Random(o[3]).randbytes(o[2])
                    content = data if i == 0 else content + data
                good = good or (at >= floor and same(content, found, gone))
            if not good:
                raise Wrong('', f'{name} has {len(found)} bytes that are no version since operation {floor}')


class Streamed(Program):
    """Records appended to a stream, some through a handle with O_DSYNC: the stream is its first records, whole."""
    rounds = 120

    @staticmethod
    def record(number, size):
        return f'<{number}:'.encode() + random.Random(number).randbytes(size) + b'>'

    def run(self, c):
        library, r = Library(mount_of(c.folder)), c.random
        path = os.path.join(c.folder, 'stream')
        c.do(('create',), lambda: os.close(library.create(STREAM, path)))
        lazy, synced = (os.open(path, os.O_WRONLY | os.O_APPEND | flag) for flag in (0, os.O_DSYNC))
        for number in range(self.rounds):
            durable, size = r.random() < 0.4, r.choice([10, 300, 3000, 20000])
            data = self.record(number, size)
            c.do(('append', size, durable), lambda d=data, fd=synced if durable else lazy: os.write(fd, d))
            if r.random() < 0.2:
                c.stopped.wait(r.choice([0.01, 0.2]))

    def examine(self, folder, begun, durable, old):
        path = os.path.join(folder, 'stream')
        floor = max([at for at, o in enumerate(self.journal[:durable], 1) if o[0] == 'append' and o[2]], default=0)
        floor = max(floor, old)
        if not os.path.exists(path):
            if floor:
                raise Wrong('', 'the stream is not there')
            return
        fd, found = os.open(path, os.O_RDONLY | os.O_NONBLOCK), b''
        try:
            while piece := os.read(fd, 1 << 20):
                found += piece
        except BlockingIOError:
            pass
        os.close(fd)
        content, good = b'', floor <= 1 and found == b''
        for at, o in enumerate(self.journal[1:begun], 2):
            content += self.record(at - 2, o[1])
            good = good or (at >= floor and content == found)
        if not good:
            raise Wrong('', f'the stream has {len(found)} bytes that are not its records up to one of {floor} to {begun}')


class Tokens(Program):
    """A token that was revoked, or good once and spent, opens nothing; the others go on opening the file."""
    rounds = 30

    def run(self, c):
        library, r = Library(mount_of(c.folder)), c.random
        path, live = os.path.join(c.folder, 'shared'), []
        cap = os.path.join(mount_of(c.folder), '.dios/cap')
        with open(path, 'w', encoding='utf-8') as f:
            f.write('shared')
            f.flush()
            os.fsync(f.fileno())
            c.do(('sync',), lambda: os.fsync(f.fileno()))
        fd = os.open(path, os.O_RDONLY)
        for _ in range(self.rounds):
            kind = r.choice(['mint', 'mint', 'once', 'revoke', 'spend'])
            if kind in ('mint', 'once'):
                # Making a token writes nothing: it is known before the operation.
                token = library.mint(fd, kind == 'once')
                live.append((kind, token))
                c.do(('made', token), lambda: None)
            else:
                wanted = [t for t in live if kind == 'revoke' or t[0] == 'once']
                if wanted:
                    t = r.choice(wanted)
                    live.remove(t)
                    if kind == 'revoke':
                        c.do(('gone', t[1]), lambda t=t: library.revoke(t[1]))
                    else:
                        c.do(('gone', t[1]), lambda t=t: read_file(os.path.join(cap, t[1])))
            c.stopped.wait(r.choice([0, 0.02, 0.2]))

    def examine(self, folder, begun, durable, old):
        if durable == 0 and old == 0:
            return
        cap = os.path.join(mount_of(folder), '.dios/cap')
        gone = {o[1]: at for at, o in enumerate(self.journal, 1) if o[0] == 'gone'}
        for o in self.journal[1:begun]:
            if o[0] != 'made':
                continue
            at = gone.get(o[1])
            if at and durable < at <= begun:
                continue   # under way
            try:
                opened = read_file(os.path.join(cap, o[1])) == b'shared'
            except PermissionError:
                opened = False
            if opened == bool(at and at <= durable):
                raise Wrong('', f'a token that was {"revoked or spent" if opened else "good"} {"opens" if opened else "does not open"}')


class Database(Program):
    """SQLite in WAL mode with synchronous=full: each committed row is there, and the file is sound."""
    rounds = 50

    def run(self, c):
        r = c.random
        path = os.path.join(c.folder, 'database')
        db = sqlite3.connect(path, isolation_level=None, timeout=60)
        mode = c.do(('made',), lambda: self.prepare(db))
        if mode != 'wal':
            raise RuntimeError(f'journal mode {mode}')
        for _ in range(self.rounds):
            rows = r.choice([1, 1, 3])
            c.do(('insert', rows), lambda n=rows: self.insert(db, n))
            if r.random() < 0.2:
                c.stopped.wait(0.02)

    @staticmethod
    def prepare(db):
        mode = db.execute('pragma journal_mode=wal').fetchone()[0]
        db.execute('pragma synchronous=full')
        db.execute('pragma wal_autocheckpoint=20')
        db.execute('create table t (id integer primary key, text text)')
        return mode

    @staticmethod
    def insert(db, rows):
        db.execute('begin')
        for _ in range(rows):
            db.execute('insert into t (text) values (?)', ('x' * 500,))
        db.execute('commit')

    @staticmethod
    def look(db):
        return db.execute('pragma integrity_check').fetchone()[0], [i for i, in db.execute('select id from t order by id')]

    def examine(self, folder, begun, durable, old):
        path = os.path.join(folder, 'database')
        need = max(durable, old)
        if need == 0 or any(entry.inode() in self.lost for entry in os.scandir(folder)):
            return
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
                sound, rows = self.look(db)
        except sqlite3.Error as error:
            raise Wrong('', f'SQLite: {error}') from error
        counts, total = set(), 0
        for at, o in enumerate(self.journal[:begun], 1):
            total += o[1] if o[0] == 'insert' else 0
            if at >= need:
                counts.add(total)
        if sound != 'ok' or rows != list(range(1, len(rows) + 1)) or len(rows) not in counts:
            raise Wrong('', f'SQLite: {len(rows)} rows, expected one of {sorted(counts)}; integrity check: {sound}')
