"""The lab's long-running helpers: name server, package mirror, simulators. Each lives in a cgroup of
its own below the lab's, which says whether it runs and takes it down."""

import os
import subprocess
import sys
import time
import urllib.parse

import aptsources
import base
import cgroup
from net import Net

READY_LIMIT = 20
API = '192.168.10.1:8006'
DOPPLER = '192.168.10.1:8443'


class Service:
    """name; argv; ready: a file that exists once it serves; outside: not in the router namespace."""

    def __init__(self, name, argv, ready, outside=False):
        self.name = name
        self.argv = argv
        self.ready = ready
        self.outside = outside


def _dnsmasq(lab, config):
    ready = os.path.join(lab.state, 'dnsmasq.pid')
    conf = os.path.join(lab.state, 'dnsmasq.conf')
    lines = ['no-resolv', 'no-hosts', 'no-poll', 'local=/#/', 'user=root', 'bind-dynamic',
             'interface=br*', 'interface=lo', f'pid-file={ready}', 'localise-queries',
             f'addn-hosts={lab.state}/dns-hosts', f'dhcp-leasefile={lab.state}/dhcp-leases',
             'dhcp-authoritative', 'log-facility=-']
    lines += [f'address=/{host}/{Net.gateway(config["vlans"][0])}' for host in archive_hosts(config)]
    lines += [f'dhcp-range=192.168.{v}.200,192.168.{v}.250,1h' for v in config['vlans']]
    base.write_atomic(conf, '\n'.join(lines) + '\n')
    return Service('dnsmasq', ['dnsmasq', '--keep-in-foreground', f'--conf-file={conf}'], ready)


def archive_hosts(config):
    return sorted(urllib.parse.urlsplit(uri).netloc for uri in config['archives'])


def _site(uri):
    return urllib.parse.urlsplit(uri).netloc, urllib.parse.urlsplit(uri).scheme


def archives(trees):
    """scheme://host of every archive the images' apt sources name, and of NANTE_LAB_MIRRORS.
    The scheme is the one this machine uses: the images always say http."""
    here = dict(_site(uri) for uri, _ in aptsources.read())
    sites = dict(_site(uri) for tree in trees for uri, _ in aptsources.read(tree))
    sites = {host: here.get(host, scheme) for host, scheme in sites.items()}
    sites.update(_site(uri) for uri in (os.environ.get('NANTE_LAB_MIRRORS') or '').split())
    return sorted(f'{scheme}://{host}' for host, scheme in sites.items())


def _mirror(lab, config):
    ready = os.path.join(lab.state, 'mirror.ready')
    argv = [sys.executable, os.path.join(base.HERE, 'mirror.py'), '--ready', ready,
            '--netns', lab.net.netns_path(), '--cache', os.path.join(base.cache_dir(), 'mirror')]
    if os.environ.get('NANTE_LAB_OFFLINE') == '1':
        argv.append('--offline')
    return Service('mirror', argv + config['archives'], ready, outside=True)


def _pve(lab, _config):
    return Service('pve', [sys.executable, '-m', 'pve.server', '--state', lab.state,
                           '--listen', API], os.path.join(lab.state, 'pve.ready'))


def _doppler(lab, _config):
    return Service('doppler', [sys.executable, 'doppler.py', '--state', lab.state,
                               '--listen', DOPPLER], os.path.join(lab.state, 'doppler.ready'))


# The file that has to be there (the engine's tests need no simulator), and how to start it.
TABLE = (
    ('service.py', _dnsmasq),
    ('mirror.py', _mirror),
    ('pve/server.py', _pve),
    ('doppler.py', _doppler),
)


def table(lab, config):
    return [make(lab, config) for file, make in TABLE
            if os.path.exists(os.path.join(base.HERE, file))]


def path(lab, service):
    return os.path.join(lab.cgroup, 'services', service.name)


def running(lab, service):
    return cgroup.populated(path(lab, service)) and os.path.exists(service.ready)


def start(lab, service):
    """Starts a service unless it serves already; returns once it does."""
    if running(lab, service):
        return
    cg = path(lab, service)
    cgroup.kill(cg)
    cgroup.make(cg)
    if os.path.exists(service.ready):
        os.unlink(service.ready)
    argv = service.argv if service.outside else lab.net.inside(service.argv)
    log = os.path.join(lab.state, service.name + '.log')
    with open(log, 'ab') as f:
        p = subprocess.Popen(argv, cwd=base.HERE, stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                             start_new_session=True, preexec_fn=lambda: cgroup.attach(cg))
    until = time.monotonic() + READY_LIMIT
    while not os.path.exists(service.ready):
        if p.poll() is not None or time.monotonic() > until:
            with open(log, encoding='utf-8', errors='replace') as f:
                tail = ''.join(f.readlines()[-10:])
            cgroup.kill(cg)
            raise base.LabError(f'{service.name} does not start (log: {log}):\n{tail}')
        time.sleep(0.02)
