"""The lab on a machine of another kind: PID 1 is systemd, cgroups are unified, nothing is installed.

That machine is a host of the lab: need.sh installs there, an inner lab comes up and boots a host.
(Where this machine is of that kind itself, test_hosts.py says the same; this one then says it twice.)"""

import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import image  # noqa: E402

ENV = dict(os.environ, NANTE_LAB=f'nest{os.getpid()}')
SCRIPT = r'''
set -eu
[ "$(cat /proc/1/comm)" = systemd ]
[ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]
. /opt/lib.sh
. /opt/lab/need.sh
need_lab
need_lab  # a second time: nothing to do
mount -t tmpfs tmpfs /var/tmp  # an overlay cannot be the upper layer of another
export XDG_CACHE_HOME=/var/tmp/cache NANTE_LAB_OFFLINE=1
cd /opt/lab
tree=$(python3 -c "import image; print(image.path('bookworm'))")
mkdir -p "$tree"
tar -C "$tree" -xf /opt/image.tar
./lab up
./lab host new inner 192.168.10.51
./lab ssh inner 'hostname; sudo -n id -un; systemctl is-system-running --wait; sudo systemctl reboot' </dev/null || true
./lab kill inner
./lab start inner
./lab down
! find /run/nante-lab /var/tmp/nante-lab /sys/fs/cgroup/nante-lab-nante /run/netns/* 2>/dev/null | grep .
echo clean
'''


def lab(*argv, **options):
    return subprocess.run([os.path.join(HERE, 'lab'), *argv], env=ENV, check=True, timeout=300,
                          **options)


@unittest.skipUnless(os.geteuid() == 0, 'needs root')
class Nested(unittest.TestCase):
    def pour(self, folder, command, *options):
        """Feeds a folder's tar to a command on the outer host."""
        with subprocess.Popen(['tar', '-C', folder, *options, '-cf', '-', '.'],
                              stdout=subprocess.PIPE) as tar:
            lab('ssh', 'outer', command, stdin=tar.stdout)
        self.assertEqual(tar.returncode, 0)

    def test_systemd_and_unified_cgroups(self):
        self.addCleanup(lab, 'down')
        lab('up')
        lab('host', 'new', 'outer', '192.168.10.5')
        self.pour(HERE, 'sudo mkdir /opt/lab && sudo tar -C /opt/lab -xf -',
                  '--exclude=__pycache__', '--exclude=pve', '--exclude=doppler.py')
        with open(os.path.join(HERE, '..', 'lib.sh'), 'rb') as f:
            lab('ssh', 'outer', 'sudo tee /opt/lib.sh >/dev/null', stdin=f)
        self.pour(image.path('bookworm'), 'sudo tee /opt/image.tar >/dev/null')
        lab('ssh', 'outer', 'sudo tee /opt/script >/dev/null', input=SCRIPT.encode())
        p = subprocess.run([os.path.join(HERE, 'lab'), 'ssh', 'outer', 'sudo sh /opt/script'],
                           env=ENV, stdin=subprocess.DEVNULL, capture_output=True, timeout=200)
        words = p.stdout.decode() + p.stderr.decode()
        self.assertEqual(p.returncode, 0, words)
        self.assertIn('inner\nroot\nrunning\n', words)
        self.assertTrue(p.stdout.endswith(b'clean\n'), words)


if __name__ == '__main__':
    unittest.main(verbosity=2)
