"""Proxmox VE, Doppler and the hosts misbehave during a run: it converges, or it ends with the cause, the machine and
what to do; with the fault gone one plain run converges, and no machine was made twice. (More of Proxmox VE's:
tests/unit/test_proxmox.c.)

A fault of an API is one row of a table: the rules for the lab's faults.json, the exit code, words of the log, and how
many clones were asked for. A role of the caller's own takes the place of base_setup, so that a run takes seconds."""

import unittest

from light import ApiCase, clone, doppler, rule, status

GUEST_LOCK = "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout"
STORAGE_LOCK = "clone failed: cfs-lock 'storage-shared' error: got lock request timeout"
FULL = "clone failed: unable to create image: not enough space on storage 'shared'"
DENIED = "Permission check failed (/vms/%s, VM.PowerMgmt)"
PAGE = "<html><body><h1>Sign in to the hotel's network</h1></body></html>"

# name, rules, exit code, words in the log, clones asked for
FAULTS = [
    ("clone is reset", [clone("reset")], 0, [], 2),
    ("clone loses its answer", [clone("drop_after_work")], 0, [], 1),
    ("clone takes longer than the proxy waits", [clone("proxy_timeout", task_seconds=4)], 0, ["looking for what"], 1),
    ("source of the clone is locked", [clone("task_error", text=GUEST_LOCK, count=2)], 0, [], 3),
    ("source is locked for the request", [status(500, "VM is locked (backup)", "/clone$", "POST", count=2)], 0, [], 3),
    ("storage is busy", [clone("task_error", text=STORAGE_LOCK, count=2)], 0, [], 3),
    ("id is taken meanwhile",
     [status(500, "unable to create VM 100: config file already exists", "/clone$", "POST")], 0, [], 2),
    ("id is taken on another node",
     [clone("task_error", text="clone failed: close (rename) atomic file "
            "'/etc/pve/nodes/pmx1/qemu-server/100.conf' failed: File exists")], 0, [], 2),
    ("clone is slow, its task resets now and then",
     [clone("task_slow", seconds=4), rule("reset", "/tasks/.*/status", nth=3, count=2)], 0, [], 1),
    ("API is away at first", [rule("reset", "/version$", count=3)], 0, [], 1),
    ("gateway before the API says 503", [status(503, "Service Unavailable", "/nodes$", body=PAGE, count=2)], 0, [], 1),
    ("guest agent is late", [status(500, "QEMU guest agent is not running", "/agent/", count=4)], 0, [], 1),
    ("storage is full", [clone("task_error", text=FULL)], 1,
     ["machine {name}", "not enough space on storage 'shared'", "help: free some space"], 1),
    ("start fails", [rule("task_error", "/status/start$", "POST", text="start failed: QEMU exited with code 1")], 1,
     ["machine {name}", "QEMU exited with code 1", "help:"], 1),
    ("token may not start it", [status(403, DENIED % 100, "/status/start$", "POST")], 1,
     ["machine {name}", "VM.PowerMgmt", "help: give the API token that privilege"], 1),
    ("token lacks privileges", [status(200, "OK", "/access/permissions$", body='{"data":{"/":{"VM.Audit":1}}}')], 2,
     ["the API token lacks VM.Clone on /vms/9000", "the API token lacks VM.PowerMgmt on /vms",
      "help: add it in Datacenter > Permissions"], 0),
    ("API says garbage", [status(200, "OK", "/version$", body=PAGE, count=0)], 1,
     ["the answer is no JSON", "is PROXMOX_API_URL a Proxmox VE API?"], 0),
    ("Doppler's limit is reached",
     [doppler("status", code=429, reason="API rate limit exceeded.", headers={"Retry-After": "1"}, count=2)], 0, [], 1),
    ("Doppler is away for a moment", [doppler("status", code=503, reason="Service Unavailable", count=2)], 0, [], 1),
    ("Doppler resets", [doppler("reset", count=2)], 0, [], 1),
    ("Doppler is slow", [doppler("delay", seconds=3)], 0, [], 1),
    ("Doppler says garbage once", [doppler("status", code=200, reason="OK", body=PAGE)], 0, [], 1),
    ("Doppler says garbage", [doppler("status", code=200, reason="OK", body=PAGE, count=0)], 1,
     ["Doppler: reading the secrets: the answer is no JSON object", "help: something else answered"], 0),
    ("Doppler is down", [doppler("status", code=503, reason="Service Unavailable", count=0)], 1,
     ["Doppler: reading the secrets: 503 Service Unavailable", "dopplerstatus.com"], 0),
    ("Doppler refuses the token", [doppler("status", code=401, reason="Invalid Auth token", count=0)], 2,
     ["401 Invalid Auth token", "help: check the Doppler token"], 0),
]


class Faults(ApiCase):
    pass


Faults.add_tests(FAULTS)


if __name__ == "__main__":
    unittest.main()
