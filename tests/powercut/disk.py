"""File systems of a test's own, on loop devices over files."""
import os
import select
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'mount-tools'))
sys.dont_write_bytecode = True
import tap  # noqa: E402

# How each kind is made; lazy initialization would write for minutes behind the test's back.
KINDS = {
    'ext4': ['mkfs.ext4', '-q', '-F', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0', '-J', 'size=8'],
    'ext4-without-journal': ['mkfs.ext4', '-q', '-F', '-b', '4096', '-O', '^has_journal', '-E', 'lazy_itable_init=0'],
    'xfs': ['mkfs.xfs', '-q', '-f'],
}


def need(*programs):
    """Skips the whole test, and says why, where this machine cannot run it."""
    if os.geteuid() != 0:
        tap.skip_all('loop devices and mounting need root')
    for device in ('/dev/fuse', '/dev/loop-control'):
        if not os.path.exists(device):
            tap.skip_all(f'there is no {device}')
    for program in ('losetup', 'mkfs.ext4', 'e2fsck', 'mount', *programs):
        if not shutil.which(program):
            tap.skip_all(f'{program} is not installed')
    probe = subprocess.run(['losetup', '-f'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if probe.returncode != 0:
        tap.skip_all(f'no loop device can be had: {probe.stdout.decode().strip()}')


def run(*words, **options):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(words)}: status {done.returncode}: {done.stdout}')
    return done.stdout


def make(kind, image):
    """A file system of the kind in a file or on a device."""
    run(*KINDS[kind], image)


def check(kind, device):
    """What a machine does to a file system before it mounts it after a power cut, and what e2fsck says."""
    if not kind.startswith('ext4'):
        return ''
    # Without a journal there is nothing that -p would dare to mend: a person says yes to all (docs/OPERATING.md).
    done = subprocess.run(['e2fsck', '-y' if 'without' in kind else '-p', device], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode(errors='replace')
    if done.returncode & ~3:
        raise RuntimeError(f'e2fsck: {said}')
    return said


class Loop:
    """A loop device over a file; gone at the end of the with block."""

    def __init__(self, image):
        self.image, self.device = image, None

    def __enter__(self):
        self.device = run('losetup', '--find', '--show', self.image).strip()
        return self

    def __exit__(self, *_):
        if self.device:
            run('losetup', '-d', self.device)


class Mounted:
    """A device mounted on a folder of its own."""

    def __init__(self, device, folder, options=''):
        self.device, self.folder, self.options = device, folder, options

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        run('mount', '-o', 'rw,' + self.options if self.options else 'rw', self.device, self.folder)
        return self.folder

    def __exit__(self, *_):
        # A daemon that has refused to start may still be closing its files when its holder has said so.
        for _ in range(200):
            done = subprocess.run(['umount', self.folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if done.returncode == 0:
                return
            select.select([], [], [], 0.05)
        subprocess.run(['umount', '-l', self.folder], check=False)
        raise RuntimeError(done.stdout.strip())
