"""Faults of the APIs that last longer than the product waits: it ends, in minutes, with the cause and what to do."""

import unittest

from light import ApiCase, clone, doppler, rule, status

STORAGE_LOCK = "clone failed: cfs-lock 'storage-shared' error: got lock request timeout"
GUEST_LOCK = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout"
LIMIT = {"code": 429, "reason": "API rate limit exceeded.", "count": 0}

# name, rules, exit code, words in the log, clones asked for (None: as many as the time allows)
FAULTS = [
    ("storage is busy for ever", [clone("task_error", text=STORAGE_LOCK, count=0)], 1,
     ["machine {name}", "got lock request timeout", "help: the storage is busy"], None),
    ("machine is locked for ever", [status(500, GUEST_LOCK, "/config$", "PUT", count=0)], 1,
     ["machine {name}", GUEST_LOCK, "qm unlock"], 1),
    ("API goes away in the middle", [clone("task_slow", seconds=5), rule("reset", "/tasks/", nth=3, count=0)], 4,
     ["machine {name}", "help: "], 1),
    ("proxy gives up after 30 s, the clone takes a minute",
     [clone("proxy_timeout", seconds=30, task_seconds=60)], 0, ["looking for what"], 1),
    ("Doppler's limit lasts", [doppler("status", headers={"Retry-After": "20"}, **LIMIT)], 1,
     ["429 API rate limit exceeded.", "help: Doppler asks to wait 20 s"], 0),
    ("Doppler never answers", [doppler("delay", seconds=60, count=0)], 4,
     ["Doppler: reading the secrets", "help: may this runner reach https://"], 0),
]


class Slow(ApiCase):
    pass


Slow.add_tests(FAULTS)


if __name__ == "__main__":
    unittest.main()
