"""A node on a disk of its own, and a machine that starts again: another boot id with each start."""
import ctypes
import json
import os
import select
import signal
import subprocess
import uuid

import disk

BOOT_ID = '/proc/sys/kernel/random/boot_id'


def own_mounts(work):
    """Mounts of the test are seen by nobody else and end with it; the boot id is a file of ours."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) != 0:
        disk.tap.skip_all(f'no mount name space of its own: {os.strerror(ctypes.get_errno())}')
    disk.run('mount', '--make-rprivate', '/')
    boot = os.path.join(work, 'boot_id')
    new_boot(boot)
    disk.run('mount', '--bind', boot, BOOT_ID)
    return boot


def new_boot(path):
    with open(path, 'w', encoding='ascii') as f:
        f.write(f'{uuid.uuid4()}\n')


class Node:
    def __init__(self, build, data, mount, options=()):
        self.tools, self.data, self.mount, self.options = os.path.join(build, 'mount-tools'), data, mount, options
        self.environment = {k: v for k, v in os.environ.items() if k != 'DIOS_MOUNT'}
        self.pids = []
        os.makedirs(mount, exist_ok=True)

    def tool(self, program, *words):
        done = subprocess.run([os.path.join(self.tools, program), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=self.environment, timeout=300, check=False)
        return done.returncode, done.stdout.strip()

    def dios(self, *words):
        return self.tool('dios', *words)

    def up(self):
        """'' or what went wrong."""
        status, said = self.tool('mount.dios', self.data, self.mount, *(x for o in self.options for x in ('-o', o)))
        if status != 0:
            return f'status {status}: {said}'
        status = json.loads(self.dios('--mount', self.mount, 'status', '--json')[1])
        self.pids = [status['holder_pid'], status['daemon_pid']]
        return ''

    def end(self, number):
        """Ends holder and daemon, by a signal to each; waits for both."""
        fds = []
        for pid in self.pids:
            try:
                fds.append((os.pidfd_open(pid), pid))
            except ProcessLookupError:
                pass
        for fd, _ in fds if number == signal.SIGKILL else fds[:1]:
            signal.pidfd_send_signal(fd, number)
        for fd, _ in fds:
            select.select([fd], [], [], 60)
            os.close(fd)
        self.pids = []
        subprocess.run(['umount', '-l', self.mount], stderr=subprocess.DEVNULL, check=False)   # where the kernel has not done it

    def down(self):
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)
