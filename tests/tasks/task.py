"""What the tests of tasks on a mount share."""
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'mount-tools'))
sys.dont_write_bytecode = True
import tap  # noqa: E402

NAME = re.compile(r'^[A-Za-z0-9_-]{43}$')
CONTROL = 0xC0206416      # DIOS_IOC_TASK_CONTROL


def start(live, *words, **options):
    """Starts a task; returns its name."""
    result = live.run('run', *words, **options)
    name = result.stdout.strip()
    if not NAME.match(name):
        tap.ok(False, f'run {" ".join(words)}', result)
        tap.done()
    return name


def wait(live, name):
    return live.run('wait', '--timeout', '30s', name).returncode


def finish(live, *words, **options):
    """Runs a task to its end: status, standard output, standard error."""
    name = start(live, *words, **options)
    status = wait(live, name)
    logs = live.run('logs', name)
    return status, logs.stdout, logs.stderr


def text(live, name, which):
    with open(live.path('.dios/tasks', name, which), encoding='utf-8') as f:
        return f.read()


def value(live, name, which, key):
    """Of a 'key: value' or 'key value' line; None: there is no such line."""
    for line in text(live, name, which).splitlines():
        words = line.split(': ' if which == 'status' else ' ', 1)
        if words[0] == key:
            return words[1]
    return None


def state(live, name):
    return value(live, name, 'status', 'state')


def until(condition, seconds=20):
    """Looks again until it holds: for what no event announces."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def processes(mark):
    """Process ids whose command line has this word."""
    found = []
    for pid in os.listdir('/proc'):
        if not pid.isdigit():
            continue
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                if mark.encode() in f.read().split(b'\0'):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def control_groups(word):
    """Folders of control groups with this word in their name."""
    return [os.path.join(folder, name) for folder, names, _ in os.walk('/sys/fs/cgroup') for name in names if word in name]
