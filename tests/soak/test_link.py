"""A machine's link goes away for longer than the connection lives: what takes minutes of test_host_faults.py."""

import time
import unittest

from e2e import lab, ssh
from light import NAME, HostCase

ROLES = {"long": """
- name: count
  ansible.builtin.shell: sleep 90; echo x >>/tmp/count
""", "become": """
- name: become
  ansible.builtin.copy: {content: "1\\n", dest: /etc/become, mode: '0644'}
  become: true
"""}


class Link(HostCase):
    roles = ROLES

    def test_1_link_cut_until_the_connection_is_given_up(self):
        def act():
            lab("cut", NAME)
            time.sleep(55)
            lab("join", NAME)
        code, log = self.in_the_middle("long", act)
        self.assertEqual(code, 0, log[-3000:])
        self.assertIn(f"{NAME}: connection lost", log)
        self.assertIn(f"{NAME}: connected again", log)
        self.assertEqual(ssh(NAME, "cat /tmp/count"), "x")

    def test_2_link_cut_for_good(self):
        code, log = self.in_the_middle("long", lambda: lab("cut", NAME))
        self.assertEqual(code, 4, log[-3000:])
        for word in (NAME, "count", "unreachable", "is the machine up"):
            self.assertIn(word, log)
        lab("join", NAME)
        self.good(self.play("become"))


if __name__ == "__main__":
    unittest.main()
