"""One lab on this machine: bringing it up, what it is made of, and taking it down without a trace."""

import contextlib
import fcntl
import os
import secrets
import uuid

import base
import cgroup
import image
import service
from hosts import Hosts
from net import Net

VLANS = [10, 20]
SUITE = 'bookworm'
NODES = ['pmx1', 'pmx2', 'pmx3']

# Every systemd wants its dozen inotify instances, and the kernel's count is per user: root's.
INOTIFY = '/proc/sys/fs/inotify/max_user_instances'
INOTIFY_WANTED = 4096
INOTIFY_BEFORE = os.path.join(os.path.dirname(base.state_dir('-')), '.inotify-before')


def _more_inotify():
    with open(INOTIFY, encoding='ascii') as f:
        before = f.read().strip()
    if int(before) < INOTIFY_WANTED:
        base.write_atomic(INOTIFY_BEFORE, before)
        with contextlib.suppress(OSError):  # read-only in a container; ten hosts work without
            with open(INOTIFY, 'w', encoding='ascii') as f:
                f.write(str(INOTIFY_WANTED))


def _inotify_as_before():
    """The last lab to go puts the machine's own limit back."""
    folder, name = os.path.split(INOTIFY_BEFORE)
    if not os.path.isdir(folder) or os.listdir(folder) != [name]:
        return
    with open(INOTIFY_BEFORE, encoding='ascii') as f:
        before = f.read()
    with contextlib.suppress(OSError):
        with open(INOTIFY, 'w', encoding='ascii') as f:
            f.write(before)
    os.unlink(INOTIFY_BEFORE)


class Lab:
    def __init__(self, name=None):
        self.name = name or base.instance_name()
        self.state = base.state_dir(self.name)
        self.net = Net(self.name, self.state)
        self.cgroup = cgroup.lab(self.name)

    def config(self):
        config = base.read_json(os.path.join(self.state, 'config.json'))
        if config is None:
            raise base.LabError(f"the lab '{self.name}' is not up (tests/lab/lab up)")
        return config

    def hosts(self):
        self.config()
        return Hosts(self.state)

    @contextlib.contextmanager
    def _locked(self):
        """One `up` or `down` at a time. The file goes with the lab; who got a stale one tries again."""
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        path = os.path.join(self.state, 'lock')
        while True:
            with open(path, 'w', encoding='ascii') as f:
                fcntl.flock(f, fcntl.LOCK_EX)
                if os.path.exists(path) and os.stat(path).st_ino == os.fstat(f.fileno()).st_ino:
                    yield
                    return
            os.makedirs(self.state, mode=0o700, exist_ok=True)

    # Up

    def up(self, suite, nodes, say):
        """Brings up a new lab, or starts what does not run of this one; None asks for nothing special."""
        image.ensure(suite or self._last_suite(), say)
        with self._locked():
            config = base.read_json(os.path.join(self.state, 'config.json'))
            if config is None:
                config = self._configure(suite or SUITE, nodes or NODES)
            elif (nodes or config['nodes'], suite or config['suite']) != (config['nodes'],
                                                                          config['suite']):
                raise base.LabError(f"the lab '{self.name}' is up with {config['suite']} on "
                                    f"{','.join(config['nodes'])}; take it down first")
            _more_inotify()
            for cg in (self.cgroup, self.cgroup + '/services', self.cgroup + '/hosts'):
                cgroup.delegate(cgroup.make(cg))
            self.net.up(config['vlans'])
            for one in service.table(self, config):
                service.start(self, one)

    def _last_suite(self):
        return base.read_json(os.path.join(self.state, 'config.json'), {}).get('suite', SUITE)

    def _configure(self, suite, nodes):
        """Keys, certificates and secrets of a new lab; config.json, written last, says that it is whole."""
        ssh_key = os.path.join(self.state, 'id_ed25519')
        if not os.path.exists(ssh_key):
            base.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'nante-lab', '-f', ssh_key])
        self._certificates()
        base.write_atomic(os.path.join(self.state, 'dns-hosts'), '', 0o644)
        images = {s: image.path(s) for s in image.SUITES if os.path.isdir(image.path(s))}
        config = {
            'instance': self.name, 'suite': suite, 'nodes': nodes, 'vlans': VLANS,
            'images': images, 'disks': base.disk_dir(self.name),
            'archives': service.archives(images.values()),
            'api_url': f'https://{service.API}/api2/json',
            'doppler_api': f'https://{service.DOPPLER}',
            'ssh_private_key': ssh_key, 'ssh_public_key': ssh_key + '.pub',
            'token_id': 'nante@pve!ci', 'token_secret': str(uuid.uuid4()),
            'doppler_token': 'dp.st.prd.' + secrets.token_urlsafe(30),
        }
        base.write_json(os.path.join(self.state, 'config.json'), config)
        return config

    def _certificates(self):
        """A CA of the lab's own and the simulators' certificate."""
        d = self.state
        new_key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
        base.run(['openssl', 'req', '-x509', *new_key, '-days', '30', '-subj', '/CN=nante lab CA',
                  '-addext', 'keyUsage=critical,keyCertSign,cRLSign',
                  '-keyout', f'{d}/ca.key', '-out', f'{d}/ca.pem'])
        base.run(['openssl', 'req', *new_key, '-subj', '/CN=pve.lab',
                  '-keyout', f'{d}/server.key', '-out', f'{d}/server.csr'])
        base.write_atomic(f'{d}/server.ext', 'subjectAltName=DNS:pve.lab,IP:192.168.10.1,IP:127.0.0.1\n'
                          'extendedKeyUsage=serverAuth\n')
        base.run(['openssl', 'x509', '-req', '-in', f'{d}/server.csr', '-CA', f'{d}/ca.pem',
                  '-CAkey', f'{d}/ca.key', '-CAcreateserial', '-days', '30',
                  '-extfile', f'{d}/server.ext', '-out', f'{d}/server.pem'])

    # Down

    def down(self):
        """Leaves nothing behind, whatever state a crash left the lab in."""
        if not os.path.isdir(self.state) and not self._remains():
            return
        with self._locked():
            config = base.read_json(os.path.join(self.state, 'config.json'), {})
            disks = config.get('disks') or base.disk_dir(self.name)
            cgroup.kill(self.cgroup)
            self.net.down()
            for path in (disks, self.state):
                base.run(['rm', '-rf', '--one-file-system', path], timeout=300)
        _inotify_as_before()
        for path in (os.path.dirname(disks), os.path.dirname(self.state),
                     '/run/systemd/nspawn', '/run/systemd'):
            with contextlib.suppress(OSError):
                os.rmdir(path)  # only where empty

    def _remains(self):
        return (os.path.isdir(self.cgroup) or os.path.isdir(base.disk_dir(self.name))
                or os.path.exists(self.net.netns_path()))

    # For people and tests

    def env(self):
        """The variables a program under test needs to find its way in this lab."""
        config = self.config()

        def text(path):
            with open(path, encoding='ascii') as f:
                return f.read()

        ca = os.path.join(self.state, 'ca.pem')
        return {
            'NANTE_LAB': self.name,
            'PROXMOX_API_URL': config['api_url'],
            'PROXMOX_API_TOKEN_ID': config['token_id'],
            'PROXMOX_API_TOKEN_SECRET': config['token_secret'],
            'NANTE_CA_CERT': text(ca),
            'NANTE_LAB_CA_FILE': ca,
            'DOPPLER_API_HOST': config['doppler_api'],
            'DOPPLER_TOKEN': config['doppler_token'],
            'SSH_PUBLIC_KEY': text(config['ssh_public_key']).strip(),
            'SSH_PRIVATE_KEY': text(config['ssh_private_key']),
            'NANTE_LAB_SSH_KEY_FILE': config['ssh_private_key'],
        }

    def find(self, name):
        """A host by its name or by the hostname it was given."""
        hosts = self.hosts()
        if hosts.exists(name):
            return name
        found = [n for n in hosts.list() if hosts.settings(n)['hostname'] == name]
        if len(found) != 1:
            raise base.LabError(f"no host '{name}'" if not found else f"several hosts '{name}'")
        return found[0]

    def known_hosts(self):
        """Writes the pinned keys of all hosts; returns the file."""
        hosts = self.hosts()
        lines = []
        for name in hosts.list():
            ip = hosts.settings(name).get('ip', '').split('/')[0]
            lines += [f'{ip} {key}' for key in hosts.host_keys(name) if ip]
        path = os.path.join(self.state, 'known_hosts')
        base.write_atomic(path, '\n'.join(lines) + '\n')
        return path

    def ssh_options(self):
        return {'IdentityFile': self.config()['ssh_private_key'],
                'UserKnownHostsFile': self.known_hosts(), 'IdentitiesOnly': 'yes'}
