"""What is measured: the file system itself, passthrough_hp over it, dios over it in each mode, and plain-fuse. Each is a folder to work in,
and the processes that serve it."""
import json
import os
import shutil
import signal
import subprocess
import time

START_SECONDS = 30
END_SECONDS = 60
SETTLE_SECONDS = 20          # background work of one system is not to fall into another's time; more than this is not waited for
QUIET_SECONDS = 0.2


class Missing(Exception):
    """This machine or this build does not have it."""


def is_mounted(path):
    with open('/proc/self/mounts', encoding='utf-8') as f:
        return any(line.split()[1] == path for line in f)


def wait_until(done, seconds, what):
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise RuntimeError(f'{what}: not within {seconds} s')
        time.sleep(0.005)


class System:
    """`folder` is where the works are done. Subclasses start and stop what serves it."""
    cache = 'the kernel\'s page cache'

    def __init__(self, name, work):
        self.name, self.work = name, work
        self.folder = os.path.join(work, name)
        self.processes = []

    def start(self):
        os.mkdir(self.folder)

    def stop(self):
        pass

    def pids(self):
        return [p.pid for p in self.processes]


class Foreground(System):
    """A FUSE daemon that stays a child of ours."""

    def serve(self, arguments):
        os.mkdir(self.folder)
        self.log = os.path.join(self.work, self.name + '.log')
        with open(self.log, 'wb') as log:
            self.processes = [subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)]
        wait_until(lambda: is_mounted(self.folder) or self.processes[0].poll() is not None, START_SECONDS, f'{self.name} mounts')
        if not is_mounted(self.folder):
            with open(self.log, encoding='utf-8', errors='replace') as log:
                raise RuntimeError(f'{self.name} does not mount: {log.read()[-500:]}')

    def stop(self):
        if is_mounted(self.folder):
            subprocess.run(['umount', '-l', self.folder], check=False)
        for process in self.processes:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []


class PassthroughHp(Foreground):
    cache = 'libfuse 3.17 passthrough_hp, its defaults: kernel cache for a day, FUSE passthrough of reads and writes'

    def __init__(self, work, program):
        super().__init__('passthrough_hp', work)
        self.program = program

    def start(self):
        source = os.path.join(self.work, 'passthrough_hp-source')
        os.mkdir(source)
        self.serve([self.program, '--foreground', source, self.folder])


class Plain(Foreground):
    cache = 'none'

    def __init__(self, work, program, threads):
        super().__init__('plain-threads' if threads else 'plain', work)
        self.arguments = [program, self.folder] + (['threads'] if threads else [])

    def start(self):
        self.serve(self.arguments)


class Dios(System):
    def __init__(self, work, tools, mode, options=()):
        super().__init__('dios-' + mode, work)
        self.tools, self.mode, self.options = tools, mode, list(options)
        self.data = os.path.join(work, self.name + '-data')
        self.holder = self.daemon = None
        self.environment = {k: v for k, v in os.environ.items() if k != 'DIOS_MOUNT'}

    def tool(self, *arguments):
        program = os.path.join(self.tools, 'dios')
        done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment, check=False)
        if done.returncode != 0:
            raise RuntimeError(f'dios {" ".join(arguments)}: {done.stderr.strip()}')
        return done.stdout

    def knows_modes(self):
        checked = subprocess.run([os.path.join(self.tools, 'mount.dios'), '-f', '-o', 'passthrough=' + self.mode, self.data, self.folder],
                                 stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return checked.returncode == 0

    def start(self):
        os.mkdir(self.folder)
        if self.knows_modes():
            self.options.append('passthrough=' + self.mode)
        elif self.mode != 'off':
            raise Missing('this build has no passthrough')
        self.tool('init', self.data)
        self.up()

    def mount(self):
        options = ['-o', ','.join(self.options)] if self.options else []
        mounted = subprocess.run([os.path.join(self.tools, 'mount.dios'), self.data, self.folder, *options],
                                 stdin=subprocess.DEVNULL, capture_output=True, text=True, env=self.environment, check=False)
        if mounted.returncode != 0:
            raise RuntimeError(f'{self.name} does not mount: {mounted.stderr.strip()}')

    def up(self):
        self.mount()
        self.ask()
        with open(os.path.join(self.folder, '.dios/config'), encoding='utf-8') as f:
            config = dict(line.strip().split(' = ', 1) for line in f if ' = ' in line)
        self.cache = f'kernel cache for {config["cache.timeout"]}, passthrough {config.get("passthrough", "none")}, {config["workers"]} workers'

    def ask(self):
        status = json.loads(self.tool('--mount', self.folder, 'status', '--json'))
        self.holder, self.daemon = status['holder_pid'], status['daemon_pid']

    def stats(self):
        with open(os.path.join(self.folder, '.dios/stats'), encoding='utf-8') as f:
            return dict(line.split()[:2] for line in f if len(line.split()) >= 2)

    def pids(self):
        return [pid for pid in (self.holder, self.daemon) if pid]

    def stop(self):
        """The holder ends its daemon, and unmounts."""
        if self.holder:
            try:
                os.kill(self.holder, signal.SIGTERM)
                wait_until(lambda: not os.path.exists(f'/proc/{self.holder}'), END_SECONDS, f'{self.name} ends')
            except ProcessLookupError:
                pass
        if is_mounted(self.folder):
            subprocess.run(['umount', '-l', self.folder], check=False)
        self.holder = self.daemon = None


def processor_time(pids):
    total = 0
    for pid in pids:
        try:
            with open(f'/proc/{pid}/stat', encoding='utf-8') as f:
                total += sum(map(int, f.read().rsplit(')', 1)[1].split()[11:13]))
        except OSError:
            pass
    return total


def settle(systems):
    """Waits until what is on its way is on the disk, and the daemons have nothing more to do."""
    os.sync()
    pids = [pid for system in systems for pid in system.pids()]
    end, before = time.monotonic() + SETTLE_SECONDS, processor_time(pids)
    while time.monotonic() < end:
        time.sleep(QUIET_SECONDS)
        now = processor_time(pids)
        if now <= before + 1:
            return
        before = now


def drop_caches():
    os.sync()
    with open('/proc/sys/vm/drop_caches', 'w', encoding='utf-8') as f:
        f.write('3')


def remove(path):
    if os.path.lexists(path):
        shutil.rmtree(path)
