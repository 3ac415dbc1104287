"""Disk images: a directory tree per Debian suite, made by mmdebstrap once and kept in the cache.

The key is a hash of the recipe (the files in image/), so a changed recipe makes a new tree and
an old one stays valid for the labs that still run on it."""

import fcntl
import hashlib
import os
import shutil
import subprocess

import aptsources
from base import HERE, LabError, cache_dir

SUITES = ('bookworm', 'trixie')
RECIPE = os.path.join(HERE, 'image')


def _key(suite):
    h = hashlib.sha256(suite.encode())
    for name in sorted(os.listdir(RECIPE)):
        with open(os.path.join(RECIPE, name), 'rb') as f:
            h.update(name.encode() + b'\0' + f.read() + b'\0')
    return h.hexdigest()[:12]


def path(suite):
    """Where the image of the suite lives, whether or not it has been built."""
    return os.path.join(cache_dir(), 'images', f'{suite}-{_key(suite)}')


def _build(suite, tree, log_path):
    with open(os.path.join(RECIPE, 'packages'), encoding='ascii') as f:
        packages = ','.join(f.read().split())
    argv = ['mmdebstrap', '--variant=minbase', '--mode=root', f'--include={packages}',
            '--aptopt=APT::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"',
            '--dpkgopt=force-unsafe-io',
            '--dpkgopt=path-exclude=/usr/share/man/*', '--dpkgopt=path-exclude=/usr/share/doc/*',
            '--dpkgopt=path-exclude=/usr/share/locale/*',
            '--dpkgopt=path-include=/usr/share/locale/locale.alias',
            f'--customize-hook=sh {RECIPE}/setup.sh "$1"', suite, tree]
    # Without lines of its own mmdebstrap takes Debian's default archive (an Ubuntu machine).
    argv += aptsources.debian_lines(suite)
    with open(log_path, 'wb') as log:
        rc = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode
    if rc != 0:
        with open(log_path, encoding='utf-8', errors='replace') as log:
            tail = ''.join(log.readlines()[-15:])
        raise LabError(f'mmdebstrap {suite} failed (log: {log_path}):\n{tail}')


def ensure(suite, say=lambda text: None):
    """The path of the suite's image, built now if the cache has none."""
    if suite not in SUITES:
        raise LabError(f"unknown suite '{suite}' (known: {', '.join(SUITES)})")
    tree = path(suite)
    if os.path.isdir(tree):
        return tree
    if os.environ.get('NANTE_LAB_OFFLINE') == '1':
        raise LabError(f'no image of {suite} in the cache and NANTE_LAB_OFFLINE=1')
    os.makedirs(os.path.dirname(tree), exist_ok=True)
    with open(tree + '.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two labs may come up at the same time
        if not os.path.isdir(tree):
            say(f'building the {suite} image (about a minute, once)')
            part = tree + '.part'
            if os.path.lexists(part):
                shutil.rmtree(part)
            _build(suite, part, tree + '.log')
            os.rename(part, tree)
    return tree
