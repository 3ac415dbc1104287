"""What the simulators' tests share: a server process with a state directory of its own, and a plain client."""

import atexit
import base64
import concurrent.futures
import contextlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
TOKEN = "nante@pve!ci"
SECRET = "12345678-1234-1234-1234-123456789abc"
Q1 = "/nodes/pmx1/qemu"
TEMPLATE = Q1 + "/9000"
KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32).decode() + " me@here"
UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"


def encoded(text):
    return urllib.parse.quote(text, safe="")


def certificate(state):
    """A CA and a server certificate for the loopback address, as the lab makes them."""
    run = dict(cwd=state, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=lab test CA", "-keyout", "ca.key",
                    "-out", "ca.pem", "-addext", "keyUsage=critical,keyCertSign"], **run)
    with open(os.path.join(state, "ext"), "w", encoding="ascii") as f:
        f.write("subjectAltName=IP:127.0.0.1\n")
    subprocess.run(["openssl", "req", *key, "-subj", "/CN=pve.lab", "-keyout", "server.key", "-out", "server.csr"],
                   **run)
    subprocess.run(["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                    "-CAcreateserial", "-extfile", "ext", "-out", "server.pem"], **run)


class Simulator:
    """One simulator process. config: extra keys of config.json; env: extra environment; within: what makes of a
    command one that runs in another network namespace."""

    certs = None

    def __init__(self, kind="pve", config=None, env=None, within=list):
        self.kind, self.within = kind, within
        self.state = tempfile.mkdtemp(prefix="lab-%s-" % kind)
        if Simulator.certs is None:
            Simulator.certs = tempfile.mkdtemp(prefix="lab-certs-")
            atexit.register(shutil.rmtree, Simulator.certs)
            certificate(Simulator.certs)
        for name in ("ca.pem", "server.pem", "server.key"):
            shutil.copy(os.path.join(Simulator.certs, name), self.state)
        self.config = dict({"token_id": TOKEN, "token_secret": SECRET, "auth_delay": 0.1, "cleanup_lock": 0,
                            "name_lag": 0, "pve": {}}, **(config or {}))
        self.write("config.json", self.config)
        self.env = dict(dict(os.environ, PVE_SIM_SPEED="20"), **(env or {}))
        self.process = self._context = None
        self.start()

    def write(self, name, data):
        path = os.path.join(self.state, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(data, f)
        os.replace(path + ".new", path)

    def start(self):
        command = ([sys.executable, "-m", "pve.server", "--fake-hosts"] if self.kind == "pve"
                   else [sys.executable, "doppler.py"])
        self.process = subprocess.Popen(self.within(command + ["--state", self.state, "--listen", "127.0.0.1:0"]),
                                        cwd=HERE, env=self.env)
        ready = os.path.join(self.state, self.kind + ".ready")
        end = time.monotonic() + 10
        while not (os.path.exists(ready) and os.path.getsize(ready)):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the %s simulator did not start" % self.kind)
            time.sleep(0.02)
        with open(ready, encoding="ascii") as f:
            self.port = int(f.read().strip().rpartition(":")[2])

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(10)

    def close(self):
        self.stop()
        shutil.rmtree(self.state)

    def log(self):
        with open(os.path.join(self.state, "api.log"), encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def context(self):
        if not self._context:
            self._context = ssl.create_default_context(cafile=os.path.join(self.state, "ca.pem"))
        return self._context

    def connection(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context(), timeout=20)

    @contextlib.contextmanager
    def faults(self, *rules):
        self.write("faults.json", list(rules))
        try:
            yield
        finally:
            os.unlink(os.path.join(self.state, "faults.json"))


class Reply:
    def __init__(self, response):
        self.status, self.reason = response.status, response.reason
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        if self.status != 200:
            raise AssertionError("%d %s %r" % (self.status, self.reason, self.body))
        return self.json["data"]

    @property
    def errors(self):
        return self.json.get("errors", {})


class Client:
    """Requests as a careful program makes them; `raw` sends a body as it is."""

    def __init__(self, sim, token=TOKEN, secret=SECRET):
        self.sim = sim
        self.header = {"Authorization": "PVEAPIToken=%s=%s" % (token, secret)}

    def request(self, method, path, params=None, raw=None, headers=None):
        target, body = "/api2/json" + path, None
        head = dict(self.header, **(headers or {}))
        if params:
            text = urllib.parse.urlencode(params, doseq=True, quote_via=urllib.parse.quote)
            if method in ("POST", "PUT"):
                body = text
            else:
                target += "?" + text
        if raw is not None:
            body = raw
        if body is not None:
            head.setdefault("Content-Type", "application/x-www-form-urlencoded")
        with contextlib.closing(self.sim.connection()) as conn:
            conn.request(method, target, body, head)
            return Reply(conn.getresponse())

    def get(self, path, /, **params):
        return self.request("GET", path, params)

    def post(self, path, /, **params):
        return self.request("POST", path, params)

    def put(self, path, /, **params):
        return self.request("PUT", path, params)

    def delete(self, path, /, **params):
        return self.request("DELETE", path, params)

    def wait(self, reply, limit=20):
        """The exit status of the task a reply names."""
        upid = reply if isinstance(reply, str) else reply.data
        path = "/api2/json/nodes/%s/tasks/%s/status" % (upid.split(":")[1], encoded(upid))
        end = time.monotonic() + limit
        with contextlib.closing(self.sim.connection()) as conn:
            while time.monotonic() < end:
                conn.request("GET", path, headers=self.header)
                status = Reply(conn.getresponse()).data
                if status["status"] == "stopped":
                    return status["exitstatus"]
                time.sleep(0.03)
        raise AssertionError("task %s does not end" % upid)


class PveTest(unittest.TestCase):
    """Cases against one simulator; `config` and `env` give a class one of its own."""
    config = {}
    env = {}

    _shared = None

    @classmethod
    def setUpClass(cls):
        if cls.config or cls.env:
            cls.sim = Simulator("pve", cls.config, cls.env)
        else:
            PveTest._shared = PveTest._shared or Simulator("pve")
            cls.sim = PveTest._shared
        cls.api = Client(cls.sim)

    @classmethod
    def tearDownClass(cls):
        if cls.sim is not PveTest._shared:
            cls.sim.close()

    @classmethod
    def close_shared(cls):
        """For tearDownModule: ends the simulator of the classes without a configuration of their own."""
        if PveTest._shared:
            PveTest._shared.close()
            PveTest._shared = None

    def refused(self, reply, status, reason=None):
        self.assertEqual(reply.status, status, reply.body)
        if reason is not None:
            self.assertEqual(reply.reason, reason)

    def bad_param(self, reply, **errors):
        self.refused(reply, 400, "Parameter verification failed.")
        self.assertEqual(reply.errors, {k.replace("__", "-"): v for k, v in errors.items()})

    def done(self, reply):
        self.assertEqual(self.api.wait(reply), "OK")

    def clone(self, **params):
        """A clone of the template; returns (vmid, path)."""
        vmid = int(params.pop("newid", 0) or self.api.get("/cluster/nextid").data)
        self.done(self.api.post(TEMPLATE + "/clone", newid=vmid, **params))
        node = params.get("target", "pmx1")
        return vmid, "/nodes/%s/qemu/%d" % (node, vmid)

    def running(self, **params):
        vmid, path = self.clone(**params)
        self.done(self.api.post(path + "/status/start"))
        return vmid, path

    @contextlib.contextmanager
    def background(self, count=4):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            yield pool
