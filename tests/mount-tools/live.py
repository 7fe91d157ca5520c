"""A mount of its own for a test: DIOS is a built mount-tools/dios, its daemon and helpers beside it."""
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

import tap


class Live:
    """A fresh data directory, mounted; taken away at the end of the with block."""

    def __init__(self, dios):
        if os.geteuid() != 0:
            tap.skip_all('mounting needs root')
        if not os.path.exists('/dev/fuse'):
            tap.skip_all('there is no /dev/fuse')
        self.dios = os.path.realpath(dios)
        self.tools = os.path.dirname(self.dios)
        self.work = tempfile.mkdtemp(prefix='dios-cli.', dir=os.environ.get('TMPDIR', '/var/tmp'))
        os.chmod(self.work, 0o755)
        self.data, self.mount = os.path.join(self.work, 'data'), os.path.join(self.work, 'mnt')
        self.holder = None
        mode = os.environ.get('DIOS_TEST_PASSTHROUGH')
        self.options = ['-o', f'passthrough={mode}'] if mode else []           # of mount.dios
        self.environment = {k: v for k, v in os.environ.items() if k != 'DIOS_MOUNT'}

    def __enter__(self):
        os.mkdir(self.mount)
        made = self.plain('init', self.data)
        if made.returncode == 0:
            self.up()
        else:
            self.fail(made.stderr)
        return self

    def __exit__(self, *_):
        self.down()
        shutil.rmtree(self.work, ignore_errors=True)

    def fail(self, why):
        tap.ok(False, 'the mount comes up', why)
        shutil.rmtree(self.work, ignore_errors=True)
        tap.done()

    def up(self):
        log = os.path.join(self.work, 'log')
        with open(log, 'ab') as f:
            started = subprocess.run([os.path.join(self.tools, 'mount.dios'), self.data, self.mount, *self.options], stdin=subprocess.DEVNULL, stdout=f,
                                     stderr=subprocess.STDOUT, env=self.environment, timeout=120, check=False)
        if started.returncode != 0:
            with open(log, encoding='utf-8', errors='replace') as f:
                self.fail(f.read()[-2000:])
        self.holder = json.loads(self.run('status', '--json').stdout)['holder_pid']

    @staticmethod
    def wait_sealed(path):
        """What was written in place has checksums and a new version once it is sealed, soon after its last writer has closed it."""
        for _ in range(600):
            if os.getxattr(path, 'user.dios.sealed') == b'yes':
                return
            time.sleep(0.05)

    def down(self):
        """Ends the holder, which ends the daemon and unmounts."""
        if not self.holder:
            return
        try:
            os.kill(self.holder, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.wait_gone(self.holder)
        with open('/proc/self/mounts', encoding='utf-8') as f:
            if f' {self.mount} ' in f.read():
                subprocess.run(['umount', '-l', self.mount], check=False)
        self.holder = None

    def crash(self):
        """Kills holder and daemon. The daemon is stopped first: it must not see its holder gone and begin an orderly end."""
        status = json.loads(self.run('status', '--json').stdout)
        os.kill(status['daemon_pid'], signal.SIGSTOP)
        for pid in (status['holder_pid'], status['daemon_pid']):
            os.kill(pid, signal.SIGKILL)
        for pid in (status['holder_pid'], status['daemon_pid']):
            self.wait_gone(pid)
        subprocess.run(['umount', '-l', self.mount], stderr=subprocess.DEVNULL, check=False)   # where the kernel has not done it
        self.holder = None

    @staticmethod
    def wait_gone(pid, seconds=60):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        select.select([pidfd], [], [], seconds)
        os.close(pidfd)

    def plain(self, *words, **options):
        """dios without --mount."""
        options.setdefault('stdin', subprocess.DEVNULL)
        options.setdefault('timeout', 60)
        if 'input' in options:
            del options['stdin']
        return subprocess.run([self.dios, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=options.pop('text', True),
                              env=options.pop('env', self.environment), check=False, **options)

    def run(self, *words, **options):
        return self.plain('--mount', self.mount, *words, **options)

    def path(self, *parts):
        return os.path.join(self.mount, *parts)

    def write(self, name, content):
        with open(self.path(name), 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), 'rb') as f:
            return f.read()
