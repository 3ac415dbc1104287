"""What every part of the lab shares: names, places, running a command, atomic files."""

import contextlib
import fcntl
import json
import os
import re
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NAME_RE = re.compile(r'[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?')


class LabError(Exception):
    """Something the person at the command line can act on; the text says what."""


def check_name(name, what='name'):
    if not NAME_RE.fullmatch(name):
        raise LabError(f"bad {what} '{name}': a-z, 0-9 and '-', at most 63, not at the ends")
    return name


def instance_name():
    name = check_name(os.environ.get('NANTE_LAB') or 'nante', 'lab name (NANTE_LAB)')
    if len(name) > 20:
        raise LabError(f"lab name '{name}' is longer than 20")
    return name


def state_dir(instance):
    return f'/run/nante-lab/{instance}'


def disk_dir(instance):
    return os.path.join(os.environ.get('NANTE_LAB_DIR') or '/var/tmp/nante-lab', instance)


def cache_dir():
    root = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return os.path.join(root, 'nante', 'lab')


def run(argv, check=True, timeout=60, stdin=b''):
    """Runs a command; returns its output. A failure is a LabError that shows the command's own words."""
    try:
        p = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout)
    except FileNotFoundError:
        raise LabError(f'{argv[0]} is not installed (see tests/lab/need.sh)') from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: no end after {timeout} s") from None
    if check and p.returncode != 0:
        words = (p.stderr or p.stdout).decode(errors='replace').strip()
        raise LabError(f"{' '.join(argv)}: exit {p.returncode}: {words}")
    return p.stdout.decode(errors='replace')


def write_atomic(path, data, mode=0o600):
    """A reader sees the old file or the new one, never a part."""
    if isinstance(data, str):
        data = data.encode()
    fd, tmp = tempfile.mkstemp(dir=os.path.dirname(path), prefix='.' + os.path.basename(path))
    try:
        with os.fdopen(fd, 'wb') as f:
            f.write(data)
        os.chmod(tmp, mode)
        os.rename(tmp, path)
    except BaseException:
        os.unlink(tmp)
        raise


def read_json(path, default=None):
    try:
        with open(path, encoding='utf-8') as f:
            return json.load(f)
    except FileNotFoundError:
        return default


def write_json(path, value, mode=0o600):
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True) + '\n', mode)


@contextlib.contextmanager
def locked(state, what):
    """One holder at a time per lab, across threads and processes."""
    folder = os.path.join(state, 'locks')
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, what), 'w', encoding='ascii') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield
