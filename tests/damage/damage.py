"""What the damage tests share: data directories that were made once, copies of them, and what fsck and a reader say of a copy."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'mount-tools'))
sys.dont_write_bytecode = True
import tap  # noqa: E402

RIGHT, WRONG, REFUSED, UNREAD = 0, 1, 2, 3        # exit statuses of site read


class Sites:
    """site makes the directories 'clean' and 'killed', and 'other', which is of nobody here."""

    def __init__(self, dios, site):
        self.dios, self.site = dios, site
        self.work = tempfile.mkdtemp(prefix='dios-damage.', dir=os.environ.get('TMPDIR') or self.memory() or '/var/tmp')
        for name, kind in (('clean', 'clean'), ('killed', 'killed'), ('other', 'clean')):
            subprocess.run([site, 'make', self.made(name), kind], check=True, timeout=300)
        self.count = 0

    @staticmethod
    def memory():
        """Copies are many and large, and nothing here is about what a disk does: in memory where there is room."""
        place = '/dev/shm'
        return place if os.path.isdir(place) and shutil.disk_usage(place).free > 2 << 30 else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.work, ignore_errors=True)

    def made(self, name):
        return os.path.join(self.work, name)

    def copy(self, name):
        """A copy to be damaged."""
        self.count += 1
        path = os.path.join(self.work, f'copy{self.count}')
        subprocess.run(['cp', '-a', '--sparse=always', self.made(name), path], check=True, timeout=300)
        shutil.copy(self.made(name) + '.token', path + '.token')
        return path

    def drop(self, path):
        shutil.rmtree(path, ignore_errors=True)
        os.unlink(path + '.token')

    def fsck(self, path, *options):
        return subprocess.run([self.dios, 'fsck', *options, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                              errors='replace', timeout=300, check=False)

    def read(self, path, *options):
        return subprocess.run([self.site, 'read', path, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                              errors='replace', timeout=300, check=False)


def said(result):
    return f'status {result.returncode}\n{result.stdout[-3000:]}{(result.stderr or "")[-1500:]}'


def flip(path, offset, bit=4):
    with open(path, 'r+b') as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 1 << bit]))


def find(directory, *parts):
    """The files of a folder, sorted."""
    folder = os.path.join(directory, *parts)
    return sorted(os.path.join(folder, n) for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n)))


def largest(paths):
    return max(paths, key=os.path.getsize)


def heads(directory):
    """By the order of their inodes, which is the order in which site made them."""
    found = [p for f in sorted(os.listdir(os.path.join(directory, 'heads'))) for p in find(directory, 'heads', f)]
    return sorted(found, key=os.path.basename)
