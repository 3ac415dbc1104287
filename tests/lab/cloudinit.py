"""Applies the settings of a cloud-init drive to a host's tree, right before it boots.

Follows what Proxmox VE hands to cloud-init: a changed instance-id (a hash of the settings) makes
the host a new one (fresh host keys and machine-id, hostname, user, keys); the network is written
at every boot, and so is /etc/hosts (`manage_etc_hosts: true`), which wipes foreign lines."""

import hashlib
import json
import os
import shutil
import subprocess

GUEST_KEYS = ('hostname', 'user', 'sshkeys', 'ip', 'gateway', 'nameservers', 'searchdomain', 'mac')
INSTANCE = 'var/lib/cloud/instance'


def instance_id(settings):
    if settings.get('instance_id'):
        return str(settings['instance_id'])
    seen = {k: settings.get(k) for k in GUEST_KEYS}
    return hashlib.sha1(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def _put(root, path, text, mode=0o644):
    """Writes a file of the guest. A link there is replaced, never followed out of the tree."""
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    if os.path.lexists(full):
        os.unlink(full)
    fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(fd, 'w', encoding='utf-8') as f:
        f.write(text)
    os.chmod(full, mode)


def _chroot(root, argv):
    subprocess.run(['chroot', root] + argv, check=True, stdin=subprocess.DEVNULL,
                   env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8'})


def _network(root, s):
    lines = ['[Match]', f"MACAddress={s['mac']}", '[Network]', 'IPv6AcceptRA=no']
    if s.get('ip') == 'dhcp':
        lines.append('DHCP=ipv4')
    elif s.get('ip'):
        lines.append(f"Address={s['ip']}")
        if s.get('gateway'):
            lines.append(f"Gateway={s['gateway']}")
    _put(root, 'etc/systemd/network/10-cloud-init.network', '\n'.join(lines) + '\n')
    resolv = [f'nameserver {n}' for n in s.get('nameservers') or []]
    if s.get('searchdomain'):
        resolv.append(f"search {s['searchdomain']}")
    _put(root, 'etc/resolv.conf', '\n'.join(resolv) + '\n')


def _hosts(root, s):
    name = s['hostname']
    fqdn = f"{name}.{s['searchdomain']} " if s.get('searchdomain') else ''
    _put(root, 'etc/hosts', f'127.0.1.1 {fqdn}{name}\n127.0.0.1 localhost\n\n'
         '::1 localhost ip6-localhost ip6-loopback\n'
         'ff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n')


def _user(root, s):
    user = s['user']
    with open(os.path.join(root, 'etc/passwd'), encoding='utf-8') as f:
        known = {line.split(':')[0]: line.split(':') for line in f}
    if user not in known:
        _chroot(root, ['useradd', '-m', '-s', '/bin/bash', '-G', 'adm,sudo', '-p', '*', user])
    if user != 'root':
        _put(root, 'etc/sudoers.d/90-cloud-init-users', f'{user} ALL=(ALL) NOPASSWD:ALL\n', 0o440)
    else:  # a container: its one user is root, with keys
        _put(root, 'etc/ssh/sshd_config.d/05-root.conf', 'PermitRootLogin prohibit-password\n')
    keys = [k.strip() for k in s.get('sshkeys') or [] if k.strip()]
    if keys:
        home = (known[user][5] if user in known else f'/home/{user}').lstrip('/')
        _put(root, f'{home}/.ssh/authorized_keys', '\n'.join(keys) + '\n', 0o600)
        os.chmod(os.path.join(root, home, '.ssh'), 0o700)
        _chroot(root, ['chown', '-R', f'{user}:', f'/{home}/.ssh'])


def _identity(root, s):
    """What makes this machine itself and no other clone."""
    _put(root, 'etc/machine-id', os.urandom(16).hex() + '\n', 0o444)
    _put(root, 'etc/hostname', s['hostname'] + '\n')
    for kind in ('ed25519', 'ecdsa', 'rsa'):
        key = os.path.join(root, f'etc/ssh/ssh_host_{kind}_key')
        for path in (key, key + '.pub'):
            if os.path.lexists(path):
                os.unlink(path)
        if kind != 'rsa':  # a second of CPU per host, for a key nobody needs
            subprocess.run(['ssh-keygen', '-q', '-t', kind, '-N', '', '-f', key,
                            '-C', f"root@{s['hostname']}"], check=True, stdin=subprocess.DEVNULL)


def apply(root, settings):
    """Brings the tree in line with the settings (a dict as Hosts.configure takes it, complete)."""
    _network(root, settings)
    _hosts(root, settings)
    marker = os.path.join(root, 'var/lib/cloud/data/instance-id')
    current = instance_id(settings)
    if os.path.exists(marker):
        with open(marker, encoding='ascii') as f:
            if f.read().strip() == current:
                return
    shutil.rmtree(os.path.join(root, INSTANCE), ignore_errors=True)
    os.makedirs(os.path.join(root, INSTANCE))
    _identity(root, settings)
    if settings.get('user'):
        _user(root, settings)
    _put(root, 'var/lib/cloud/data/instance-id', current + '\n')
    _put(root, INSTANCE + '/boot-finished', '')
