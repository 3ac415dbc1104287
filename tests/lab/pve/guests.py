"""One guest: its configuration as the API shows and changes it, its volumes, its machine."""

import hashlib
import re
import time

from . import formats
from .errors import TaskError, fail

DRIVE = re.compile(r"(ide|sata|scsi|virtio)\d+|efidisk0|tpmstate0")
MOUNT = re.compile(r"rootfs|mp\d+")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# Options that the API shows as numbers.
NUMERIC = ("acpi autostart balloon ciupgrade cores cpuunits kvm numa onboot protection sockets tablet template"
           " vcpus unprivileged swap console tty shares reboot freeze localtime debug").split()


def agent_on(conf):
    first = conf.get("agent", "0").split(",")[0].replace("enabled=", "")
    return first in ("1", "on", "yes", "true")


class Guest:
    def __init__(self, vmid, kind, node):
        self.vmid, self.kind, self.node = vmid, kind, node
        self.conf = {}
        self.pending = {}        # option -> value; None: to be deleted
        self.snapshots = {}      # name -> {conf, time, parent, description}
        self.parent = None
        self.image = None        # what a clone of this template starts from when it has no machine itself
        self.host = None         # the machine's name in the lab; None: nothing that could boot
        self.keys = []           # a container's SSH keys for root, which its configuration does not hold
        self.run = None          # while it runs: {since, conf, agent}
        self.exec = {}           # guest agent: pid -> Exec; lost with the simulator, as with an agent restart
        self.next_pid = 800

    FIELDS = ("vmid", "kind", "node", "conf", "pending", "snapshots", "parent", "image", "host", "keys",
              "run")

    def dump(self):
        return {k: getattr(self, k) for k in self.FIELDS}

    @classmethod
    def load(cls, data):
        guest = cls(data["vmid"], data["kind"], data["node"])
        for key in cls.FIELDS:
            setattr(guest, key, data[key])
        return guest

    def forget_dead_work(self, world):
        """After a restart of the simulator: a machine that is gone does not run."""
        if self.run and self.host and not world.hosts.exists(self.host):
            self.host = self.run = None

    # --- reading -------------------------------------------------------------------------------

    @property
    def name(self):
        option = "name" if self.kind == "qemu" else "hostname"
        return self.conf.get(option) or ("VM %d" if self.kind == "qemu" else "CT%d") % self.vmid

    @property
    def is_template(self):
        return self.conf.get("template") == "1"

    def running(self, world):
        """Asks the machine itself: it may have been switched off, or on, past the API (by the lab's own commands)."""
        if not self.host or not world.hosts.exists(self.host) or world.hosts.state(self.host) == "stopped":
            self.run = None if self.host else self.run
        elif self.run is None:
            self.run = {"since": time.time(), "conf": dict(self.conf), "agent": agent_on(self.conf)}
        return self.run is not None

    def merged(self):
        """The configuration with pending changes applied."""
        conf = dict(self.conf)
        for key, value in self.pending.items():
            if value is None:
                conf.pop(key, None)
            else:
                conf[key] = value
        return conf

    def raw(self):
        """The configuration file's text, of which the digest is made."""
        lines = ["#" + line for line in self.conf.get("description", "").split("\n") if line]
        lines += ["%s: %s" % kv for kv in sorted(self.conf.items()) if kv[0] != "description"]
        if self.pending:
            lines += ["", "[PENDING]"]
            gone = sorted(k for k, v in self.pending.items() if v is None)
            if gone:
                lines.append("delete: " + ",".join(gone))
            lines += ["%s: %s" % kv for kv in sorted(self.pending.items()) if kv[1] is not None]
        for name, snap in sorted(self.snapshots.items()):
            lines += ["", "[%s]" % name]
            lines += ["%s: %s" % kv for kv in sorted(snap["conf"].items())]
        return "\n".join(lines) + "\n"

    def digest(self):
        return hashlib.sha1(self.raw().encode()).hexdigest()

    def show(self, conf):
        """A configuration as JSON: numbers as numbers, secrets masked, the note ends in a newline."""
        out = {}
        for key, value in conf.items():
            if key == "cipassword":
                value = "**********"
            elif key in NUMERIC and re.fullmatch(r"-?\d+", value):
                value = int(value)
            elif key == "description":
                value = value.rstrip("\n") + "\n"
            out[key] = value
        return out

    def status(self, world):
        return "running" if self.running(world) else "stopped"

    def sizes(self, world):
        conf = self.conf
        memory = int(conf.get("memory", "512").split(",")[0].replace("current=", "")) << 20
        cores = int(conf.get("cores", "1")) * int(conf.get("sockets", "1"))
        boot = boot_disk(conf) if self.kind == "qemu" else "rootfs"
        volume = world.volumes.get(conf.get(boot, "").split(",")[0], {})
        return {"maxmem": memory, "cpus": cores, "maxdisk": volume.get("size", 0)}

    def summary(self, world):
        """What node status daemons spread about the guest."""
        size = self.sizes(world)
        up = self.running(world)
        return {"name": self.name, "status": "running" if up else "stopped",
                "template": 1 if self.is_template else 0, "maxmem": size["maxmem"],
                "maxcpu": size["cpus"], "maxdisk": size["maxdisk"], "cpu": 0, "disk": 0,
                "mem": size["maxmem"] // 4 if up else 0, "netin": 0, "netout": 0, "diskread": 0,
                "diskwrite": 0, "uptime": int(time.time() - self.run["since"]) if up else 0}

    # --- guards --------------------------------------------------------------------------------

    def lock_text(self):
        lock = self.conf.get("lock")
        return "%s is locked (%s)" % ("VM" if self.kind == "qemu" else "CT", lock) if lock else None

    def refuse_locked(self):
        if self.lock_text():
            raise fail(self.lock_text())

    def refuse_locked_task(self):
        if self.lock_text():
            raise TaskError(self.lock_text())

    # --- volumes -------------------------------------------------------------------------------

    def drives(self, conf=None):
        """option -> volume id, for every drive that has one."""
        pattern = DRIVE if self.kind == "qemu" else MOUNT
        found = {}
        for key, value in (self.conf if conf is None else conf).items():
            volume = value.split(",")[0].replace("file=", "").replace("volume=", "")
            if pattern.fullmatch(key) and ":" in volume:
                found[key] = volume
        return found

    def is_cloudinit(self, volume):
        return volume.endswith(":vm-%d-cloudinit" % self.vmid) or "vm-%d-cloudinit." % self.vmid in volume

    def cloudinit_drive(self):
        return next((v for v in self.drives().values() if self.is_cloudinit(v)), None)

    def free_name(self, world, storage):
        taken = set(world.volumes) | set(self.drives().values())
        number = 0
        while any(v.endswith("vm-%d-disk-%d" % (self.vmid, number)) and v.startswith(storage + ":")
                  for v in taken):
            number += 1
        return "%s:vm-%d-disk-%d" % (storage, self.vmid, number)

    # --- networks ------------------------------------------------------------------------------

    def networks(self, conf=None):
        """option -> parsed network device."""
        out = {}
        for key, value in sorted((self.conf if conf is None else conf).items()):
            if re.fullmatch(r"net\d+", key):
                out[key] = parse_net(self.kind, value)
        return out


def parse_net(kind, value):
    """Network device as a dict; values in a configuration have been checked before."""
    parts = {}
    for part in value.split(","):
        key, eq, one = part.partition("=")
        if not eq:
            parts["model"] = key
        elif kind == "qemu" and re.search(r"\b%s ->macaddr" % re.escape(key), formats.PROPERTIES["net-qemu"]):
            parts["model"], parts["macaddr"] = key, one
        else:
            parts[key] = one
    return parts


def print_net(kind, parts):
    parts = dict(parts)
    if kind == "qemu":
        head = ["%s=%s" % (parts.pop("model"), parts.pop("macaddr"))]
    else:
        head = ["name=" + parts.pop("name")]
    return ",".join(head + ["%s=%s" % kv for kv in sorted(parts.items())])


def mac_of(parts):
    return parts.get("macaddr") or parts.get("hwaddr")


def boot_disk(conf):
    match = re.search(r"order=([^,]+)", conf.get("boot", ""))
    for device in match.group(1).split(";") if match else []:
        if DRIVE.fullmatch(device) and "media=cdrom" not in conf.get(device, "media=cdrom"):
            return device
    if conf.get("bootdisk"):
        return conf["bootdisk"]
    for key in sorted(conf):
        if DRIVE.fullmatch(key) and "media=cdrom" not in conf[key]:
            return key
    return ""


def parse_size(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", text)
    return int(float(match.group(1)) * UNITS[match.group(2)])


def print_size(size):
    for unit in "TGMK":
        if size >= UNITS[unit] and size % UNITS[unit] == 0:
            return "%d%s" % (size // UNITS[unit], unit)
    return str(size)


def normal_tags(value):
    """Lower case, sorted, each once, joined by semicolons."""
    found = {t.lower() for t in re.split(r"[,;\s]+", value) if t}
    return ";".join(sorted(found))
