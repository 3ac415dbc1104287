"""The lab itself: hosts boot, install, freeze, get cut off, lose power, reboot, and go without a trace.

Needs root; a lab of its own, so it runs beside others. Under 90 s once the image is cached."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import aptsources  # noqa: E402
import cgroup  # noqa: E402
from base import LabError, check_name  # noqa: E402
from hosts import HostError, Hosts  # noqa: E402
from instance import Lab  # noqa: E402

NAME = f'test{os.getpid()}'
NAMES = ['h1', 'h2', 'h3']
ENV = dict(os.environ, NANTE_LAB=NAME)


def lab(*argv, check=True, timeout=120, env=None):
    p = subprocess.run([os.path.join(HERE, 'lab'), *argv], env=dict(ENV, **(env or {})),
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    if check and p.returncode != 0:
        raise AssertionError(f"lab {' '.join(argv)}: exit {p.returncode}: {p.stderr.decode()}")
    return p.stdout.decode() if check else (p.returncode, p.stderr.decode())


def traces(name):
    """Everything on this machine that belongs to a lab."""
    found = [p for p in (f'/run/nante-lab/{name}', Lab(name).cgroup,
                         Lab(name).net.netns_path()) if os.path.exists(p)]
    if os.path.isdir('/run/netns'):
        found += [n for n in os.listdir('/run/netns') if n.startswith(f'{name}.')]
    disks = os.environ.get('NANTE_LAB_DIR') or '/var/tmp/nante-lab'
    found += [p for p in (os.path.join(disks, name),) if os.path.exists(p)]
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as f:
                words = f.read()
        except OSError:
            continue
        if f'/run/nante-lab/{name}/'.encode() in words or f'{name}-net'.encode() in words:
            found.append(f'process {pid} {words!r}')
    with open('/proc/self/mountinfo', encoding='utf-8') as f:
        found += [line for line in f if f'nante-lab/{name}/' in line]
    return found


def boot(names=NAMES):
    """Three hosts at 192.168.10.11… booted side by side."""
    running = [subprocess.Popen([os.path.join(HERE, 'lab'), 'host', 'new', n, f'192.168.10.1{n[1]}'],
                                env=ENV) for n in names]
    for p in running:
        if p.wait(60) != 0:
            raise AssertionError('a host does not come up')


@unittest.skipUnless(os.geteuid() == 0, 'needs root')
class Booted(unittest.TestCase):
    """Three booted hosts, shared by the tests of the class."""

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup(lab, 'down')
        lab('up', timeout=600)
        boot()
        cls.hosts = Hosts(f'/run/nante-lab/{NAME}')

    def ssh(self, name, command, timeout=60):
        return lab('ssh', name, command, timeout=timeout).strip()

    def reachable(self, name):
        ip = self.hosts.settings(name)['ip'].split('/')[0]
        check = f'exec 3<>/dev/tcp/{ip}/22 && head -c 4 <&3'
        p = subprocess.run(Lab(NAME).net.inside(['timeout', '1', 'bash', '-c', check]),
                           capture_output=True)
        return p.stdout == b'SSH-'

    def test_ssh_user_name_and_keys(self):
        keys = set()
        for n in NAMES:
            self.assertEqual(self.ssh(n, 'hostname; id -un; sudo -n id -un; cloud-init status --wait'),
                             f'{n}\ndeploy\nroot\nstatus: done')
            keys.update(self.hosts.host_keys(n))
        self.assertEqual(len(keys), 6, 'host keys are fresh per clone')

    def test_names_resolve_and_unknown_ones_fail_fast(self):
        self.assertIn('192.168.10.12', self.ssh('h1', 'getent hosts h2'))
        start = time.monotonic()
        self.assertEqual(self.ssh('h1', 'getent hosts nowhere.invalid || echo none'), 'none')
        self.assertLess(time.monotonic() - start, 3)

    def test_no_way_out(self):
        out = self.ssh('h1', 'ip route; curl -sS -m 3 http://198.51.100.1/ 2>&1 || true')
        self.assertIn('default via 192.168.10.1', out)
        self.assertRegex(out, 'curl: .*(unreachable|Could|Couldn|Failed|No route)')

        self.assertNotIn('default', lab('exec', '--', 'ip', 'route'))
        self.assertIn('192.168.20.0/24', lab('exec', '--', 'ip', 'route'))

    def test_apt_with_real_signatures(self):
        out = self.ssh('h1', 'sudo apt-get update && sudo apt-get install -y -qq tree >/dev/null 2>&1'
                       ' && tree --version', timeout=120)
        self.assertIn('InRelease', out)
        self.assertIn('tree v', out)
        self.assertNotIn('W:', out)

    def test_agent(self):
        h = self.hosts
        self.assertTrue(h.agent_ready('h1'))
        self.assertEqual(h.exec('h1', ['sh', '-c', 'cat; echo e >&2; exit 3'], b'in'),
                         (3, None, b'in', b'e\n'))
        self.assertEqual(h.exec('h1', ['sh', '-c', 'kill -15 $$'])[:2], (None, 15))
        self.assertEqual(h.exec('h1', ['sh', '-c', 'sleep 60 & sleep 60'], timeout=0.3)[:2], (None, 9))
        self.assertEqual(h.exec('h1', ['pgrep', 'sleep'])[0], 1, 'nothing is left of it')
        with self.assertRaisesRegex(HostError, 'No such file'):
            h.exec('h1', ['/no/such/program'])
        h.write_file('h1', '/root/a file', b'\0\xff\n')
        self.assertEqual(h.read_file('h1', '/root/a file'), b'\0\xff\n')
        with self.assertRaisesRegex(HostError, 'No such file'):
            h.read_file('h1', '/no/such/file')
        eth0 = next(i for i in h.interfaces('h1') if i['name'] == 'eth0')
        self.assertEqual(eth0['mac'], h.settings('h1')['mac'])
        self.assertIn({'ip': '192.168.10.11', 'prefix': 24, 'family': 'ipv4'}, eth0['addresses'])

    def test_freeze_and_thaw(self):
        lab('freeze', 'h2')
        self.assertEqual(self.hosts.state('h2'), 'frozen')
        self.assertFalse(self.hosts.agent_ready('h2'))
        self.assertFalse(self.reachable('h2'))
        with self.assertRaises(HostError):
            self.hosts.exec('h2', ['true'])
        lab('thaw', 'h2')
        self.assertTrue(self.reachable('h2'))

    def test_cut_and_join(self):
        lab('cut', 'h2')
        self.assertFalse(self.reachable('h2'))
        self.assertEqual(self.hosts.exec('h2', ['true'])[0], 0, 'the agent needs no network')
        lab('join', 'h2')
        self.hosts._await(lambda: self.reachable('h2'), 10, 'no link')

    def test_kill_keeps_the_disk(self):
        h = self.hosts
        self.ssh('h3', 'echo kept | sudo tee /var/kept')
        before = h.host_keys('h3')
        lab('kill', 'h3')
        self.assertEqual(h.state('h3'), 'stopped')
        lab('kill', 'h3')
        lab('start', 'h3')
        h.wait_ready('h3')
        self.assertEqual(self.ssh('h3', 'cat /var/kept'), 'kept')
        self.assertEqual(h.host_keys('h3'), before)
        self.assertNotEqual(lab('start', 'h3', check=False)[0], 0)

    def test_poweroff_and_reboot_from_inside(self):
        h = self.hosts
        lab('poweroff', 'h3')
        self.assertEqual(h.state('h3'), 'stopped')
        self.assertFalse(h.agent_ready('h3'))
        lab('start', 'h3')
        h.wait_ready('h3')
        boot_id = 'cat /proc/sys/kernel/random/boot_id; systemctl show -P UserspaceTimestampMonotonic'
        before, pid = self.ssh('h3', boot_id), h.init_pid('h3')
        lab('ssh', 'h3', 'sudo systemctl --no-block reboot', check=False)  # the link may drop first
        h._await(lambda: h.init_pid('h3') not in (None, pid), 20, 'no reboot')
        h.wait_ready('h3')
        self.assertNotEqual(self.ssh('h3', boot_id), before)

    def test_changed_settings_make_a_new_instance(self):
        h = self.hosts
        h.create('fresh')
        self.addCleanup(h.destroy, 'fresh')
        settings = dict(h.settings('h1'), hostname='first', ip='192.168.20.31/24', mac=None,
                        gateway='192.168.20.1', nameservers=['192.168.20.1'], vlan=20,
                        searchdomain='lab.example')
        h.configure('fresh', settings)
        h.start('fresh')
        h.wait_ready('fresh')
        self.assertEqual(self.ssh('fresh', 'hostname -f'), 'first.lab.example')
        self.assertIn('192.168.10.11', self.ssh('first', 'getent hosts h1'))
        self.assertTrue(self.reachable('fresh'))
        keys, ident = h.host_keys('fresh'), h.read_file('fresh', '/etc/machine-id')
        h.configure('fresh', dict(settings, hostname='second'))
        h.reboot('fresh')
        h.wait_ready('fresh')
        self.assertEqual(self.ssh('second', 'hostname'), 'second')
        self.assertTrue(set(keys).isdisjoint(h.host_keys('fresh')))
        self.assertNotEqual(h.read_file('fresh', '/etc/machine-id'), ident)
        h.shutdown('fresh')
        h.clone('fresh', 'copy')
        self.addCleanup(h.destroy, 'copy')
        h.configure('copy', dict(settings, hostname='third', ip='192.168.20.32/24'))
        h.start('copy')
        h.wait_ready('copy')
        self.assertTrue(set(h.host_keys('copy')).isdisjoint(h.host_keys('fresh')))

    def test_dhcp(self):
        h = self.hosts
        h.create('leased')
        self.addCleanup(h.destroy, 'leased')
        h.configure('leased', {'ip': 'dhcp', 'vlan': 20, 'user': 'deploy'})
        h.start('leased')

        def address():
            return [a['ip'] for i in h.interfaces('leased') for a in i['addresses']
                    if a['ip'].startswith('192.168.20.2')]
        h._await(address, 15, 'no lease')

    def test_inventory_and_env(self):
        rows = lab('inventory').splitlines()
        self.assertTrue(any(r.startswith('h1 ansible_host=192.168.10.11 ansible_user=deploy '
                                         'ansible_ssh_private_key_file=/run/') for r in rows))
        # A shell, not this test, is the judge of the quoting: the key and the CA have several lines.
        out = subprocess.run(['sh', '-c', f'eval "$({shlex.quote(HERE)}/lab env)"; echo "$SSH_PRIVATE_KEY"'
                              ' | ssh-keygen -y -f /dev/stdin; echo "$NANTE_CA_CERT" | openssl x509'
                              ' -noout -subject'], env=ENV, capture_output=True, check=True).stdout
        self.assertIn(b'ssh-ed25519 ', out)
        self.assertIn(b'nante lab CA', out)

    def test_errors_say_what_is_wrong(self):
        for argv, words in ((['ssh', 'nobody'], "no host 'nobody'"),
                            (['host', 'new', 'h1', '192.168.10.11'], "host 'h1' exists already"),
                            (['host', 'new', 'h9', '10.0.0.1'], '192.168.VLAN.x'),
                            (['host', 'new', 'H_9', '192.168.10.9'], "bad host name 'H_9'"),
                            (['up', '--suite', 'sid'], "unknown suite 'sid'"),
                            (['up', '--nodes', 'one'], 'take it down first')):
            code, err = lab(*argv, check=False)
            self.assertEqual(code, 1, argv)
            self.assertIn(words, err)
            self.assertNotIn('Traceback', err)
        with self.assertRaisesRegex(HostError, 'unknown settings: colour'):
            self.hosts.configure('h1', {'colour': 'red'})

    def test_up_again_restarts_what_died(self):
        pid = cgroup.pids(os.path.join(Lab(NAME).cgroup, 'services', 'dnsmasq'))[0]
        inits = [self.hosts.init_pid(n) for n in ('h1',)]
        os.kill(pid, signal.SIGKILL)
        lab('up')
        self.assertNotEqual(cgroup.pids(os.path.join(Lab(NAME).cgroup, 'services', 'dnsmasq')), [pid])
        self.assertIn('192.168.10.12', self.ssh('h1', 'getent hosts h2'))
        self.assertEqual([self.hosts.init_pid(n) for n in ('h1',)], inits)


@unittest.skipUnless(os.geteuid() == 0, 'needs root')
class Traces(unittest.TestCase):
    def setUp(self):
        self.addCleanup(lab, 'down')

    def test_down_and_down_again(self):
        lab('up', timeout=600)
        boot(['h1'])
        self.assertTrue(traces(NAME))
        lab('down')
        self.assertEqual(traces(NAME), [])
        lab('down')

    def test_down_after_a_crash(self):
        """Supervisor and services killed, configuration lost, a host frozen: down still cleans."""
        lab('up', timeout=600)
        boot(['h1', 'h2', 'h3'])
        cg = Lab(NAME).cgroup
        for part in ('hosts/h1/supervisor', 'hosts/h2/run/supervisor', 'services/mirror'):
            for pid in cgroup.pids(os.path.join(cg, part)):
                os.kill(pid, signal.SIGKILL)
        lab('freeze', 'h3')
        os.unlink(f'/run/nante-lab/{NAME}/config.json')
        lab('down')
        self.assertEqual(traces(NAME), [])

    def test_two_labs_with_equal_addresses(self):
        other = NAME + 'b'
        self.addCleanup(lab, 'down', env={'NANTE_LAB': other})
        for name in (NAME, other):
            lab('up', timeout=600, env={'NANTE_LAB': name})
            lab('host', 'new', 'same', '192.168.10.11', env={'NANTE_LAB': name})
        for name in (NAME, other):
            lab('ssh', 'same', f'echo {name} > mark', env={'NANTE_LAB': name})
        for name in (NAME, other):
            self.assertEqual(lab('ssh', 'same', 'cat mark', env={'NANTE_LAB': name}).strip(), name)
        lab('down')
        self.assertEqual(lab('ssh', 'same', 'cat mark', env={'NANTE_LAB': other}).strip(), other)
        self.assertEqual(traces(NAME), [])

    @unittest.skipUnless(shutil.which('docker') and subprocess.run(
        ['docker', 'info'], capture_output=True).returncode == 0, 'no Docker engine')
    def test_docker_network(self):
        lab('up', timeout=600)
        boot(['h1'])
        name = lab('docker-network').strip()
        self.assertEqual(lab('docker-network').strip(), name)
        code, err = lab('docker-network', check=False, env={'NANTE_LAB': NAME + 'x'})
        self.assertEqual((code, 'is not up' in err), (1, True))
        # No image can be had in a test: the shell and its libraries make one.
        shell = shutil.which('bash')
        libs = [w for w in subprocess.run(['ldd', shell], capture_output=True, check=True)
                .stdout.decode().split() if w.startswith('/')]
        with subprocess.Popen(['tar', '-chf', '-', shell, *libs], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as tar:
            subprocess.run(['docker', 'import', '-', name], stdin=tar.stdout, check=True,
                           stdout=subprocess.DEVNULL)
        self.addCleanup(subprocess.run, ['docker', 'rmi', '-f', name], stdout=subprocess.DEVNULL)
        look = 'exec 3<>/dev/tcp/192.168.10.11/22 && read -r banner <&3 && echo "$banner"'
        out = subprocess.run(['docker', 'run', '--rm', '--network', name, name, shell, '-c', look],
                             capture_output=True, timeout=60)
        self.assertIn(b'SSH-2.0', out.stdout, out.stderr)
        held = subprocess.run(['docker', 'run', '-dit', '--network', name, name, shell], check=True,
                              capture_output=True).stdout.decode().strip()
        self.addCleanup(subprocess.run, ['docker', 'rm', '-f', held], stdout=subprocess.DEVNULL)
        lab('down')
        left = subprocess.run(['docker', 'network', 'ls', '-q', '-f', f'name={name}'],
                              capture_output=True, check=True).stdout
        self.assertEqual(left, b'')
        self.assertEqual(traces(NAME), [])


class WithoutRoot(unittest.TestCase):
    def test_apt_sources(self):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(root + '/etc/apt/sources.list.d')
            with open(root + '/etc/apt/sources.list', 'w', encoding='ascii') as f:
                f.write('# deb http://no.example/debian x main\n'
                        'deb [arch=amd64 signed-by=/k] https://a.example/debian/ s main\n')
            with open(root + '/etc/apt/sources.list.d/b.sources', 'w', encoding='ascii') as f:
                f.write('Types: deb deb-src\n# note\nURIs: http://b.example/debian-security\n'
                        'Suites: s-security\n t\nComponents: main\n\n'
                        'Types: deb-src\nURIs: http://c.example/\nSuites: x\n\n'
                        'Types: deb\nEnabled: no\nURIs: http://d.example/\nSuites: x\n')
            self.assertEqual(aptsources.read(root), [
                ('https://a.example/debian', 's'), ('http://b.example/debian-security', 's-security'),
                ('http://b.example/debian-security', 't')])
            self.assertEqual(aptsources.debian_lines('new', root)[2],
                             'deb http://b.example/debian-security new-security main')

    def test_cloud_init_command(self):
        script = os.path.join(HERE, 'image', 'cloud-init')

        def ask(folder, *argv):
            p = subprocess.run(['sh', script, 'status', *argv], env=dict(os.environ, CLOUD_DIR=folder),
                               capture_output=True, timeout=10)
            return p.returncode, p.stdout.decode()
        with tempfile.TemporaryDirectory() as d:
            self.assertEqual(ask(d + '/none'), (0, 'status: disabled\n'))
            self.assertEqual(ask(d), (0, 'status: running\n'))
            waiting = subprocess.Popen(['sh', script, 'status', '--wait'], stdout=subprocess.PIPE,
                                       env=dict(os.environ, CLOUD_DIR=d))
            open(d + '/boot-finished', 'w', encoding='ascii').close()
            self.assertEqual(waiting.communicate(timeout=10)[0], b'status: done\n')
            with open(d + '/errors', 'w', encoding='ascii') as f:
                f.write('module "runcmd" failed\n')
            code, out = ask(d, '--long', '--format', 'json')
            self.assertEqual(code, 1)
            self.assertIn(r'"errors": ["module \"runcmd\" failed"]', out)
            self.assertEqual(ask(d, '--wait', '--long')[1],
                             'status: error\ndetail: lab\nerrors:\n\t- module "runcmd" failed\n')

    def test_names_are_checked(self):
        for name in ('', '-a', 'a_b', 'A', 'a' * 64, '../x', 'a.b'):
            with self.assertRaises(LabError, msg=name):
                check_name(name)


if __name__ == '__main__':
    unittest.main(verbosity=2)
