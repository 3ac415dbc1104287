"""The cluster: nodes, storages, guests, pools, volumes. One lock guards it; every change is saved."""

import contextlib
import json
import os
import random
import threading
import time
import uuid

from . import guests
from .access import Access
from .disks import IMAGES
from .locks import Locks
from .schema import Checker
from .tasks import Task, Tasks

# Keys of config.json (top level, or under "pve") and what they are when absent.
DEFAULTS = {
    "pve_version": "9.2",
    "nodes": ["pmx1", "pmx2", "pmx3"],
    "offline_nodes": [],
    "suite": "bookworm",
    "bridges": ["vmbr0"],
    "vlans": None,             # VLAN tags that lead somewhere; None: not checked
    "users": {"root@pam": {}},
    "tokens": None,            # [{id, secret, privsep, expired}]; None: one from token_id and token_secret
    "acl": None,               # [{path, who, role | privs, propagate}]; None: Provision on / for all owners
    "templates": None,         # [{vmid, name, node, image, storage, disk_gb}]; None: one, by suite
    "storages": {
        "local": {"type": "dir", "content": "iso,vztmpl,snippets,backup,import", "shared": 0, "gb": 100},
        "local-lvm": {"type": "lvmthin", "content": "images,rootdir", "shared": 0, "gb": 500},
        "shared": {"type": "rbd", "content": "images,rootdir", "shared": 1, "gb": 2000},
    },
    "pools": [],
    "next_id": [100, 1000000],
    "name_lag": 10.0,          # seconds between two broadcasts of names and states
    "auth_delay": 3.0,
    "proxy_timeout": 30.0,
    "cleanup_lock": 2.0,       # how long the clean-up after a stop holds the guest's file lock
    "durations": {},           # overrides of DURATIONS
    "registered_tags": [],
}
# Seconds at PVE_SIM_SPEED=1.
DURATIONS = {"alloc": 0.25, "linked": 0.5, "full_gb": 0.15, "start": 0.2, "stop": 0.3, "config": 0.03,
             "resize": 0.3, "destroy": 0.5, "create": 0.2, "template": 0.3, "snapshot": 0.3}


class World:
    def __init__(self, state_dir, hosts, host_error):
        self.dir = state_dir
        self.hosts = hosts
        self.host_error = host_error
        self.cfg = load_config(state_dir)
        self.version = str(self.cfg["pve_version"])
        self.release = int(self.version.split(".")[0])
        self.speed = float(os.environ.get("PVE_SIM_SPEED", self.cfg.get("speed", 1)))
        self.checker = Checker(self.release)
        self.mutex = threading.RLock()
        self.locks = Locks()
        self.tasks = Tasks(self.save)
        self.guests = {}
        self.volumes = {}
        self.pools = {}
        self.broadcast = {}
        self.started = time.time()
        self.access = Access(self.cfg, self.release, self.pool_of)
        self._random = random.SystemRandom()
        self._save_lock = threading.Lock()
        if not self._load():
            self._populate()
            self.save()
        self.refresh_broadcast()

    # --- configuration -------------------------------------------------------------------------

    @property
    def nodes(self):
        return self.cfg["nodes"]

    def duration(self, what, amount=1.0):
        seconds = self.cfg["durations"].get(what, DURATIONS[what])
        return seconds * amount / self.speed

    def storage(self, name):
        return self.cfg["storages"].get(name)

    def storage_on(self, name, node):
        """Whether storage `name` can be reached from `node`."""
        store = self.storage(name)
        return store is not None and node in store.get("nodes", self.nodes)

    def holds(self, name, content):
        store = self.storage(name)
        return store is not None and content in store["content"].split(",")

    # --- state ---------------------------------------------------------------------------------

    def _path(self):
        return os.path.join(self.dir, "pve-state.json")

    def save(self):
        with self._save_lock:
            with self.mutex:
                data = {"guests": [g.dump() for g in self.guests.values()], "volumes": self.volumes,
                        "pools": self.pools,
                        "tasks": [t.dump() for t in list(self.tasks.by_upid.values())]}
                text = json.dumps(data)
            write_atomic(self._path(), text)

    def _load(self):
        try:
            with open(self._path(), encoding="utf-8") as f:
                data = json.load(f)
        except FileNotFoundError:
            return False
        for item in data["guests"]:
            guest = guests.Guest.load(item)
            self.guests[guest.vmid] = guest
        self.volumes = data["volumes"]
        self.pools = data["pools"]
        for item in data["tasks"]:
            task = Task.load(item)
            self.tasks.by_upid[task.upid] = task
        for guest in self.guests.values():
            guest.forget_dead_work(self)
        return True

    def _populate(self):
        for name in self.cfg["pools"]:
            self.pools[name] = {"comment": "", "vms": [], "storage": []}
        for item in self.cfg["templates"]:
            self._add_template(item)

    def _add_template(self, item):
        vmid, store = item["vmid"], item["storage"]
        guest = guests.Guest(vmid, "qemu", item["node"])
        guest.image = item["image"]
        gb = item.get("disk_gb", 10)
        disk = "%s:base-%d-disk-0" % (store, vmid)
        drive = "%s:vm-%d-cloudinit" % (store, vmid)
        self.volumes[disk] = {"size": gb << 30, "vmid": vmid, "base": None, "image": item["image"]}
        self.volumes[drive] = {"size": 4 << 20, "vmid": vmid, "base": None}
        guest.conf = {
            "agent": "1", "boot": "order=scsi0;net0", "cores": "1", "cpu": "x86-64-v2-AES",
            "ide2": drive + ",media=cdrom,size=4M", "memory": "1024", "name": item["name"],
            "net0": "virtio=%s,bridge=%s" % (self.new_mac(), self.cfg["bridges"][0]), "ostype": "l26",
            "scsi0": "%s,size=%dG" % (disk, gb), "scsihw": "virtio-scsi-single", "serial0": "socket",
            "smbios1": "uuid=" + str(uuid.uuid4()), "template": "1", "vga": "serial0",
            "vmgenid": str(uuid.uuid4()), "ciupgrade": "0"}
        self.guests[vmid] = guest

    def new_mac(self):
        return "BC:24:11:%02X:%02X:%02X" % tuple(self._random.randrange(256) for _ in range(3))

    def pool_of(self, vmid):
        return next((p for p, d in list(self.pools.items()) if vmid in d["vms"]), None)

    # --- what pvestatd spreads -----------------------------------------------------------------

    def refresh_broadcast(self):
        """Takes the picture that cluster/resources shows until the next one."""
        with self.mutex:
            known = list(self.guests.values())
        picture = {g.vmid: g.summary(self) for g in known if g.conf.get("lock") != "clone"}
        with self.mutex:
            self.broadcast = picture

    def keep_broadcasting(self):
        lag = float(self.cfg["name_lag"])
        while lag > 0:
            time.sleep(lag)
            self.refresh_broadcast()

    @staticmethod
    def pause(seconds):
        """The time that work inside a synchronous call takes."""
        time.sleep(max(seconds, 0))

    def free_volume(self, volid):
        with self.mutex:
            self.volumes.pop(volid, None)

    @contextlib.contextmanager
    def storage_lock(self, name):
        store = self.storage(name)
        timeout = float(self.cfg.get("storage_lock_timeout", 10))
        with self.locks.storage(name, bool(store and store["shared"]), timeout):
            yield


def load_config(state_dir):
    cfg = dict(DEFAULTS)
    path = os.path.join(state_dir, "config.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            given = json.load(f)
        cfg.update({k: v for k, v in given.items() if k in DEFAULTS or k in _EXTRA})
        cfg.update(given.get("pve", {}))
    first = cfg["nodes"][0]
    if cfg["tokens"] is None:
        cfg["tokens"] = [{"id": cfg["token_id"], "secret": cfg["token_secret"], "privsep": 0}]
    for token in cfg["tokens"]:
        cfg["users"] = dict({token["id"].split("!")[0]: {}}, **cfg["users"])
    if cfg["acl"] is None:
        owners = sorted({t["id"].split("!")[0] for t in cfg["tokens"]})
        cfg["acl"] = [{"path": "/", "who": who, "role": "Provision"} for who in owners]
    if cfg["templates"] is None:
        cfg["templates"] = [{"vmid": 9000, "name": IMAGES[cfg["suite"]][0], "node": first}]
    cfg["templates"] = [dict({"node": first, "storage": "shared", "image": cfg["suite"]}, **t)
                        for t in cfg["templates"]]
    return cfg


_EXTRA = ("snippets", "token_id", "token_secret", "speed", "storage_lock_timeout", "roles")


def write_atomic(path, text):
    temporary = "%s.%d.new" % (path, threading.get_ident())
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(temporary, path)
