"""What was measured, as a table (Markdown, as docs/PERFORMANCE.md shows it) and as JSON."""
import datetime
import os
import platform
import statistics
import subprocess

from works import Figures, ROWS, WORKS


def first_line(arguments, cwd=None):
    try:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=cwd)
        return done.stdout.strip().split('\n')[0]
    except OSError:
        return ''


def file_field(path, name):
    with open(path, encoding='utf-8', errors='replace') as f:
        for line in f:
            if line.startswith(name):
                return line.split(':', 1)[1].strip()
    return ''


def file_system_of(folder):
    """Type, device, options and journal of the file system that holds the folder."""
    device = os.stat(folder).st_dev
    numbers = f'{os.major(device)}:{os.minor(device)}'
    kind = source = options = ''
    with open('/proc/self/mountinfo', encoding='utf-8') as f:
        for line in f:
            words = line.split()
            if words[2] == numbers:
                rest = words[words.index('-') + 1:]
                kind, source, options = rest[0], rest[1], words[5] + ',' + rest[2]
    name = os.path.basename(os.path.realpath(f'/sys/dev/block/{numbers}'))
    journal = 'unknown'
    if kind == 'ext4':
        journals = os.listdir('/proc/fs/jbd2') if os.path.isdir('/proc/fs/jbd2') else []
        journal = 'yes' if any(j.rsplit('-', 1)[0] == name for j in journals) else 'no'
    elif kind in ('xfs', 'btrfs'):
        journal = 'yes'
    elif kind == 'tmpfs':
        journal = 'no'
    return {'type': kind, 'device': source, 'options': options, 'journal': journal}


def facts(folder, source, build):
    return {
        'time': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
        'commit': first_line(['git', 'rev-parse', '--short=12', 'HEAD'], source),
        'changed': first_line(['git', 'status', '--porcelain', '--untracked-files=no'], source) != '',
        'buildtype': build,
        'kernel': platform.release(),
        'processor': file_field('/proc/cpuinfo', 'model name'),
        'processors': os.cpu_count(),
        'memory': file_field('/proc/meminfo', 'MemTotal'),
        'load': os.getloadavg()[0],
        'libfuse': first_line(['pkg-config', '--modversion', 'fuse3']),
        'file_system': file_system_of(folder),
    }


def summary(values):
    return {'median': statistics.median(values), 'least': min(values), 'most': max(values), 'values': values}


def works_json(values):
    return [{'work': w.name, 'title': w.title, 'unit': w.unit, 'systems': {s: summary(list(runs.values())) for s, runs in values[w.name].items()}}
            for w in WORKS if values.get(w.name)]


def ratios(row, figures, system, runs):
    found = [row.compare(figures, system, run) for run in range(runs)]
    return [a / b for a, b in found if a is not None and b]


def rows_json(values, runs, modes):
    """Each row with the ratio of every mode. The bound is held against the row's mode, or the nearest one below it that there is."""
    figures, result = Figures(values), []
    for row in ROWS:
        each = {m: summary(r) for m in modes if (r := ratios(row, figures, 'dios-' + m, runs))}
        if not each:
            continue
        order = ['off', 'read', 'write']
        judged = [m for m in order[:order.index(row.mode) + 1] if m in each]
        entry = {'work': row.work.name, 'title': row.title, 'against': row.against, 'mode': judged[-1] if judged else None,
                 'wanted_mode': row.mode, 'ratios': each}
        entry['at_least' if row.at_least is not None else 'at_most'] = row.at_least if row.at_least is not None else row.at_most
        entry['reached'] = bool(judged) and row.reached(each[judged[-1]]['median'])
        result.append(entry)
    return result


def number(value):
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def markdown(result):
    """The table: a ratio is the median of those of each run, with the least and the most."""
    lines = ['| work | against | bound | ' + ' | '.join('passthrough ' + m for m in result['modes']) + ' | reached |',
             '|---|---|---|' + '---|' * len(result['modes']) + '---|']
    for row in result['rows']:
        bound = f'at least {row["at_least"]:g}' if 'at_least' in row else f'at most {row["at_most"]:g}'
        if row['wanted_mode'] != 'write':
            bound += f', {row["wanted_mode"]}'
        cells = []
        for mode in result['modes']:
            ratio = row['ratios'].get(mode)
            cells.append(f'{ratio["median"]:.2f} ({ratio["least"]:.2f}–{ratio["most"]:.2f})' if ratio else '–')
        reached = ('yes' if row['reached'] else '**no**') + ('' if row['mode'] == row['wanted_mode'] else f' ({row["mode"]})')
        lines.append(f'| {row["title"]} | {row["against"]} | {bound} | {" | ".join(cells)} | {reached} |')
    names = [s['name'] for s in result['systems']]
    lines += ['', '| figures: median (least–most) | unit | ' + ' | '.join(names) + ' |', '|---|---|' + '---|' * len(names)]
    for work in result['works']:
        cells = []
        for name in names:
            s = work['systems'].get(name)
            cells.append(f'{number(s["median"])} ({number(s["least"])}–{number(s["most"])})' if s else '')
        lines.append(f'| {work["title"]} | {work["unit"]} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def machine(result):
    f = result['facts']
    fs = f['file_system']
    journal = {'yes': 'with a journal', 'no': '**without a journal**'}.get(fs['journal'], 'journal unknown')
    changed = ' with changes' if f['changed'] else ''
    return (f'{f["time"]}, commit {f["commit"]}{changed}, build {f["buildtype"]}. Kernel {f["kernel"]}, {f["processors"]} processors '
            f'({f["processor"]}), memory {f["memory"]}, load at the start {f["load"]:.2f}. {fs["type"]} {journal} on {fs["device"]} ({fs["options"]}). '
            f'{result["runs"]} runs, sizes: {result["sizes"]["bytes"] >> 20} MiB, {result["sizes"]["files"]:,} files, '
            f'{result["sizes"]["operations"]:,} operations, {result["sizes"]["records"]:,} records.')
