"""The role etcd alone, with TLS: whom it answers, where keys are, what becomes of certificates that are lost or end, a
fourth member, a first run that is killed over and over; and a cluster that was made without TLS."""

import json
import re
import unittest

import killed
from cluster import Cluster
from e2e import Case, lab, run, ssh

PKI = "/etc/etcd/pki"
# Signs the certificates of a host anew, with an end that has passed.
EXPIRE = f"""
set -eu
umask 077
cd {PKI}
mkdir /root/x
: >/root/x/db
cat >/root/x/conf <<'X'
[ca]
default_ca = c
[c]
database = /root/x/db
new_certs_dir = /root/x
default_md = sha256
policy = p
rand_serial = yes
unique_subject = no
copy_extensions = copy
[p]
organizationName = supplied
organizationalUnitName = optional
commonName = optional
X
for n in server peer root client; do
  openssl x509 -x509toreq -in $n.pem -signkey $n.pem -copy_extensions copy -out /root/x/csr
  openssl ca -batch -config /root/x/conf -cert ca.pem -keyfile ca.key -in /root/x/csr -notext -out /root/x/crt -startdate 20250101000000Z -enddate 20260101000000Z
  {{ sed -n '/BEGIN.*KEY/,/END.*KEY/p' $n.pem; cat /root/x/crt; }} >/root/x/new
  cat /root/x/new >$n.pem
done
rm -r /root/x
"""


class Etcds(Cluster):
    """Small machines with etcd and nothing else."""

    def __init__(self, app, first):
        super().__init__(app, first)
        self.settings = {"ansible_roles": "etcd", "cpu_cores": "1", "ram_mb": "512", "disk_gb": "10G"}

    def processes(self, name):
        return ssh(name, "p=$(systemctl show -P MainPID etcd); echo $p $(cut -d' ' -f22 /proc/$p/stat)")

    def all_processes(self):
        return {n: self.processes(n) for n in self.names}

    def health(self):
        """How many members are healthy voters."""
        endpoints = ",".join(a + ":2379" for a in self.addresses)
        said = ssh(self.names[0], f"etcdctl --endpoints={endpoints} endpoint health 2>&1; etcdctl member list", check=False)
        return min(said.count("is healthy"), len(re.findall(r", started, .*, false$", said, re.M)))

    def authorities(self):
        """The different (key, certificate) of the authority that there are."""
        return {ssh(n, f"sha256sum <{PKI}/ca.key; sha256sum <{PKI}/ca.pem") for n in self.names}


def extra(**values):
    return {"ansible_extra_vars": json.dumps(values)}


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Etcds("vault", 101)
        cls.first = cls.cluster.run(command="provision")

    def setUp(self):
        self.good(self.first)

    def whole(self):
        self.assertEqual(self.cluster.health(), len(self.cluster.names))
        self.assertEqual(len(self.cluster.authorities()), 1)
        self.good(self.cluster.run(), changed="false")

    def test_1_a_second_run_changes_nothing(self):
        before = self.cluster.all_processes()
        self.whole()
        self.assertEqual(self.cluster.all_processes(), before)

    def test_2_only_who_shows_a_certificate_is_answered(self):
        asking, asked = self.cluster.names[0], self.cluster.addresses[1]
        for port in (2379, 2380):
            for url in (f"http://{asked}:{port}", f"-k https://{asked}:{port}"):
                said = ssh(asking, f"curl -sS -m 5 {url}/version 2>&1; echo rc $?")
                self.assertNotIn("rc 0", said)
                self.assertNotIn("etcdserver", said)
        with_cert = f"curl --http1.1 -sS -m 5 --cacert {PKI}/ca.pem --cert {PKI}/%s.pem --key {PKI}/%s.pem https://{asked}:%s/version 2>&1; true"
        self.assertIn("etcdserver", ssh(asking, with_cert % ("client", "client", 2379)))
        # Members among themselves: only their own kind.
        self.assertIn("etcdserver", ssh(asking, with_cert % ("peer", "peer", 2380)))
        for name in ("client", "root"):
            self.assertNotIn("etcdserver", ssh(asking, with_cert % (name, name, 2380)))
        # One of another authority.
        said = ssh(asking, "cd /tmp && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.pem -subj /O=etcd/CN=root -days 2 2>/dev/null >own.crt"
                   f" && curl -sS -m 5 -k --cert own.crt --key own.pem https://{asked}:2379/version 2>&1; rm -f own.*")
        self.assertNotIn("etcdserver", said)
        # What is plain on the host itself says that it is healthy, and no more.
        self.assertIn('"health":"true"', ssh(asking, "curl -s http://localhost:2379/health"))
        self.assertIn("404", ssh(asking, "curl -s -o /dev/null -w '%{http_code}' -d '{\"key\": \"YQ==\"}' http://localhost:2379/v3/kv/range"))

    def test_2_plain_commands(self):
        """As root, as a user with sudo, and from processes without a login; not for anybody else."""
        endpoints = ",".join(a + ":2379" for a in self.cluster.addresses)
        commands = (f"(etcdctl endpoint health; ETCDCTL_API=3 etcdctl --endpoints={endpoints} endpoint health;"
                    f" ETCDCTL_ENDPOINTS={endpoints} etcdctl endpoint health) 2>&1")
        for name in self.cluster.names:
            for said in (lab("ssh", name, commands), ssh(name, commands),
                         ssh(name, f"nsenter -t 1 -a env -u PATH -u HOME sh -c '{commands}'"),
                         ssh(name, f"systemd-run --quiet --pipe --wait sh -c '{commands}'")):
                self.assertEqual(said.count("is healthy"), 7, said)
        self.assertNotIn("is healthy", ssh(self.cluster.names[0], "runuser -u nobody -- etcdctl endpoint health 2>&1", check=False))
        self.assertNotEqual(ssh(self.cluster.names[0], "runuser -u nobody -- cat /etc/etcd/pki/client.pem 2>&1", check=False).count("KEY"), 2)

    def test_3_keys_are_where_they_belong(self):
        for name in self.cluster.names:
            listing = ssh(name, f"stat -c '%n %a %U' {PKI} {PKI}/* {PKI}/.[!.]* 2>/dev/null; true").replace(PKI, "").split("\n")
            self.assertEqual(listing, [" 755 root", "/ca.key 600 root", "/ca.pem 644 root", "/client.pem 600 root",
                                       "/peer.pem 600 etcd", "/root.pem 600 root", "/server.pem 600 etcd"])
            # Nowhere else on the host, nor in what it logged; the lines of the keys, made there.
            ssh(name, f"cd /root && umask 077 && cat {PKI}/*.key {PKI}/*.pem | sed -n '/BEGIN.*KEY/,/END.*KEY/p' | grep -v -- ----- >needles && test $(wc -l <needles) -ge 15")
            grep = "grep -rlaF -f /root/needles"
            self.assertEqual(ssh(name, grep + " /etc /home /opt /run /srv /tmp /usr/local /var 2>/dev/null | grep -v ^/etc/etcd/pki/; true"), "")
            self.assertEqual(ssh(name, grep + " /root --exclude=needles; journalctl --no-pager -o cat | grep -aF -f /root/needles; true"), "")
            needles = ssh(name, "cat /root/needles; rm /root/needles").split()
            for text in (self.first.log, self.first.summary, self.first.read("output"), self.first.read("state")):
                self.assertEqual([n for n in needles if n in text], [])
        # On the runner neither.
        for where in ("home", "temp", "workspace"):
            for path in (self.first.directory / where).rglob("*"):
                if path.is_file():
                    self.assertEqual([n for n in needles if n in path.read_text(errors="replace")], [], path)

    def test_4_a_host_that_lost_its_certificates(self):
        """While its member runs, and one that was stopped: they come back, from the same authority, without a restart."""
        name, other = self.cluster.names[1], self.cluster.names[0]
        before, authority = self.cluster.all_processes(), self.cluster.authorities()
        ssh(name, "rm -rf /etc/etcd /usr/local/bin/etcdctl")
        self.good(self.cluster.run(), changed="true")
        self.assertEqual(self.cluster.all_processes(), before)
        ssh(other, "systemctl stop etcd; rm -rf /etc/etcd")
        self.good(self.cluster.run(), changed="true")
        self.assertEqual({n: p for n, p in self.cluster.all_processes().items() if n != other}, {n: p for n, p in before.items() if n != other})
        self.assertEqual(self.cluster.authorities(), authority)
        self.whole()

    def test_5_certificates_are_renewed(self):
        before = self.cluster.all_processes()
        served = "echo | openssl s_client -connect {}:2379 2>/dev/null | openssl x509 -noout -serial -enddate"
        shown = {n: ssh(n, served.format(self.cluster.address(n))) for n in self.cluster.names}
        self.good(self.cluster.run(**extra(etcd_cert_days=20)), changed="false")
        self.good(self.cluster.run(**extra(etcd_cert_days=20, etcd_renew_days=1100)), changed="true")
        self.assertIn("a run of the role renews them", self.good(self.cluster.run(command="verify")).said)
        self.good(self.cluster.run(), changed="true")
        now = {n: ssh(n, served.format(self.cluster.address(n))) for n in self.cluster.names}
        for name in self.cluster.names:
            self.assertNotEqual(now[name].split()[0], shown[name].split()[0])
        self.assertEqual(self.cluster.all_processes(), before)
        self.whole()

    def test_6_certificates_that_ended(self):
        """Everywhere, and a member was restarted meanwhile: nobody answers anybody, and a run mends it."""
        authority = self.cluster.authorities()
        for name in self.cluster.names:
            ssh(name, EXPIRE)
        ssh(self.cluster.names[2], "systemctl restart --no-block etcd")
        self.assertEqual(self.cluster.run(command="verify").code, 1)
        self.good(self.cluster.run(), changed="true")
        self.assertEqual(self.cluster.authorities(), authority)
        self.whole()

    def test_7_a_fourth_joins_and_leaves(self):
        before, authority = self.cluster.all_processes(), self.cluster.authorities()
        self.cluster.numbers = [1, 2, 3, 4]
        self.good(self.cluster.run(), changed="true")
        self.assertEqual(self.cluster.authorities(), authority)
        self.assertEqual({n: p for n, p in self.cluster.all_processes().items() if n in before}, before)
        self.whole()
        self.cluster.numbers = [1, 2, 3]
        self.good(self.cluster.run(allow_destroy="true"), changed="true")
        self.assertEqual(self.cluster.all_processes(), before)
        self.whole()

    def test_8_a_member_that_lost_everything(self):
        """Data and certificates: it leaves and joins anew, and keeps to the authority."""
        authority = self.cluster.authorities()
        ssh(self.cluster.names[0], "systemctl stop etcd; rm -rf /var/lib/etcd/cluster /etc/etcd /etc/default/etcd")
        self.good(self.cluster.run(), changed="true")
        self.assertEqual(self.cluster.authorities(), authority)
        self.whole()

    def test_9_no_authority_is_left(self):
        """A run that needs nothing from it goes on; one that does says so, and changes nothing."""
        for name in self.cluster.names:
            ssh(name, f"mv {PKI}/ca.key /root/")
        self.good(self.cluster.run(), changed="false")
        ssh(self.cluster.names[2], f"mv {PKI}/client.pem /root/")
        done = self.cluster.run()
        self.assertEqual(done.code, 1, done.said[-2000:])
        self.assertIn(f"({PKI}/ca.key) is on no host within reach", done.said)
        self.assertEqual(done.outputs["changed"], "false")
        ssh(self.cluster.names[1], f"mv /root/ca.key {PKI}/")
        self.good(self.cluster.run(), changed="true")
        self.whole()


class KilledTls(Case):
    def test_1_one_authority_whenever_the_run_ends(self):
        """A first run, killed at one task after the other: in the end there is one cluster and one authority."""
        cluster = Etcds("torn", 111)
        for point in range(5, 60):
            done = killed.at_task(cluster.inputs(), point, later=0.1)
            if not done:
                break
        self.good(cluster.run())
        self.assertEqual(cluster.health(), 3)
        self.assertEqual(len(cluster.authorities()), 1)
        self.good(cluster.run(), changed="false")


class Plain(Case):
    def test_1_a_cluster_without_tls_is_left_as_it_is(self):
        cluster = Etcds("plain", 121)
        self.good(cluster.run(**extra(etcd_tls=False)))
        before = cluster.all_processes()
        done = self.good(cluster.run(), changed="false")
        self.assertIn("etcd here speaks plain HTTP", done.said)
        self.assertEqual(cluster.all_processes(), before)
        self.assertEqual(cluster.health(), 3)
        self.assertEqual(ssh(cluster.names[0], "ls -d /etc/etcd /usr/local/bin/etcdctl 2>/dev/null; true"), "")
        cluster.numbers = [1, 2, 3, 4]
        self.good(cluster.run(), changed="true")
        self.assertEqual(cluster.health(), 4)
        self.assertEqual({n: p for n, p in cluster.all_processes().items() if n in before}, before)
        cluster.numbers = [1, 2, 3]
        self.good(cluster.run(allow_destroy="true"))
        self.good(cluster.run(), changed="false")


if __name__ == "__main__":
    unittest.main()
