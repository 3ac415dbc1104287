"""A machine misbehaves during a run: its link, its SSH service, its disk, apt's lock, sudo, its boot, its host key.
The run converges, or ends with the cause, the machine and what to do; with the fault gone a plain run converges."""

import time
import unittest

from e2e import LATER, faults, lab, run, ssh, writes
from light import NAME, HostCase, inputs, status

COUNT = """
- name: count
  ansible.builtin.shell: sleep 6; echo x >>/tmp/count
"""
COPY = """
- name: fill
  ansible.builtin.copy: {content: "{{ 'x' * 3000000 }}", dest: /srv/big, mode: '0644'}
  become: true
"""
TREE = """
- name: install
  ansible.builtin.apt: {name: tree, lock_timeout: LIMIT, update_cache: true}
  become: true
"""
BECOME = """
- name: become
  ansible.builtin.copy: {content: "1\\n", dest: /etc/become, mode: '0644'}
  become: true
"""
ROLES = {"count": COUNT, "fill": COPY, "become": BECOME,
         "patient": TREE.replace("LIMIT", "60"), "hasty": TREE.replace("LIMIT", "2")}
# Holds dpkg's lock as another apt does.
HOLD = ("import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
        " time.sleep({seconds})")
NO_AGENT = status(500, "QEMU guest agent is not running", "/agent/", count=0)


class Hosts(HostCase):
    roles = ROLES

    def small(self, place, size):
        """A file system of that SIZE at PLACE, until the test ends."""
        ssh(NAME, f"mkdir -p {place}; mount -t tmpfs -o size={size},mode=1777 tmpfs {place}")
        self.addCleanup(ssh, NAME, f"umount -l {place}")

    def test_01_connection_reset_in_the_middle_of_a_task(self):
        code, log = self.in_the_middle("count", lambda: ssh(NAME, "pkill -o -f 'sshd: deploy@notty'", check=False))
        self.assertEqual(code, 0, log[-3000:])
        self.assertIn(f"{NAME}: connection lost", log)
        self.assertIn(f"{NAME}: connected again", log)
        self.assertEqual(ssh(NAME, "cat /tmp/count"), "x")

    def test_02_link_cut_and_joined_in_the_middle_of_a_task(self):
        def act():
            lab("cut", NAME)
            time.sleep(4)
            lab("join", NAME)
        code, log = self.in_the_middle("count", act)
        self.assertEqual(code, 0, log[-3000:])
        self.assertEqual(ssh(NAME, "cat /tmp/count"), "x")

    def test_03_ssh_refused_at_first(self):
        ssh(NAME, f"{LATER}=4 systemctl start ssh; systemctl stop ssh.socket ssh 2>/dev/null; true")
        self.good(self.play(""))

    def test_04_ssh_refused(self):
        ssh(NAME, f"{LATER}=20 systemctl start ssh; systemctl stop ssh.socket ssh 2>/dev/null; true")
        self.bad(self.play("", connect_timeout="3"), 4, f"host {NAME}", "Connection refused",
                 "is its SSH service running")

    def test_05_sudo_refused(self):
        ssh(NAME, f"mkdir /root/sudoers; mv /etc/sudoers.d/* /root/sudoers/; {LATER}=20"
                  " sh -c 'mv /root/sudoers/* /etc/sudoers.d/; rmdir /root/sudoers'")
        self.bad(self.play("become"), 1, f"host {NAME}", "cannot become root", "without a password")

    def test_06_disk_full(self):
        self.small("/srv", "1m")
        self.bad(self.play("fill"), 1, f"host {NAME}", "fill", "No space left on device")
        self.assertEqual(ssh(NAME, "ls -A /srv"), "")
        self.doCleanups()
        self.good(self.play("fill"), changed="true")

    def test_07_disk_full_where_packages_go(self):
        self.small("/var/cache/apt/archives", "8k")
        self.bad(self.play("patient"), 1, f"host {NAME}", "install", "enough free space")

    def test_08_no_room_for_the_agent(self):
        for place in ("/home/deploy/.cache", "/var/tmp", "/tmp", "/run/user"):
            self.small(place, "1m")
        self.bad(self.play(""), 4, f"host {NAME}", "no space left", "df -h")
        self.doCleanups()
        self.good(self.play(""))

    def test_09_apt_locked_for_a_while(self):
        ssh(NAME, f"systemd-run --unit=hold python3 -c \"{HOLD.format(seconds=6)}\"")
        self.good(self.play("patient"), changed="true")

    def test_10_apt_locked_for_ever(self):
        ssh(NAME, "apt-get remove -y tree", check=False)  # there when the test before this one ran
        ssh(NAME, f"systemd-run --unit=hold python3 -c \"{HOLD.format(seconds=600)}\"")
        self.bad(self.play("hasty"), 1, f"host {NAME}", "install", "lock", "python3")
        ssh(NAME, "systemctl stop hold")
        self.good(self.play("hasty"), changed="true")

    def test_11_never_boots(self):
        faults(NO_AGENT)
        lab("cut", NAME)
        done = self.play("", connect_timeout="4")
        self.bad(done, 1, f"machine {NAME}", "neither the guest agent nor SSH at 192.168.20.10 port 22 answers",
                 "look at the machine's console in Proxmox VE")
        faults()
        lab("join", NAME)
        self.good(self.play(""))

    def test_12_first_contact_is_kept_and_compared(self):
        name, address = "bare-test", "192.168.20.11"
        faults(NO_AGENT)
        done = self.good(run(inputs("bare", address, connect_timeout="12"), self.workspace), changed="true")
        self.assertIn(f"machine {name} has no guest agent that could tell its host key", done.said)
        asked = len(writes())
        again = self.good(run(inputs("bare", address), self.workspace), changed="false")
        self.assertNotIn("has no guest agent", again.said)
        self.assertEqual(writes()[asked:], [])
        ssh(name, "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key;"
                  " systemctl restart ssh", check=False)
        done = run(inputs("bare", address), self.workspace)
        self.bad(done, 4, f"host {name}", "the host key of 192.168.20.11 is not the one known", "nante-host-key")
        faults()
        self.good(run(inputs("bare", address), self.workspace))  # the agent tells the new one


if __name__ == "__main__":
    unittest.main()
