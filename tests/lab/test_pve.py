#!/usr/bin/python3
"""The simulated Proxmox VE as a server: transport, forms, validation, rights, discovery, faults. Needs no root."""

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from simtest import HERE, KEY, Q1, TEMPLATE, UNKNOWN, Client, PveTest, encoded  # noqa: E402


def tearDownModule():
    PveTest.close_shared()


class Transport(PveTest):
    def raw(self, data, tls=True):
        sock = socket.create_connection(("127.0.0.1", self.sim.port), 5)
        if tls:
            sock = self.sim.context().wrap_socket(sock, server_hostname="127.0.0.1")
        with contextlib.closing(sock):
            sock.sendall(data)
            answer = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while True:
                    part = sock.recv(65536)
                    if not part:
                        break
                    answer += part
            return answer.decode()

    def test_chunked_body_is_refused(self):
        reply = self.raw(b"POST /api2/json/pools HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        self.assertTrue(reply.startswith("HTTP/1.1 501 chunked transfer encoding not supported\r\n"), reply)

    def test_body_with_delete_is_refused(self):
        self.refused(self.api.request("DELETE", Q1 + "/100", raw="purge=1"), 501,
                     "Unexpected content for method 'DELETE'")

    def test_other_methods(self):
        self.refused(self.api.request("PATCH", "/version"), 501, "method 'PATCH' not available")

    def test_large_body(self):
        self.refused(self.api.request("POST", "/pools", raw="x=" + "y" * (513 << 10)), 501, "for data too large")

    def test_content_type(self):
        self.assertEqual(self.api.request("POST", "/pools", raw="a", headers={"Content-Type": "text/plain"}).status, 506)

    def test_plain_http_is_redirected(self):
        self.assertTrue(self.raw(b"GET /api2/json/version HTTP/1.1\r\nHost: h:8006\r\n\r\n", tls=False)
                        .startswith("HTTP/1.1 301 "))
        self.assertTrue(self.raw(b"POST /x HTTP/1.1\r\nHost: h:8006\r\nContent-Length: 0\r\n\r\n", tls=False)
                        .startswith("HTTP/1.1 308 "))

    def test_keep_alive_and_close_after_an_error(self):
        head = self.api.header
        with contextlib.closing(self.sim.connection()) as conn:
            for _ in range(3):
                conn.request("GET", "/api2/json/version", headers=head)
                first = conn.getresponse()
                self.assertEqual((first.status, first.getheader("Connection")), (200, "Keep-Alive"))
                first.read()
            conn.request("GET", "/api2/json/nothing", headers=head)
            self.assertEqual(conn.getresponse().getheader("Connection"), "close")

    def test_a_hundred_requests_per_connection(self):
        with contextlib.closing(self.sim.connection()) as conn:
            for number in range(1, 101):
                conn.request("GET", "/api2/json/version", headers=self.api.header)
                reply = conn.getresponse()
                reply.read()
                self.assertEqual(reply.getheader("Connection"), "close" if number == 100 else "Keep-Alive")

    def test_gzip_only_when_asked_and_large(self):
        head = {"Accept-Encoding": "gzip"}
        self.assertIsNone(self.api.request("GET", "/version", headers=head).headers["Content-Encoding"])
        self.assertEqual(self.api.request("GET", "/cluster/resources", headers=head).headers["Content-Encoding"], "gzip")

    def test_json_bodies(self):
        reply = self.api.request("POST", "/pools", raw=json.dumps({"poolid": "json", "comment": None}),
                                 headers={"Content-Type": "application/json"})
        self.assertEqual(reply.status, 200)

    def test_log(self):
        self.api.get("/version")
        row = self.sim.log()[-1]
        self.assertEqual((row["method"], row["path"], row["status"], row["user"]),
                         ("GET", "/version", 200, "nante@pve!ci"))
        self.assertIn("version", row["data"])


class Forms(PveTest):
    """Decoding: pairs end at & and ;, only the first two parts around = count, empty means absent."""

    def setUp(self):
        if not hasattr(Forms, "path"):
            Forms.path = self.clone(name="forms")[1]

    def put(self, raw):
        return self.api.request("PUT", self.path + "/config", raw=raw)

    def value(self, key):
        return self.api.get(self.path + "/config").data.get(key)

    def test_semicolon_separates(self):
        self.bad_param(self.put("name=a;b=1"), b=UNKNOWN)

    def test_unencoded_equals_sign_cuts(self):
        self.assertEqual(self.put("description=a=b").status, 200)
        self.assertEqual(self.value("description"), "a\n")

    def test_plus_is_a_space(self):
        self.assertEqual(self.put("description=a+b").status, 200)
        self.assertEqual(self.value("description"), "a b\n")

    def test_empty_is_as_if_absent(self):
        self.put("description=kept")
        self.assertEqual(self.put("description=").status, 200)
        self.assertEqual(self.value("description"), "kept\n")
        self.bad_param(self.api.request("POST", TEMPLATE + "/clone", raw="newid="),
                       newid="property is missing and it is not optional")

    def test_nothing_at_all(self):
        self.refused(self.api.put(self.path + "/config"), 500, "no options specified")

    def test_query_wins_over_body(self):
        reply = self.api.request("PUT", self.path + "/config?description=query", raw="description=body")
        self.assertEqual((reply.status, self.value("description")), (200, "query\n"))

    def test_parameter_also_in_path(self):
        self.bad_param(self.put("vmid=4711&cores=1"),
                       vmid="duplicate parameter (already defined in URI) with conflicting values!")

    def test_repeated_key_is_a_list(self):
        self.bad_param(self.put("name=a&name=b"), name="type check ('string') failed - got array")
        self.assertEqual(self.put("tags=b&tags=a").status, 200)
        self.assertEqual(self.value("tags"), "a;b")

    def test_cache_breaker_is_ignored(self):
        self.assertEqual(self.api.get("/version", _dc=1).status, 200)


class Validation(PveTest):
    def setUp(self):
        if not hasattr(Validation, "path"):
            Validation.path = self.clone(name="valid")[1]

    def test_values(self):
        missing = "property is missing and it is not optional"
        cases = [
            (dict(cores="two"), dict(cores="type check ('integer') failed - got 'two'")),
            (dict(cores=0), dict(cores="value must have a minimum value of 1")),
            (dict(cpulimit=129), dict(cpulimit="value must have a maximum value of 128")),
            (dict(onboot="yes"), dict(onboot="type check ('boolean') failed - got 'yes'")),
            (dict(bios="efi"), dict(bios="value 'efi' does not have a value in the enumeration 'seabios, ovmf'")),
            (dict(name="under_score"), dict(name="invalid format - value does not look like a valid DNS name\n")),
            (dict(tags="a b!"), dict(tags="invalid format - invalid characters in tag\n")),
            (dict(nosuch=1), dict(nosuch=UNKNOWN)),
            (dict(net32="virtio"), dict(net32=UNKNOWN)),
            (dict(net0="virtio,brige=vmbr0"),
             dict(net0="invalid format - invalid key in comma-separated list property: brige\n")),
            (dict(net0="virtio,tag=4095"),
             dict(net0="invalid format - format error\nnet0.tag: value must have a maximum value of 4094\n")),
            (dict(net0="bridge=vmbr0"), dict(net0="invalid format - format error\nnet0.model: %s\n" % missing)),
            (dict(ipconfig0="gw=10.0.0.1"),
             dict(ipconfig0="invalid format - format error\nipconfig0.ip: missing property required by 'gw'\n")),
            (dict(ipconfig0="ip=10.0.0.1"),
             dict(ipconfig0="invalid format - format error\nipconfig0.ip: invalid format - value does not look like a "
                            "valid ipv4 network configuration\n")),
            (dict(nameserver="1.1.1.1 _x"),
             dict(nameserver="invalid format - value does not look like a valid address: _x\n")),
            (dict(description="x" * 8193), dict(description="value may only be 8192 characters long")),
            (dict(sshkeys=KEY), dict(sshkeys="invalid format - invalid urlencoded string: %s\n" % KEY)),
            (dict(memory="4 GB"),
             dict(memory="invalid format - format error\nmemory.current: type check ('integer') failed - got '4 GB'\n")),
            (dict(cores="x", sockets="y"), dict(cores="type check ('integer') failed - got 'x'",
                                                sockets="type check ('integer') failed - got 'y'")),
        ]
        for params, errors in cases:
            with self.subTest(params=str(params)[:60]):
                self.bad_param(self.api.put(self.path + "/config", **params), **errors)

    def test_path_parameters_are_checked(self):
        self.bad_param(self.api.get(Q1 + "/7/config"), vmid="value must have a minimum value of 100\\n"
                       "invalid format - value does not look like a valid VM ID\n")

    def test_size(self):
        self.bad_param(self.api.put(self.path + "/resize", disk="scsi0", size="32GB"),
                       size="value does not match the regex pattern")

    def test_delete_and_set_together(self):
        self.bad_param(self.api.put(self.path + "/config", cores=2, delete="cores"),
                       delete="you can't use '-cores' and -delete cores' at the same time")
        self.bad_param(self.api.put(self.path + "/config", delete="nosuch"), delete="unknown option 'nosuch'")

    def test_message_is_in_the_body(self):
        self.assertEqual(self.api.put(self.path + "/config", nosuch=1).json["message"],
                         "Parameter verification failed.\n")


class Access(PveTest):
    config = {"tokens": [
        {"id": "nante@pve!ci", "secret": "12345678-1234-1234-1234-123456789abc", "privsep": 0},
        {"id": "nante@pve!narrow", "secret": "22345678-1234-1234-1234-123456789abc", "privsep": 1},
        {"id": "nante@pve!empty", "secret": "32345678-1234-1234-1234-123456789abc", "privsep": 1},
        {"id": "nante@pve!old", "secret": "42345678-1234-1234-1234-123456789abc", "expired": True},
        {"id": "root@pam!all", "secret": "52345678-1234-1234-1234-123456789abc", "privsep": 0},
        {"id": "pool@pve!pl", "secret": "62345678-1234-1234-1234-123456789abc", "privsep": 0}],
        "acl": [{"path": "/", "who": "nante@pve", "role": "Provision"},
                {"path": "/vms/9000", "who": "nante@pve!narrow", "role": "PVEVMAdmin"},
                {"path": "/", "who": "nante@pve!narrow", "role": "PVEAuditor"},
                {"path": "/pool/p1", "who": "pool@pve", "role": "PVEVMAdmin"}],
        "pools": ["p1"], "auth_delay": 0.4}

    def other(self, name):
        token = next(t for t in self.config["tokens"] if t["id"] == name)
        return Client(self.sim, token["id"], token["secret"])

    def test_401_is_late_and_empty(self):
        started = time.monotonic()
        reply = Client(self.sim, secret="00000000-0000-0000-0000-000000000000").get("/version")
        self.refused(reply, 401, "Authentication failed!")
        self.assertEqual(reply.body, b"")
        self.assertGreater(time.monotonic() - started, 0.4)
        self.refused(self.other("nante@pve!old").get("/version"), 401, "Authentication failed!")
        self.refused(self.api.request("GET", "/version", headers={"Authorization": ""}), 401)

    def test_authentication_comes_before_the_route(self):
        self.assertEqual(Client(self.sim, secret="x").get("/nothing").status, 401)

    def test_route_before_permission_before_node_before_parameters(self):
        empty = self.other("nante@pve!empty")
        self.refused(self.api.get("/nothing"), 501, "Method 'GET /nothing' not implemented")
        self.refused(self.api.get("/nodes//qemu"), 501, "Method 'GET /nodes//qemu' not implemented")
        self.refused(empty.put(Q1 + "/9000/config", nosuch=1), 403,
                     "Permission check failed (/vms/9000, VM.Config.Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory"
                     "|VM.Config.Network|VM.Config.HWType|VM.Config.Options|VM.Config.Cloudinit)")
        self.refused(self.api.put("/nodes/moon/qemu/9000/config", nosuch=1), 500,
                     "hostname lookup 'moon' failed - failed to get address info for: moon: Name or service not known")
        self.assertEqual(self.api.put(Q1 + "/4711/config", nosuch=1).status, 400)
        self.refused(self.api.put(Q1 + "/4711/config", cores=1), 500,
                     "Configuration file 'nodes/pmx1/qemu-server/4711.conf' does not exist")

    def test_privilege_separation_is_an_intersection(self):
        narrow = self.other("nante@pve!narrow")
        rights = narrow.get("/access/permissions", path="/vms/9000").data["/vms/9000"]
        self.assertIn("VM.Clone", rights)
        self.assertNotIn("VM.Console", rights)      # the token has it, its user does not
        self.assertNotIn("Datastore.AllocateSpace", rights)
        self.assertEqual(self.other("nante@pve!empty").get("/access/permissions", path="/vms/9000").data,
                         {"/vms/9000": {}})
        self.refused(narrow.post(TEMPLATE + "/clone", newid=555), 403, "Permission check failed (/vms/555, VM.Allocate)")

    def test_too_few_rights_show_nothing(self):
        empty = self.other("nante@pve!empty")
        self.assertEqual(empty.get("/cluster/resources", type="vm").data, [])
        self.assertEqual(empty.get(Q1).data, [])

    def test_pool_rights_reach_its_guests(self):
        vmid, path = self.clone(pool="p1")
        self.assertEqual(self.other("pool@pve!pl").get(path + "/config").status, 200)
        self.assertEqual(self.other("pool@pve!pl").get(TEMPLATE + "/config").status, 403)
        self.refused(self.api.post(TEMPLATE + "/clone", newid=800, pool="nope"), 403, "pool 'nope' does not exist")
        self.assertEqual([m["vmid"] for m in self.api.get("/pools", poolid="p1").data[0]["members"]], [vmid])

    def test_a_token_of_root_is_not_root(self):
        root = self.other("root@pam!all")
        vmid, path = self.clone()
        self.refused(root.put(path + "/config", args="-x"), 500, "only root can set 'args' config")
        self.refused(root.put(path + "/config", serial0="/dev/ttyS0"), 500,
                     "only root can set 'serial0' config for real devices")
        self.assertEqual(root.put(path + "/config", serial0="socket").status, 200)
        self.assertEqual(root.put(path + "/config", skiplock=1, cores=1).errors,
                         {"skiplock": "Only root may use this option."})

    def test_bridge_needs_sdn_use(self):
        narrow = self.other("nante@pve!narrow")
        self.refused(narrow.put(TEMPLATE + "/config", net0="virtio,bridge=vmbr0,tag=10"), 403,
                     "Permission check failed (/sdn/zones/localnetwork/vmbr0/10, SDN.Use)")

    def test_startup_needs_a_right_on_the_root(self):
        self.refused(self.api.put(TEMPLATE + "/config", startup="order=1"), 403,
                     "Permission check failed (/, Sys.Modify)")

    def test_tasks_of_others(self):
        task = self.api.post(TEMPLATE + "/clone", newid=600).data
        self.assertEqual(self.api.wait(task), "OK")
        path = "/nodes/pmx1/tasks/%s/status" % encoded(task)
        self.assertEqual(self.other("nante@pve!narrow").get(path).status, 200)     # Sys.Audit
        self.refused(self.other("nante@pve!empty").get(path), 403, "Permission check failed (/nodes/pmx1, Sys.Audit)")
        self.assertEqual(self.api.get(path).data["tokenid"], "ci")
        self.assertEqual(self.api.get(path).data["user"], "nante@pve")


class Release8(PveTest):
    config = {"pve_version": "8.4", "suite": "trixie"}

    def test_reason_phrase_only(self):
        reply = self.api.get(Q1 + "/4711/config")
        self.assertEqual(reply.json, {"data": None})
        self.assertIn("4711.conf' does not exist", reply.reason)

    def test_401_tells_why(self):
        self.refused(Client(self.sim, secret="00000000-0000-0000-0000-000000000000").get("/version"), 401,
                     "invalid token value!")
        self.refused(Client(self.sim, token="nante@pve!other").get("/version"), 401,
                     "no such token 'other' for user 'nante@pve'")
        self.refused(self.api.request("GET", "/version", headers={"Authorization": ""}), 401, "No ticket")

    def test_parameters_of_the_release(self):
        self.bad_param(self.api.put(TEMPLATE + "/config", **{"allow-ksm": 1}), allow__ksm=UNKNOWN)
        self.assertTrue(self.api.get("/version").data["version"].startswith("8.4"))

    def test_the_template_is_named_after_the_suite(self):
        self.assertEqual([(g["vmid"], g["name"]) for g in self.api.get(Q1).data], [(9000, "debian-13-template")])

    def test_agent_privilege(self):
        rights = self.api.get("/access/permissions", path="/vms/9000").data["/vms/9000"]
        self.assertIn("VM.Monitor", rights)
        self.assertNotIn("VM.GuestAgent.Audit", rights)


class Discovery(PveTest):
    config = {"name_lag": 1.0, "offline_nodes": ["pmx3"]}

    def test_names_come_late(self):
        vmid, path = self.clone(name="seen")
        self.api.put(path + "/config", tags="known")

        def row():
            return next(g for g in self.api.get("/cluster/resources", type="vm").data if g["vmid"] == vmid)
        if "name" in row():         # a broadcast fell in between: take a second one
            return self.test_names_come_late()
        self.assertEqual((row()["status"], row()["tags"]), ("unknown", "known"))
        self.assertIn("seen", [g["name"] for g in self.api.get(Q1).data])
        time.sleep(1.3)
        self.assertEqual((row()["name"], row()["status"]), ("seen", "stopped"))

    def test_nodes(self):
        self.assertEqual({n["node"]: n["status"] for n in self.api.get("/nodes").data},
                         {"pmx1": "online", "pmx2": "online", "pmx3": "offline"})
        self.refused(self.api.get("/nodes/pmx3/qemu"), 595, "No route to host")
        self.assertEqual(self.api.get("/cluster/status").data[0]["quorate"], 1)

    def test_storage(self):
        rows = {s["storage"]: s for s in self.api.get("/nodes/pmx1/storage", content="images", enabled=1).data}
        self.assertEqual({n: s["shared"] for n, s in rows.items()}, {"local-lvm": 0, "shared": 1})
        archives = [v["volid"] for v in self.api.get("/nodes/pmx1/storage/local/content", content="vztmpl").data]
        self.assertTrue(any("debian-12-standard" in a for a in archives))

    def test_network(self):
        self.assertEqual([n["iface"] for n in self.api.get("/nodes/pmx1/network", type="any_bridge").data], ["vmbr0"])

    def test_tasks(self):
        self.bad_param(self.api.get("/nodes/pmx1/tasks/nonsense/status"), upid="unable to parse worker upid")
        upid = "UPID:pmx1:00000001:00000001:00000001:qmstart:100:nante@pve!ci:"
        self.bad_param(self.api.get("/nodes/pmx1/tasks/%s/status" % encoded(upid)), upid="no such task")
        vmid, path = self.clone()
        self.done(self.api.post(path + "/status/start"))
        rows = self.api.get("/nodes/pmx1/tasks", vmid=vmid, typefilter="qmstart", source="all").data
        self.assertEqual([(r["type"], r["id"], r["status"]) for r in rows], [("qmstart", str(vmid), "OK")])


class Faults(PveTest):
    def test_reset_and_lost_answer(self):
        with self.sim.faults({"match": {"path": "^/version"}, "action": "reset"}):
            with self.assertRaises(ConnectionError):
                self.api.get("/version")
            self.assertEqual(self.api.get("/version").status, 200)
        with self.sim.faults({"match": {"path": "clone$"}, "action": "drop_after_work"}):
            with self.assertRaises(ConnectionError):
                self.api.post(TEMPLATE + "/clone", newid=300)
        tasks = self.api.get("/nodes/pmx1/tasks", source="all", typefilter="qmclone").data
        self.assertEqual(self.api.wait(tasks[0]["upid"]), "OK")
        self.assertEqual(self.api.get(Q1 + "/300/config").status, 200)

    def test_proxy_timeout_while_the_work_goes_on(self):
        with self.sim.faults({"match": {"path": "clone$"}, "action": "proxy_timeout"}):
            self.refused(self.api.post(TEMPLATE + "/clone", newid=310), 596, "Connection timed out")
        end = time.monotonic() + 5
        while self.api.get(Q1 + "/310/config").status != 200 and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(self.api.get(Q1 + "/310/config").status, 200)

    def test_nth_and_count(self):
        with self.sim.faults({"match": {"path": "version"}, "nth": 2, "count": 2, "action": "status", "code": 503,
                              "reason": "busy"}):
            self.assertEqual([self.api.get("/version").status for _ in range(4)], [200, 503, 503, 200])

    def test_hold(self):
        """Before the work, and between the work and its answer; only requests of the methods named are counted."""
        held = os.path.join(self.sim.state, "held")
        for number, after in ((320, False), (321, True)):
            rule = {"match": {"method": "PUT|POST", "path": "qemu"}, "action": "hold", "after_work": after}
            with self.sim.faults(rule), concurrent.futures.ThreadPoolExecutor() as pool:
                self.assertEqual(self.api.get(Q1).status, 200)
                cloning = pool.submit(self.api.post, TEMPLATE + "/clone", newid=number)
                end = time.monotonic() + 10
                while not os.path.exists(held) and time.monotonic() < end:
                    time.sleep(0.01)
                self.assertFalse(cloning.done())
                os.unlink(os.path.join(self.sim.state, "faults.json"))
                with self.assertRaises(ConnectionError):
                    cloning.result(10)
                self.sim.write("faults.json", [])
            self.assertEqual(self.api.get(Q1 + "/%d/status/current" % number).status, 200 if after else 500)

    def test_delay_and_tasks(self):
        with self.sim.faults({"match": {"path": "version"}, "action": "delay", "seconds": 0.3}):
            started = time.monotonic()
            self.api.get("/version")
            self.assertGreater(time.monotonic() - started, 0.3)
        vmid, path = self.clone()
        with self.sim.faults({"match": {"path": "start$"}, "action": "task_warning", "text": "careful"}):
            self.assertEqual(self.api.wait(self.api.post(path + "/status/start")), "WARNINGS: 1")
        self.assertEqual(self.sim.log()[-1]["status"], 200)

    def test_restart_keeps_the_state(self):
        vmid, path = self.clone(name="stays")
        digest = self.api.get(path + "/config").data["digest"]
        upid = self.api.put(path + "/resize", disk="scsi0", size="12G").data
        self.api.wait(upid)
        for sig in (signal.SIGTERM, signal.SIGKILL):
            digest = self.api.get(path + "/config").data["digest"]
            self.sim.stop(sig)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.sim.state, "pve.ready"))
            self.sim.start()
            self.assertEqual(self.api.get(path + "/config").data["digest"], digest)
            self.assertEqual(self.api.wait(upid), "OK")


class IndependentClient(PveTest):
    """Debian's python3-proxmoxer through a whole life, in its own interpreter."""

    SCRIPT = """
import sys, time, urllib.parse
from proxmoxer import ProxmoxAPI, ResourceException
port, ca, user, token, secret, key = sys.argv[1:]
api = ProxmoxAPI("127.0.0.1", port=int(port), user=user, token_name=token, token_value=secret, verify_ssl=ca)

def wait(upid):
    for _ in range(400):
        status = api.nodes(upid.split(":")[1]).tasks(upid).status.get()
        if status["status"] == "stopped":
            assert status["exitstatus"] == "OK", status
            return
        time.sleep(0.02)
    raise SystemExit("task does not end")

node = api.nodes("pmx2")
vmid = api.cluster.nextid.get()
wait(node.qemu.post(vmid=vmid, name="made", memory=1024, agent="1", scsihw="virtio-scsi-single",
                    scsi0="local-lvm:0,import-from=local:import/debian-12-generic-amd64.qcow2",
                    ide2="local-lvm:cloudinit", net0="virtio,bridge=vmbr0,tag=10", boot="order=scsi0"))
vm = node.qemu(vmid)
vm.config.put(cores=2, ciuser="deploy", sshkeys=urllib.parse.quote(key, safe=""),
              ipconfig0="ip=192.168.10.80/24,gw=192.168.10.1", tags="b,a")
wait(vm.resize.put(disk="scsi0", size="20G"))
config = vm.config.get()
assert config["cores"] == 2 and config["tags"] == "a;b" and "size=20G" in config["scsi0"], config
wait(vm.status.start.post())
assert vm.status.current.get()["status"] == "running"
vm.agent.ping.post()
cards = vm.agent("network-get-interfaces").get()["result"]
assert any(a["ip-address"] == "192.168.10.80" for c in cards for a in c["ip-addresses"]), cards
try:
    vm.delete()
    raise SystemExit("deleted while it ran")
except ResourceException as err:
    assert "is running - destroy failed" in str(err), err
wait(vm.status.stop.post())
wait(vm.delete(purge=1))
assert not [g for g in api.cluster.resources.get(type="vm") if g["vmid"] == int(vmid)]
print("whole life")
"""

    def test_life(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import proxmoxer"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("python3-proxmoxer is not installed")
        user, _, token = self.sim.config["token_id"].partition("!")
        done = subprocess.run(["/usr/bin/python3", "-c", self.SCRIPT, str(self.sim.port),
                               os.path.join(self.sim.state, "ca.pem"), user, token, self.sim.config["token_secret"], KEY],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, cwd=HERE)
        self.assertEqual((done.returncode, done.stdout.decode().strip()), (0, "whole life"))


if __name__ == "__main__":
    unittest.main()
