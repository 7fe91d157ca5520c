"""The workload: programs that run beside each other, each in a folder of its own, each with a check of what it finds there after a cut.

A program is a list of operations, one system call or library call each; its journal, kept outside the mount, says what each was. The disk's
log says when it began and returned. At a cut an operation may thus be: not begun (nothing of it may be there), under way (it may be there),
returned (it may be lost, unless a second has passed), durable (returned from fsync and the like: it is there).

check(folder, view) raises Wrong(category, sentence). Categories: durable, second, order, rubbish.

in_place: files are written past the daemon (passthrough = write). Then a file has, as on any file system, each sector as it was after some operation
since it was last durable, and a size between those before and after one; through the daemon a small file is as it was after one operation.
stale: and below it is an ext4 without a journal. There a sector that was written since, and not synced, may have what the disk had at that place before,
and a file that was never synced may be another, deleted one: its name has reached the disk, its inode has not."""
import os
import pickle
import random
import stat

from lost import read_what_is_left


class Wrong(Exception):
    def __init__(self, category, sentence):
        super().__init__(f'{category}: {sentence}')
        self.category = category


class Context:
    """Where a program runs: its folder, the disk's control file, and a random source of its own."""

    def __init__(self, name, folder, control, seed, stopped):
        self.name, self.folder, self.control, self.stopped = name, folder, control, stopped
        self.random = random.Random(f'{seed} {name}')
        self.journal = []

    def mark(self, word):
        os.write(self.control, f'{word} {self.name}'.encode())

    def do(self, operation, call):
        """Runs the call between its marks. An operation is a tuple; the first word says what it is."""
        self.journal.append(operation)
        self.mark('begin')
        result = call()
        self.mark('end')
        return result


class Program:
    in_place = stale = False

    def __init__(self, name, seed):
        self.name, self.seed, self.journal, self.lost = name, seed, [], ()

    def spawn(self, folder, control, journal_path, stopped):
        """A process that runs it and leaves its journal."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            context = Context(self.name, folder, control, self.seed, stopped)
            self.run(context)
            with open(journal_path, 'wb') as f:
                pickle.dump(context.journal, f)
            status = 0
        except BaseException:  # noqa: B902 -- whatever it is, the child ends here
            import traceback
            traceback.print_exc()
        os._exit(status)

    def load(self, journal_path):
        with open(journal_path, 'rb') as f:
            self.journal = pickle.load(f)

    def run(self, c):
        raise NotImplementedError

    def examine(self, folder, begun, durable, old):
        """Raises Wrong('', sentence) if what is there is not allowed where the first `durable` operations are on disk as far as they said so,
        and the first `old` altogether."""
        raise NotImplementedError

    def check(self, folder, view, lost=()):
        """Which promise is broken is found by asking for less. lost: inode numbers of files of which bytes may be unreadable (lost.py)."""
        self.lost = lost
        try:
            self.examine(folder, view.begun, view.ended, view.old)
            return
        except Wrong as full:
            if full.category:
                raise
            wrong = full
        for category, durable in (('second', view.ended), ('durable', 0)):
            try:
                self.examine(folder, view.begun, durable, 0)
            except Wrong:
                continue
            raise Wrong(category, f'{self.name}: {wrong.args[0][2:]}')
        raise Wrong('order', f'{self.name}: {wrong.args[0][2:]}')


def read_file(path):
    with open(path, 'rb') as f:
        return f.read()


# ---- small files: names and contents ------------------------------------------------------------------------------------

class Files(Program):
    """Many small files: made, written, appended, cut, renamed over each other, linked, unlinked, with and without fsync.

    The tree must be as after one of the operations, none earlier than the last that was durable; each file in it has one of the contents
    that it had since it was last durable, and none from before it was last renamed or linked in that tree."""
    names = [d + n for d in ('', 's/') for n in 'abcdefgh']
    sync_share = 0.3
    rounds = 260

    def going(self, c, done):
        return done < self.rounds

    def run(self, c):
        r, tree, number, sizes, folders = c.random, {}, 0, {}, {'s/'}
        path = lambda name: os.path.join(c.folder, name)  # noqa: E731
        c.do(('mkdir', 's'), lambda: os.mkdir(path('s'), 0o755))
        done = 0
        while self.going(c, done):
            done += 1
            files = [n for n in tree if tree[n] >= 0]
            kind = r.choices(['create', 'write', 'fsync', 'sync_write', 'truncate', 'rename', 'replace', 'link', 'unlink', 'symlink', 'chmod',
                              'fsyncdir', 'mkdir', 'rmdir', 'pause'],
                             [3, 8, 8 * self.sync_share, 3 * self.sync_share, 1, 2, 2, 1, 2, 0.5, 1, 2 * self.sync_share, 0.5, 0.5, 1])[0]
            free = [n for n in self.names if n not in tree]
            if kind == 'create' and free:
                name, number = r.choice(free), number + 1
                self.create(c, path(name), name, number)
                tree[name], sizes[number] = number, 0
            elif kind in ('write', 'sync_write') and files:
                name = r.choice(files)
                self.write(c, path(name), tree[name], sizes, kind == 'sync_write')
            elif kind == 'fsync' and files:
                name = r.choice(files)
                self.fsync(c, path(name), tree[name])
            elif kind == 'truncate' and files:
                name, size = r.choice(files), r.choice([0, 1, 4000, 9000])
                c.do(('truncate', tree[name], size), lambda: os.truncate(path(name), size))
                sizes[tree[name]] = size
            elif kind == 'rename' and files:
                old, new = r.choice(files), r.choice(self.names)
                if tree.get(new) != tree[old] and tree.get(new, 0) >= 0:
                    self.rename(c, path, tree, old, new)
            elif kind == 'replace' and files and free:
                # As editors do: a temporary file, written, synced or not, renamed over the old one.
                temporary, name, number = r.choice(free), r.choice(files), number + 1
                self.create(c, path(temporary), temporary, number)
                tree[temporary], sizes[number] = number, 0
                self.write(c, path(temporary), number, sizes, False)
                if r.random() < self.sync_share * 2:
                    self.fsync(c, path(temporary), number)
                self.rename(c, path, tree, temporary, name)
            elif kind == 'link' and files and free:
                old, new = r.choice(files), r.choice(free)
                c.do(('link', old, new), lambda: os.link(path(old), path(new)))
                tree[new] = tree[old]
            elif kind == 'unlink' and tree:
                name = r.choice(list(tree))
                c.do(('unlink', name), lambda: os.unlink(path(name)))
                del tree[name]
            elif kind == 'symlink' and free:
                name, target = r.choice(free), f'target {len(c.journal)}'
                c.do(('symlink', name, target), lambda: os.symlink(target, path(name)))
                tree[name] = -1
            elif kind == 'chmod' and files:
                name, mode = r.choice(files), r.choice([0o600, 0o640, 0o644, 0o755])
                c.do(('chmod', tree[name], mode), lambda: os.chmod(path(name), mode))
            elif kind == 'fsyncdir':
                self.fsync(c, c.folder, 0)
            elif kind == 'mkdir' and 'z/' not in folders:
                c.do(('mkdir', 'z'), lambda: os.mkdir(path('z'), 0o755))
                folders.add('z/')
            elif kind == 'rmdir' and 'z/' in folders:
                c.do(('rmdir', 'z'), lambda: os.rmdir(path('z')))
                folders.remove('z/')
            elif kind == 'pause':
                c.stopped.wait(r.choice([0.01, 0.05, 0.2]))

    @staticmethod
    def create(c, path, name, number):
        c.do(('create', name, number), lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)))

    @staticmethod
    def write(c, path, number, sizes, sync):
        r, size = c.random, sizes[number]
        offset = r.choice([0, size, size, r.randrange(size + 1)])
        data = r.randbytes(r.choice([1, 100, 4096, 5000, 20000, 70000]) if size < 200000 else 100)
        fd = os.open(path, os.O_WRONLY | (os.O_DSYNC if sync else 0))
        c.do(('write', number, offset, data, sync), lambda: os.pwrite(fd, data, offset))
        os.close(fd)
        sizes[number] = max(size, offset + len(data))

    @staticmethod
    def fsync(c, path, number):
        fd = os.open(path, os.O_RDONLY)
        c.do(('fsync', number), lambda: os.fsync(fd))
        os.close(fd)

    @staticmethod
    def rename(c, path, tree, old, new):
        c.do(('rename', old, new), lambda: os.rename(path(old), path(new)))
        tree[new] = tree.pop(old)

    # What it expects: worked out from the journal once.

    def load(self, journal_path):
        super().load(journal_path)
        self.trees = [{}]          # after each operation: name -> what is there
        self.contents = {}         # of each file: (operation, bytes), oldest first
        self.fixed = {}            # of each file: operations that write out what it holds
        self.syncs = []            # (operation, file)
        tree = {}
        for at, operation in enumerate(self.journal, 1):
            tree = self.apply(dict(tree), at, operation)
            self.trees.append(tree)

    def change(self, number, at, content):
        self.contents.setdefault(number, []).append((at, bytes(content)))

    def apply(self, tree, at, operation):
        kind, first, *rest = operation
        if kind == 'create':
            tree[first] = ('file', 0o644, rest[0])
            self.change(rest[0], at, b'')
        elif kind == 'write':
            offset, data, sync = rest
            content = bytearray(self.contents[first][-1][1])
            content.extend(bytes(max(0, offset + len(data) - len(content))))
            content[offset:offset + len(data)] = data
            self.change(first, at, content)
            if sync:
                self.syncs.append((at, first))
        elif kind == 'truncate':
            content = self.contents[first][-1][1][:rest[0]]
            self.change(first, at, content + bytes(rest[0] - len(content)))
        elif kind == 'fsync':
            self.syncs.append((at, first))
        elif kind in ('rename', 'link'):
            what = tree[first]
            tree[rest[0]] = what
            self.fixed.setdefault(what[2], []).append(at)
            if kind == 'rename':
                del tree[first]
        elif kind in ('unlink', 'rmdir'):
            del tree[first]
        elif kind == 'mkdir':
            tree[first] = ('folder',)
        elif kind == 'symlink':
            tree[first] = ('symlink', rest[0])
        elif kind == 'chmod':
            for name, what in tree.items():
                if what[0] == 'file' and what[2] == first:
                    tree[name] = ('file', rest[0], first)
        return tree

    def scan(self, folder, below=''):
        found = {}
        for entry in os.scandir(os.path.join(folder, below)):
            name = os.path.join(below, entry.name)
            st = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(st.st_mode):
                found[name] = ('folder',)
                found.update(self.scan(folder, name))
            elif stat.S_ISLNK(st.st_mode):
                found[name] = ('symlink', os.readlink(entry.path))
            else:
                content, gone = read_what_is_left(entry.path, self.lost, self.in_place)
                found[name] = ('file', stat.S_IMODE(st.st_mode), None if gone else content)
        return found

    def content_allowed(self, number, content, floor, begun):
        history = self.contents[number]
        required = max([i for i, (at, _) in enumerate(history) if at <= floor], default=0)
        since = [(at, c) for at, c in history[required:] if at <= begun]
        if any(c == content for _, c in since):
            return True
        if self.stale and history[required][0] > floor:
            return True
        if self.in_place:
            return size_allowed(len(content), [len(c) for _, c in since]) and sectors_allowed(content, [c for _, c in since], self.stale)
        # The kernel may hand over one write in several pieces, first to last.
        return any(is_begun(before, content, self.journal[at - 1]) for (_, before), (at, _) in zip(since, since[1:]))

    def tree_differs(self, tree, found, floors, at, begun):
        if set(tree) != set(found):
            return f'names {sorted(set(tree) ^ set(found))} differ'
        for name, what in tree.items():
            there = found[name]
            if what[:2] != there[:2] or (what[0] != 'file' and what != there):
                return f'{name} is {there[:2]}, expected {what[:2]}'
            if what[0] == 'file' and there[2] is not None:
                number = what[2]
                fixed = max([f for f in self.fixed.get(number, []) if f <= at], default=0)
                if not self.content_allowed(number, there[2], max(floors.get(number, 0), floors[None], fixed), begun):
                    return f'{name} (file {number}) has {len(there[2])} bytes that are none of its contents since operation {max(floors.get(number, 0), floors[None], fixed)}'
        return None

    def examine(self, folder, begun, durable, old):
        found = self.scan(folder)
        floors = {None: old}       # of the contents of each file; None: of all
        floor = old                # of the tree
        for at, number in self.syncs:
            if at <= durable:
                floor = max(floor, at)
                floors[number] = max(floors.get(number, 0), at)
        why = None
        for at in range(begun, floor - 1, -1):
            differs = self.tree_differs(self.trees[at], found, floors, at, begun)
            if not differs:
                return
            why = why or f'against operation {at}: {differs}'
        raise Wrong('', f'no tree of operations {floor} to {begun} is there; {why}')


def size_allowed(size, sizes):
    """Whether it is one of them, or on the way from one to the next."""
    return size in sizes or any(min(a, b) <= size <= max(a, b) for a, b in zip(sizes, sizes[1:]))


def sectors_allowed(found, contents, stale):
    good = bytearray((len(found) + SECTOR - 1) // SECTOR)
    last = None
    for content in contents:
        last = compare(found, content, good, last, stale)
    return all(good)


def is_begun(before, content, operation):
    """Whether the content is that of before with the first bytes of a write."""
    if operation[0] != 'write':
        return False
    _, _, offset, data, _ = operation
    there = content[offset:offset + len(data)]
    count = len(os.path.commonprefix([there, data]))
    return content == before[:offset] + data[:count] + before[offset + count:]


class Quiet(Files):
    """The same without any sync, until it is told to stop: nothing makes it durable but the passing of time."""
    sync_share = 0

    def going(self, c, done):
        return not c.stopped.wait(0.02)


# ---- large files ------------------------------------------------------------------------------------------------------

SECTOR = 512


class Large(Program):
    """Large files: written over, cut, made longer, punched. Each sector must be as it was after some operation since it was last durable, and
    the size too. Sectors of one file may be of different operations: no file system promises more without fsync."""
    rounds = 60
    size_max = 3 << 20

    def run(self, c):
        r, sizes = c.random, [0, 0]
        paths = [os.path.join(c.folder, f'large{i}') for i in range(2)]
        fds = [os.open(p, os.O_RDWR | os.O_CREAT, 0o644) for p in paths]
        for i, fd in enumerate(fds):
            c.do(('fsync', i), lambda fd=fd: os.fsync(fd))
        for _ in range(self.rounds):
            i = r.randrange(2)
            fd, size = fds[i], sizes[i]
            kind = r.choices(['write', 'overwrite', 'append', 'fsync', 'truncate', 'punch', 'pause'], [2, 6, 4, 5, 1, 1, 2])[0]
            if kind == 'pause':
                c.stopped.wait(r.choice([0.02, 0.3]))
            elif kind == 'fsync':
                c.do(('fsync', i), lambda fd=fd: os.fsync(fd))
            elif kind == 'truncate':
                sizes[i] = r.randrange(self.size_max)
                c.do(('truncate', i, sizes[i]), lambda fd=fd, i=i: os.ftruncate(fd, sizes[i]))
            elif kind == 'punch' and size > 8192:
                offset = r.randrange(size - 4096)
                length = r.choice([4096, 50000, 500000])
                c.do(('punch', i, offset, length), lambda fd=fd, o=offset, n=length: punch(fd, o, n))
            else:
                length = r.choice([512, 4096, 10000, 65536, 300000, 1 << 20]) if kind != 'overwrite' else r.choice([512, 4096, 4096, 20000])
                offset = size if kind == 'append' else r.randrange(size + 1)
                offset = min(offset, self.size_max)
                seed = len(c.journal)
                data = random.Random(seed).randbytes(length)
                c.do(('write', i, offset, length, seed), lambda fd=fd, d=data, o=offset: os.pwrite(fd, d, o))
                sizes[i] = max(size, offset + length)

    @staticmethod
    def apply(content, operation):
        kind, _, *rest = operation
        if kind == 'write':
            offset, length, seed = rest
            content.extend(bytes(max(0, offset + length - len(content))))
            content[offset:offset + length] = random.Random(seed).randbytes(length)
        elif kind == 'truncate':
            del content[rest[0]:]
            content.extend(bytes(rest[0] - len(content)))
        elif kind == 'punch':
            end = min(rest[0] + rest[1], len(content))
            content[rest[0]:end] = bytes(max(0, end - rest[0]))

    def examine(self, folder, begun, durable, old):
        for i in range(2):
            self.examine_one(os.path.join(folder, f'large{i}'), [(at, o) for at, o in enumerate(self.journal[:begun], 1) if o[1] == i], durable, old)

    def examine_one(self, path, operations, durable, old):
        floor = max([at for at, o in operations if o[0] == 'fsync' and at <= durable], default=0)
        if not floor and not os.path.exists(path):
            if any(at <= old for at, _ in operations):
                raise Wrong('', f'{path} is not there')
            return
        if not os.path.exists(path):
            raise Wrong('', f'{path} is not there, and was synced by operation {floor}')
        (found, gone), content = read_what_is_left(path, self.lost, self.in_place), bytearray()
        good = bytearray((len(found) + SECTOR - 1) // SECTOR)
        for at in gone:
            good[at // SECTOR:at // SECTOR + 8] = b'\1' * len(good[at // SECTOR:at // SECTOR + 8])
        sizes = []
        floor, last = max(floor, old), None
        for at, operation in operations + [(1 << 60, None)]:
            if at > floor:
                last = compare(found, content, good, last, self.stale)
                sizes.append(len(content))
            if operation:
                Large.apply(content, operation)
        if len(found) not in sizes and not (self.in_place and size_allowed(len(found), sizes)):
            raise Wrong('', f'{path} has {len(found)} bytes, expected one of {sorted(set(sizes))}')
        if not all(good):
            raise Wrong('', f'{path}: sector {good.index(0)} of {len(good)} ({good.count(0)} in all) is not as it was after any operation since {floor}')


def compare(found, content, good, last, changed_too):
    """Marks the sectors that are the same; those of the last content that have not changed need no second look. changed_too: and those that have."""
    view = bytes(content[:len(found)])
    view += bytes(len(found) - len(view))
    if view != last:
        for s in range(0, len(found), 64 * SECTOR):
            if last is not None and view[s:s + 64 * SECTOR] == last[s:s + 64 * SECTOR]:
                continue
            for at in range(s, min(s + 64 * SECTOR, len(found)), SECTOR):
                sector = view[at:at + SECTOR]
                if sector == found[at:at + SECTOR] or changed_too and last is not None and sector != last[at:at + SECTOR]:
                    good[at // SECTOR] = 1
    return view


def punch(fd, offset, length):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(fd, 3, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        raise OSError(ctypes.get_errno(), 'fallocate')
