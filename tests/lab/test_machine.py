"""From a clone request to a shell: the simulated Proxmox VE and the hosts together, through the API."""

import json
import os
import ssl
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

ENV = dict(os.environ, NANTE_LAB=f'mach{os.getpid()}')


def lab(*argv):
    p = subprocess.run([os.path.join(HERE, 'lab'), *argv], env=ENV, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=600)
    if p.returncode != 0:
        raise AssertionError(f"lab {' '.join(argv)}: {p.stderr.decode()}")
    return p.stdout.decode()


class Api:
    """A client inside the lab's network; its answers are (status, data or reason)."""

    def __init__(self):
        self.url = os.environ['PROXMOX_API_URL']
        self.tls = ssl.create_default_context(cadata=os.environ['NANTE_CA_CERT'])
        self.token = (f"PVEAPIToken={os.environ['PROXMOX_API_TOKEN_ID']}="
                      f"{os.environ['PROXMOX_API_TOKEN_SECRET']}")

    def ask(self, method, path, **params):
        body = urllib.parse.urlencode(params).encode() if method in ('POST', 'PUT') else None
        request = urllib.request.Request(self.url + path, data=body, method=method,
                                         headers={'Authorization': self.token})
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=60) as answer:
                return answer.status, json.load(answer)['data']
        except urllib.error.HTTPError as e:
            return e.code, e.reason

    def must(self, method, path, **params):
        status, data = self.ask(method, path, **params)
        if status != 200:
            raise AssertionError(f'{method} {path}: {status} {data}')
        return data

    def task(self, upid):
        node = upid.split(':')[1]
        return self.until(lambda: self.must('GET', f'/nodes/{node}/tasks/{upid}/status')
                          .get('exitstatus'))

    @staticmethod
    def until(look, seconds=40):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError('not within the time')


def drive():
    """The part that runs inside: makes a machine, asks its agent, takes it away."""
    api = Api()
    vm = '/nodes/pmx2/qemu/120'
    assert api.task(api.must('POST', '/nodes/pmx1/qemu/9000/clone', newid=120, name='app-dev-node1',
                             target='pmx2')) == 'OK'
    api.must('PUT', vm + '/config', ciuser='deploy', nameserver='192.168.10.1', agent='1',
             sshkeys=urllib.parse.quote(os.environ['SSH_PUBLIC_KEY'], safe=''),
             ipconfig0='ip=192.168.10.61/24,gw=192.168.10.1', net0='virtio,bridge=vmbr0,tag=10')
    assert api.task(api.must('POST', vm + '/status/start')) == 'OK'
    api.until(lambda: api.ask('POST', vm + '/agent/ping')[0] == 200)
    found = api.must('GET', vm + '/agent/network-get-interfaces')['result']
    assert '192.168.10.61' in json.dumps(found), found
    pid = api.must('POST', vm + '/agent/exec', command='hostname')['pid']
    done = api.until(lambda: (lambda s: s if s['exited'] else None)(
        api.must('GET', f'{vm}/agent/exec-status?pid={pid}')))
    assert (done['exitcode'], done['out-data']) == (0, 'app-dev-node1\n'), done
    key = api.must('GET', f'{vm}/agent/file-read?file=/etc/ssh/ssh_host_ed25519_key.pub')
    print(json.dumps({'host_key': key['content'].split()[1]}), flush=True)
    sys.stdin.readline()  # the outer part has a look
    assert api.task(api.must('POST', vm + '/status/stop')) == 'OK'
    assert api.task(api.must('DELETE', vm + '?purge=1')) == 'OK'


@unittest.skipUnless(os.geteuid() == 0, 'needs root')
class Machine(unittest.TestCase):
    def test_clone_start_agent_shell_destroy(self):
        self.addCleanup(lab, 'down')
        lab('up')
        script = 'eval "$("$0" env)" && exec "$0" exec -- "$1" "$2" drive'
        argv = ['sh', '-c', script, os.path.join(HERE, 'lab'), sys.executable, os.path.abspath(__file__)]
        with subprocess.Popen(argv, env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as p:
            line = p.stdout.readline()
            if not line:
                self.fail(p.stderr.read().decode())
            with self.subTest('the key read through the agent is the one SSH shows'):
                scanned = lab('exec', '--', 'ssh-keyscan', '-T', '5', '-t', 'ed25519', '192.168.10.61')
                self.assertIn(json.loads(line)['host_key'], scanned)
            self.assertEqual(lab('ssh', 'app-dev-node1', 'hostname; sudo -n id -un'),
                             'app-dev-node1\nroot\n')
            _, err = p.communicate(b'\n', 60)
        self.assertEqual(p.returncode, 0, err.decode())
        self.assertNotIn('app-dev-node1', lab('status'))
        log = lab('log')
        self.assertIn('/nodes/pmx1/qemu/9000/clone', log)
        secret = next(x for x in lab('env').splitlines() if 'TOKEN_SECRET' in x).split('=')[1]
        self.assertNotIn(secret, log)


if __name__ == '__main__':
    if sys.argv[1:] == ['drive']:
        drive()
    else:
        unittest.main(verbosity=2)
