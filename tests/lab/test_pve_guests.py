#!/usr/bin/python3
"""The simulated Proxmox VE's guests: cloning and its locks, configuration, power, agent, containers. Needs no root."""

import contextlib
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from simtest import KEY, Q1, TEMPLATE, Client, PveTest, Simulator, encoded  # noqa: E402


def tearDownModule():
    PveTest.close_shared()


class Cloning(PveTest):
    def test_copy(self):
        before = self.api.get(TEMPLATE + "/config").data
        vmid, path = self.clone(name="copy.example", description="mine")
        after = self.api.get(path + "/config").data
        self.assertEqual((after["name"], after["description"]), ("copy.example", "mine\n"))
        self.assertEqual(after["boot"], before["boot"])
        for key in ("net0", "smbios1", "vmgenid", "digest"):
            self.assertNotEqual(after[key], before[key], key)
        self.assertNotIn("template", after)
        self.assertNotIn("lock", after)
        self.assertIn("base-9000-disk-0/vm-%d-disk-0" % vmid, after["scsi0"])

    def test_default_name(self):
        _, path = self.clone()
        self.assertEqual(self.api.get(path + "/config").data["name"], "Copy-of-VM-debian-12-template")

    def test_upid_names_the_source(self):
        upid = self.api.post(TEMPLATE + "/clone", newid=150).data
        self.assertRegex(upid, r"^UPID:pmx1:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:qmclone:9000:nante@pve!ci:$")
        self.assertEqual(self.api.wait(upid), "OK")

    def test_linked_clone_takes_no_storage_or_format(self):
        for key, value in (("storage", "shared"), ("format", "raw")):
            self.refused(self.api.post(TEMPLATE + "/clone", newid=160, **{key: value}), 500,
                         "parameter '%s' not allowed for linked clones" % key)

    def test_full_clone(self):
        vmid, path = self.clone(full=1, storage="local-lvm")
        self.assertTrue(self.api.get(path + "/config").data["scsi0"].startswith("local-lvm:vm-%d-disk-0" % vmid))
        self.refused(self.api.post(path + "/clone", newid=990, full=0), 500)

    def test_other_node(self):
        _, path = self.clone(target="pmx2")
        self.assertEqual(self.api.get(path + "/config").status, 200)
        self.refused(self.api.post(TEMPLATE + "/clone", newid=991, target="pmx2", full=1, storage="local-lvm"), 500,
                     "can't clone to non-shared storage 'local-lvm'")
        _, local = self.clone(full=1, storage="local-lvm")
        self.refused(self.api.post(local + "/clone", newid=992, target="pmx2"), 500,
                     "can't clone VM to node 'pmx2' (VM uses local storage)")
        self.refused(self.api.post("/nodes/pmx2/qemu/9000/clone", newid=993), 500,
                     "Configuration file 'nodes/pmx2/qemu-server/9000.conf' does not exist")

    def test_storage_errors(self):
        self.refused(self.api.post(TEMPLATE + "/clone", newid=170, full=1, storage="none"), 500,
                     "storage 'none' does not exist")
        self.bad_param(self.api.post(TEMPLATE + "/clone", newid=170, full=1, storage="local"),
                       storage="storage 'local' does not support vm images")

    def test_existing_id(self):
        vmid, _ = self.clone()
        self.refused(self.api.post(TEMPLATE + "/clone", newid=vmid), 500,
                     "unable to create VM %d: config file already exists" % vmid)
        away, _ = self.clone(target="pmx2")
        status = self.api.wait(self.api.post(TEMPLATE + "/clone", newid=away))
        self.assertTrue(status.endswith("failed: File exists"), status)

    def test_nextid_reserves_nothing(self):
        first = self.api.get("/cluster/nextid").data
        self.assertEqual(first, self.api.get("/cluster/nextid").data)
        self.assertIsInstance(first, str)
        self.bad_param(self.api.get("/cluster/nextid", vmid=9000), vmid="VM 9000 already exists")

    def test_same_id_twice_at_once(self):
        """One wins; the loser is told early or by its task, and leaves nothing behind."""
        vmid = int(self.api.get("/cluster/nextid").data)
        with self.background() as pool:
            replies = list(pool.map(lambda n: self.api.post(TEMPLATE + "/clone", newid=vmid, name="racer%d" % n),
                                    range(4)))
        results = [self.api.wait(r) if r.status == 200 else r.reason for r in replies]
        self.assertEqual(results.count("OK"), 1, results)
        for text in results:
            self.assertRegex(text, "^OK$|config file already exists|lock-%d.conf' - got timeout" % vmid)
        volumes = self.api.get("/nodes/pmx1/storage/shared/content", vmid=vmid).data
        self.assertEqual(len(volumes), 2)

    def test_failed_clone_undoes_itself(self):
        with self.sim.faults({"match": {"path": "clone$"}, "action": "task_error", "when": "start", "text": "no space"}):
            self.assertEqual(self.api.wait(self.api.post(TEMPLATE + "/clone", newid=180)), "no space")
        self.assertEqual(self.api.get(Q1 + "/180/config").status, 500)
        self.clone(newid=180)


class CloneInProgress(PveTest):
    """At a speed that lets the middle be seen."""
    config = {"pve": {"durations": {"alloc": 0.2, "linked": 0.2, "full_gb": 0.03}, "proxy_timeout": 30}}
    env = {"PVE_SIM_SPEED": "1"}

    def test_partial_configuration_and_locks(self):
        upid = self.api.post(TEMPLATE + "/clone", newid=200, name="late").data
        time.sleep(0.05)
        early = self.api.get(Q1 + "/200/config").data
        self.assertEqual({k for k in early}, {"lock", "digest"})
        self.assertEqual(early["lock"], "clone")
        row = next(g for g in self.api.get("/cluster/resources", type="vm").data if g["vmid"] == 200)
        self.assertEqual((row["status"], row.get("name"), row["lock"]), ("unknown", None, "clone"))
        self.refused(self.api.post(Q1 + "/200/clone", newid=201), 500, "VM is locked (clone)")
        status = self.api.get("/nodes/pmx1/tasks/%s/status" % encoded(upid)).data
        self.assertEqual(status["status"], "running")
        self.assertNotIn("exitstatus", status)
        self.assertIn(upid, [t["upid"] for t in self.api.get("/nodes/pmx1/tasks", source="active").data])
        self.assertEqual(self.api.wait(upid), "OK")
        log = self.api.get("/nodes/pmx1/tasks/%s/log" % encoded(upid)).json
        self.assertEqual(log["data"][-1]["t"], "TASK OK")
        self.assertEqual(log["total"], len(log["data"]))

    def test_parallel_linked_clones_share_the_source(self):
        upids = [self.api.post(TEMPLATE + "/clone", newid=n).data for n in (210, 211, 212)]
        self.assertEqual([self.api.wait(u) for u in upids], ["OK"] * 3)

    def test_change_of_the_template_meets_the_shared_lock(self):
        upid = self.api.post(TEMPLATE + "/clone", newid=220).data
        time.sleep(0.1)
        started = time.monotonic()
        self.assertEqual(self.api.put(TEMPLATE + "/config", cores=1).status, 200)
        self.assertGreater(time.monotonic() - started, 0.5)       # waited for the clone
        self.assertEqual(self.api.wait(upid), "OK")

    def test_busy_source_is_not_waited_for(self):
        with self.sim.faults({"match": {"path": "9000/clone$"}, "action": "lock", "seconds": 1.5}):
            status = self.api.wait(self.api.post(TEMPLATE + "/clone", newid=230))
        self.assertEqual(self.api.put(TEMPLATE + "/config", cores=1).status, 200)       # waits for the end of it
        self.assertEqual(status, "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout")

    def test_storage_lock(self):
        self.api.wait(self.api.post(TEMPLATE + "/clone", newid=240, full=1, storage="local-lvm"))
        config = dict(self.sim.config, storage_lock_timeout=0.5)
        with contextlib.closing(Simulator("pve", config, self.env)) as sim:
            api = Client(sim)
            for store, text in (("local-lvm", "clone failed: can't lock file '/var/lock/pve-manager/pve-storage-local-lvm'"
                                 " - got timeout"),
                                ("shared", "clone failed: cfs-lock 'storage-shared' error: got lock request timeout")):
                with sim.faults({"match": {"path": "clone$"}, "action": "storage_lock", "name": store, "seconds": 2.5}):
                    self.assertEqual(api.wait(api.post(TEMPLATE + "/clone", newid=250, full=1, storage=store)), text)
                self.assertEqual(api.get(Q1 + "/250/config").status, 500)

    def test_interrupted_task(self):
        upid = self.api.post(TEMPLATE + "/clone", newid=260).data
        time.sleep(0.1)
        self.assertEqual(self.api.delete("/nodes/pmx1/tasks/" + encoded(upid)).status, 200)
        self.assertIn("interrupted", self.api.wait(upid))
        self.assertEqual(self.api.get(Q1 + "/260/config").status, 500)


class Config(PveTest):
    def setUp(self):
        self.vmid, self.path = self.clone(name="conf")

    def config_of(self, path=None, **params):
        return self.api.get((path or self.path) + "/config", **params).data

    def set(self, **params):
        reply = self.api.put(self.path + "/config", **params)
        self.assertEqual(reply.status, 200, (reply.reason, reply.body))
        self.assertIsNone(reply.data)

    def test_digest(self):
        digest = self.config_of()["digest"]
        self.set(cores=2, digest=digest)
        self.assertNotEqual(self.config_of()["digest"], digest)
        self.refused(self.api.put(self.path + "/config", cores=3, digest=digest), 500,
                     "checksum mismatch (file change by other user?)")

    def test_tags(self):
        self.set(tags="Web,db;web app_1")
        self.assertEqual(self.config_of()["tags"], "app_1;db;web")

    def test_ssh_keys_are_encoded_twice(self):
        self.set(sshkeys=encoded(KEY + "\n" + KEY + "\n"))
        self.assertEqual(self.config_of()["sshkeys"], encoded(KEY + "\n" + KEY + "\n"))
        self.refused(self.api.put(self.path + "/config", sshkeys=encoded("ssh-rsa nonsense")), 500,
                     "SSH public key validation error")

    def test_password_is_masked(self):
        self.set(cipassword="S3cret-word")
        self.assertEqual(self.config_of()["cipassword"], "**********")
        user = self.api.get(self.path + "/cloudinit/dump", type="user").data
        self.assertIn("password: $5$", user)
        self.assertNotIn("S3cret", json.dumps(self.sim.log()))

    def test_mac_is_made_and_kept_when_given(self):
        old = self.config_of()["net0"]
        self.set(net0="virtio,bridge=vmbr0,tag=10")
        new = self.config_of()["net0"]
        self.assertRegex(new, r"^virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0,tag=10$")
        self.assertNotEqual(new.split(",")[0], old.split(",")[0])
        self.set(net0="virtio=bc:24:11:00:00:01,bridge=vmbr0")
        self.assertEqual(self.config_of()["net0"], "virtio=BC:24:11:00:00:01,bridge=vmbr0")
        self.set(net0="model=virtio,macaddr=BC:24:11:00:00:02,bridge=vmbr0")
        self.assertEqual(self.config_of()["net0"], "virtio=BC:24:11:00:00:02,bridge=vmbr0")

    def test_delete(self):
        self.set(description="gone soon")
        self.set(delete="description")
        self.assertNotIn("description", self.config_of())
        self.set(delete="searchdomain")      # not set: only a warning

    def test_boot_order(self):
        self.refused(self.api.put(self.path + "/config", boot="order=scsi7;net0"), 500,
                     "invalid bootorder: device 'scsi7' does not exist'")
        self.set(boot="order=scsi0")

    def test_disks(self):
        self.set(scsi1="local-lvm:8")
        self.assertEqual(self.config_of()["scsi1"], "local-lvm:vm-%d-disk-0,size=8G" % self.vmid)
        self.set(delete="scsi1")
        self.assertEqual(self.config_of()["unused0"], "local-lvm:vm-%d-disk-0" % self.vmid)
        self.set(delete="unused0")
        self.assertEqual(self.api.get("/nodes/pmx1/storage/local-lvm/content", vmid=self.vmid).data, [])
        self.refused(self.api.put(self.path + "/config", scsi1="gone:8"), 500, "storage 'gone' does not exist")
        self.set(delete="ide2")
        self.set(ide0="local-lvm:cloudinit")
        self.assertEqual(self.config_of()["ide0"], "local-lvm:vm-%d-cloudinit,media=cdrom,size=4M" % self.vmid)

    def test_asynchronous(self):
        upid = self.api.post(self.path + "/config", cores=4).data
        self.assertIn(":qmconfig:%d:" % self.vmid, upid)
        self.assertEqual(self.api.wait(upid), "OK")
        self.assertIsNone(self.api.post(self.path + "/config", cores=5, background_delay=5).data)
        self.assertEqual(self.config_of()["cores"], 5)

    def test_pending_while_running(self):
        self.done(self.api.post(self.path + "/status/start"))
        self.set(cores=8, description="at once", ciuser="deploy")
        now = self.config_of(current=1)
        self.assertEqual((now["cores"], now["description"]), (1, "at once\n"))
        self.assertEqual(self.config_of()["cores"], 8)
        rows = {r["key"]: r for r in self.api.get(self.path + "/pending").data}
        self.assertEqual((rows["cores"]["value"], rows["cores"]["pending"]), (1, 8))
        self.assertEqual(rows["ciuser"]["pending"], "deploy")
        self.set(revert="cores")
        self.assertEqual(self.config_of()["cores"], 1)
        self.done(self.api.post(self.path + "/status/reboot"))
        self.assertEqual(self.config_of(current=1)["ciuser"], "deploy")

    def test_hotplug_problem(self):
        self.set(hotplug="network,disk,memory")
        self.done(self.api.post(self.path + "/status/start"))
        self.bad_param(self.api.put(self.path + "/config", memory=4096),
                       memory="hotplug problem - NUMA needs to be enabled for memory hotplug")

    def test_resize(self):
        def resize(**params):
            return self.api.wait(self.api.put(self.path + "/resize", **params))
        self.assertEqual(resize(disk="scsi0", size="40G"), "OK")
        self.assertIn("size=40G", self.config_of()["scsi0"])
        self.assertEqual(resize(disk="scsi0", size="40G"), "OK")
        self.assertEqual(resize(disk="scsi0", size="+512M"), "OK")
        self.assertIn("size=41472M", self.config_of()["scsi0"])
        self.assertEqual(resize(disk="scsi0", size="10G"), "shrinking disks is not supported")
        self.assertEqual(resize(disk="scsi5", size="10G"), "disk 'scsi5' does not exist")

    def test_lock_option(self):
        with self.sim.faults({"match": {"path": "config$", "method": "PUT"}, "action": "config_lock", "lock": "backup"}):
            self.refused(self.api.put(self.path + "/config", cores=2), 500, "VM is locked (backup)")
        self.assertEqual(self.api.wait(self.api.post(self.path + "/status/start")), "VM is locked (backup)")
        with self.sim.faults({"match": {"path": "config$", "method": "PUT"}, "action": "config_lock", "lock": ""}):
            self.set(cores=2)

    def test_cloudinit_documents(self):
        self.set(ciuser="deploy", sshkeys=encoded(KEY), ipconfig0="ip=192.168.10.9/24,gw=192.168.10.1",
                 nameserver="192.168.10.1", searchdomain="lab.test", delete="ciupgrade")
        user = self.api.get(self.path + "/cloudinit/dump", type="user").data
        self.assertIn("hostname: conf\n", user)
        self.assertIn("  - " + KEY, user)
        self.assertIn("package_upgrade: true", user)          # the default
        network = self.api.get(self.path + "/cloudinit/dump", type="network").data
        self.assertIn("address: '192.168.10.9/24'", network)
        first = self.api.get(self.path + "/cloudinit/dump", type="meta").data
        self.set(ipconfig0="ip=192.168.10.10/24,gw=192.168.10.1")
        self.assertNotEqual(self.api.get(self.path + "/cloudinit/dump", type="meta").data, first)
        self.assertEqual(self.api.put(self.path + "/cloudinit").status, 200)

    def test_snippets_cannot_be_had(self):
        self.set(cicustom="user=local:snippets/x.yml")
        self.assertEqual(self.api.wait(self.api.post(self.path + "/status/start")),
                         "volume 'local:snippets/x.yml' does not exist")


class Power(PveTest):
    config = {"pve": {"cleanup_lock": 20,        # at speed 20: a second
                      "acl": [{"path": "/", "who": "nante@pve", "role": "Administrator"}]}}

    def test_start_stop(self):
        vmid, path = self.running(name="pow")
        self.assertEqual(self.api.wait(self.api.post(path + "/status/start")), "VM %d already running" % vmid)
        self.refused(self.api.delete(path), 500, "VM %d is running - destroy failed" % vmid)
        now = self.api.get(path + "/status/current").data
        self.assertEqual((now["status"], now["qmpstatus"], now["agent"], now["name"]), ("running", "running", 1, "pow"))
        self.done(self.api.post(path + "/status/stop"))
        self.assertEqual(self.api.get(path + "/status/current").data["status"], "stopped")
        self.assertEqual(self.api.wait(self.api.post(path + "/status/shutdown")), "VM %d not running" % vmid)

    def test_clean_up_after_a_stop_holds_the_lock(self):
        _, path = self.running()
        self.done(self.api.post(path + "/status/stop"))
        started = time.monotonic()
        self.done(self.api.post(path + "/status/start"))
        self.assertGreater(time.monotonic() - started, 0.6)

    def test_template_does_not_start(self):
        self.assertEqual(self.api.wait(self.api.post(TEMPLATE + "/status/start")), "you can't start a vm if it's a template")

    def test_shutdown(self):
        _, path = self.running()
        self.done(self.api.post(path + "/status/shutdown", timeout=20))
        self.assertEqual(self.api.get(path + "/status/current").data["status"], "stopped")

    def test_shutdown_of_what_cannot_answer(self):
        self.done(self.api.post(Q1, vmid=700, name="blank", scsi0="local-lvm:4"))
        self.done(self.api.post(Q1 + "/700/status/start"))
        self.assertEqual(self.api.wait(self.api.post(Q1 + "/700/status/shutdown", timeout=2)),
                         "VM quit/powerdown failed - got timeout")
        self.done(self.api.post(Q1 + "/700/status/shutdown", timeout=2, forceStop=1))

    def test_stop_overrules_a_shutdown(self):
        self.done(self.api.post(Q1, vmid=720, scsi0="local-lvm:4", start=1))
        asking = self.api.post(Q1 + "/720/status/shutdown", timeout=400).data
        time.sleep(0.1)
        self.done(self.api.post(Q1 + "/720/status/stop", **{"overrule-shutdown": 1}))
        self.assertEqual(self.api.wait(asking), "interrupted by signal")

    def test_unknown_bridge(self):
        _, path = self.clone()
        self.assertEqual(self.api.put(path + "/config", net0="virtio,bridge=vmbr9").status, 200)
        self.assertEqual(self.api.wait(self.api.post(path + "/status/start")), "bridge 'vmbr9' does not exist")

    def test_destroy(self):
        vmid, path = self.clone(description="x")
        self.api.put(path + "/config", protection=1)
        self.refused(self.api.delete(path), 500, "can't remove VM %d - protection mode enabled" % vmid)
        self.api.put(path + "/config", delete="protection")
        self.done(self.api.delete(path, purge=1, **{"destroy-unreferenced-disks": 1}))
        self.assertEqual(self.api.get(path + "/config").status, 500)
        self.assertEqual(self.api.get("/nodes/pmx1/storage/shared/content", vmid=vmid).data, [])

    def test_template_in_use_stays(self):
        vmid, path = self.clone()
        self.assertEqual(self.api.wait(self.api.delete(TEMPLATE)),
                         "base volume 'shared:base-9000-disk-0' is still in use by linked cloned")
        _, full = self.clone(full=1, storage="local-lvm")
        self.done(self.api.post(full + "/template"))
        self.assertEqual(self.api.get(full + "/config").data["template"], 1)
        self.done(self.api.delete(full))

    def test_snapshots(self):
        _, path = self.clone(name="before")
        self.done(self.api.post(path + "/snapshot", snapname="one", description="d"))
        self.refused(self.api.post(path + "/snapshot", snapname="one"), 500, "snapshot name 'one' already used")
        self.refused(self.api.post(path + "/snapshot", snapname="current"), 500)
        self.api.put(path + "/config", name="after")
        self.assertEqual([s["name"] for s in self.api.get(path + "/snapshot").data], ["one", "current"])
        self.done(self.api.post(path + "/snapshot/one/rollback"))
        self.assertEqual(self.api.get(path + "/config").data["name"], "before")
        self.done(self.api.delete(path + "/snapshot/one"))
        self.assertEqual(self.api.wait(self.api.delete(path + "/snapshot/one")), "snapshot 'one' does not exist")


class Agent(PveTest):
    def agent(self, path, verb, name, **params):
        return self.api.request(verb, "%s/agent/%s" % (path, name), params)

    def test_not_running_and_not_configured(self):
        vmid, path = self.clone()
        self.refused(self.agent(path, "POST", "ping"), 500, "VM %d is not running" % vmid)
        self.api.put(path + "/config", agent="0")
        self.done(self.api.post(path + "/status/start"))
        self.api.put(path + "/config", agent="1")               # too late for this run
        self.refused(self.agent(path, "POST", "ping"), 500, "No QEMU guest agent configured")

    def test_nobody_answers(self):
        self.done(self.api.post(Q1, vmid=710, agent="1", scsi0="local-lvm:4", start=1))
        self.refused(self.agent(Q1 + "/710", "POST", "ping"), 500, "QEMU guest agent is not running")

    def test_calls(self):
        _, path = self.clone(name="inside")
        self.api.put(path + "/config", ipconfig0="ip=192.168.10.70/24,gw=192.168.10.1", net0="virtio,bridge=vmbr0,tag=10")
        self.done(self.api.post(path + "/status/start"))
        self.assertEqual(self.agent(path, "POST", "ping").data, {"result": {}})
        mac = self.api.get(path + "/config").data["net0"].split(",")[0].split("=")[1]
        cards = self.agent(path, "GET", "network-get-interfaces").data["result"]
        card = next(c for c in cards if c["hardware-address"] == mac.lower())
        self.assertEqual(card["ip-addresses"][0],
                         {"ip-address": "192.168.10.70", "ip-address-type": "ipv4", "prefix": 24})
        self.assertEqual(self.agent(path, "GET", "get-host-name").data["result"]["host-name"], "inside")
        self.assertIsNone(self.agent(path, "POST", "file-write", file="/etc/x", content="hällo & = ;").data)
        self.assertEqual(self.agent(path, "GET", "file-read", file="/etc/x").data["content"], "hällo & = ;")
        self.refused(self.agent(path, "GET", "file-read", file="/none"), 500,
                     "Agent error: failed to open file '/none' (mode: 'r'): No such file or directory")
        self.bad_param(self.agent(path, "POST", "file-write", file="/etc/x", content="x" * 61441),
                       content="value may only be 61440 characters long")

    def test_exec(self):
        _, path = self.running(name="runs")

        def run(**params):
            pid = self.agent(path, "POST", "exec", **params).data["pid"]
            while True:
                answer = self.agent(path, "GET", "exec-status", pid=pid).data
                if answer["exited"]:
                    return pid, answer
                time.sleep(0.05)
        pid, answer = run(command=["cat"], **{"input-data": "words"})
        self.assertEqual(answer, {"exited": 1, "exitcode": 0, "out-data": "words"})
        self.refused(self.agent(path, "GET", "exec-status", pid=pid), 500, "Agent error: PID %d does not exist" % pid)
        self.assertEqual(run(command="false")[1], {"exited": 1, "exitcode": 1, "err-data": "no\n"})
        self.assertEqual(run(command=["sleep", "0.2"])[1]["exitcode"], 0)


class Machine(PveTest):
    """A clone's cloud-init settings reach the machine, and a changed one makes a new instance."""

    def host_key(self, path):
        return self.api.request("GET", path + "/agent/file-read",
                                {"file": "/etc/ssh/ssh_host_ed25519_key.pub"}).data["content"]

    def test_instance(self):
        _, path = self.clone(name="inst")
        self.api.put(path + "/config", ciuser="deploy", sshkeys=encoded(KEY))
        self.done(self.api.post(path + "/status/start"))
        first = self.host_key(path)
        self.done(self.api.post(path + "/status/reboot"))
        self.assertEqual(self.host_key(path), first)
        self.api.put(path + "/config", ciuser="other")
        self.done(self.api.post(path + "/status/reset"))
        self.assertEqual(self.host_key(path), first)             # a reset applies nothing
        self.done(self.api.post(path + "/status/reboot"))
        self.assertNotEqual(self.host_key(path), first)


class Containers(PveTest):
    config = {"pve": {"durations": {"full_gb": 2}}}
    L1 = "/nodes/pmx1/lxc"
    OS = "local:vztmpl/debian-12-standard_12.12-1_amd64.tar.zst"
    NET = "name=eth0,bridge=vmbr0,ip=192.168.10.90/24,gw=192.168.10.1,tag=10"

    def create(self, vmid, **params):
        return self.api.post(self.L1, **dict({"vmid": vmid, "ostemplate": self.OS, "storage": "local-lvm",
                                              "hostname": "ct%d" % vmid, "net0": self.NET}, **params))

    def test_life(self):
        self.done(self.create(500, **{"ssh-public-keys": KEY, "features": "nesting=1"}))
        path = self.L1 + "/500"
        conf = self.api.get(path + "/config").data
        self.assertEqual((conf["hostname"], conf["unprivileged"]), ("ct500", 1))
        self.assertRegex(conf["net0"], "^name=eth0,bridge=vmbr0,gw=.*,hwaddr=BC:24:11")
        self.refused(self.create(500), 500, "CT 500 already exists on node 'pmx1'")
        self.done(self.api.post(path + "/status/start"))
        self.refused(self.api.post(path + "/status/start"), 500, "CT 500 already running")
        card = self.api.get(path + "/interfaces").data[1]
        self.assertEqual((card["name"], card["inet"]), ("eth0", "192.168.10.90/24"))
        self.assertEqual(self.api.put(path + "/config", memory=2048).status, 200)
        self.refused(self.api.put(path + "/resize", disk="rootfs", size="4G"), 500, "disk is already at specified size")
        self.refused(self.api.put(path + "/resize", disk="rootfs", size="1G"), 500, "unable to shrink disk size")
        self.done(self.api.put(path + "/resize", disk="rootfs", size="8G"))
        self.assertEqual(self.api.delete(path).status, 500)
        self.done(self.api.delete(path, force=1, purge=1))

    def test_features_need_root(self):
        for value in ("keyctl=1", "nesting=1,fuse=1"):
            self.refused(self.create(510, features=value), 403,
                         "Permission check failed (changing feature flags (except nesting) is only allowed for root@pam)")
        self.refused(self.create(510, dev0="/dev/net/tun"), 403,
                     "Permission check failed (configuring device passthrough is only allowed for root@pam)")

    def test_missing_template_and_storage(self):
        self.assertEqual(self.api.wait(self.create(520, ostemplate="local:vztmpl/none.tar.gz")),
                         "unable to create CT 520 - volume 'local:vztmpl/none.tar.gz' does not exist")
        self.bad_param(self.create(520, storage="local"),
                       storage="storage 'local' does not support container directories")

    def test_clone_locks_the_source(self):
        self.done(self.create(530))
        upid = self.api.post(self.L1 + "/530/clone", newid=531, full=1, hostname="second").data
        self.refused(self.api.post(self.L1 + "/530/clone", newid=532, full=1), 500, "CT is locked (disk)")
        self.assertEqual(self.api.wait(upid), "OK")
        self.assertEqual(self.api.get(self.L1 + "/531/config").data["hostname"], "second")


if __name__ == "__main__":
    unittest.main()
