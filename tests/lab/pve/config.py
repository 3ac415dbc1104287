"""Reading and changing a VM's configuration: who may set what, what applies at once, what has to wait."""

import base64
import binascii
import re
import subprocess
import urllib.parse

from . import disks, table_qemu
from .call import locked_sync
from .errors import ApiError, TaskError, bad_params, fail, param_error
from .guests import DRIVE, normal_tags, parse_net, print_net
from .locks import LockTimeout

CONTROL = ("node", "vmid", "delete", "revert", "digest", "skiplock", "force", "background_delay", "storage",
           "pool", "start", "unique", "archive", "bwlimit", "live-restore", "ha-managed",
           "import-working-storage")
KEY_TYPES = re.compile(r"(?:^|\s)((?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-nistp(?:256|384|521)"
                       r"|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com))\s+(\S+)")


def family(option):
    """net0 -> net"""
    return option.rstrip("0123456789")


def options(call):
    return {k: v for k, v in call.args.items() if k not in CONTROL}


# --- reading -----------------------------------------------------------------------------------

def get(call):
    guest = call.guest()
    if call.args.get("snapshot"):
        return guest.show(snapshot_conf(guest, call.args["snapshot"]))
    conf = guest.conf if call.flag("current") else guest.merged()
    out = guest.show(conf)
    if guest.parent:
        out["parent"] = guest.parent
    out["digest"] = guest.digest()
    return out


def snapshot_conf(guest, name):
    if name not in guest.snapshots:
        raise fail("snapshot '%s' does not exist" % name)
    snap = guest.snapshots[name]
    return dict(snap["conf"], snaptime=str(snap["time"]))


def pending(call):
    guest = call.guest()
    rows = []
    for key in sorted(set(guest.conf) | set(guest.pending)):
        row = {"key": key}
        if key in guest.conf:
            row["value"] = guest.show({key: guest.conf[key]})[key]
        if key in guest.pending:
            if guest.pending[key] is None:
                row["delete"] = 1
            else:
                row["pending"] = guest.show({key: guest.pending[key]})[key]
        rows.append(row)
    rows.append({"key": "digest", "value": guest.digest()})
    return rows


# --- who may -----------------------------------------------------------------------------------

def privilege(option, value):
    """The privileges (any of them) that changing one option takes."""
    base = family(option)
    if base in ("ide", "sata", "scsi", "virtio", "unused", "efidisk", "tpmstate", "vmstatestorage"):
        if value and "cloudinit" in disks.split(value)[0]:
            return ["VM.Config.CDROM", "VM.Config.Cloudinit"]
        if value and ("media=cdrom" in value or disks.split(value)[0] in ("none", "cdrom")):
            return ["VM.Config.CDROM"]
        return ["VM.Config.Disk"]
    if base == "cdrom":
        return ["VM.Config.CDROM"]
    if base == "net":
        return ["VM.Config.Network"]
    if base in table_qemu.CLOUDINIT:
        return ["VM.Config.Cloudinit", "VM.Config.Network"]
    if option in table_qemu.PROCESSOR or base == "numa":
        return ["VM.Config.CPU"]
    if option in table_qemu.MEMORY:
        return ["VM.Config.Memory"]
    if base in table_qemu.HARDWARE or option in table_qemu.HARDWARE:
        return ["VM.Config.HWType"]
    return ["VM.Config.Options"]


def _root_only(call, option, value):
    if call.world.access.is_root(call.who):
        return
    if option in table_qemu.ROOT_ONLY:
        raise fail("only root can set '%s' config" % option)
    base = family(option)
    if base == "serial" and value is not None and value != "socket":
        raise fail("only root can set '%s' config for real devices" % option)
    if base == "parallel" or (base in ("hostpci", "usb") and value is not None and "mapping=" not in value
                              and not value.lower().startswith(("spice", "host=spice"))):
        raise fail("only root can set '%s' config for real devices" % option)


def check_allowed(call, guest, changes, deleted):
    vm = "/vms/%d" % guest.vmid
    for option in list(changes) + deleted:
        value = changes.get(option)
        _root_only(call, option, value)
        if option == "startup":
            call.need("/", ["Sys.Modify"])
        call.need(vm, privilege(option, value or guest.conf.get(option)), any_of=True)
        if option == "tags":
            _check_tags(call, guest, value or "")
    for option, value in changes.items():
        if family(option) == "net":
            call.need_bridge(parse_net("qemu", value))
        elif disks.is_drive(guest, option):
            disks.check(call, guest, option, value)


def _check_tags(call, guest, value):
    changed = set(normal_tags(value).split(";")) ^ set(guest.conf.get("tags", "").split(";"))
    for tag in sorted(changed & set(call.world.cfg["registered_tags"])):
        if not call.may("/", ["Sys.Modify"]):
            raise ApiError(403, "Permission check failed (/, Sys.Modify for modifying tag '%s')" % tag)


# --- values ------------------------------------------------------------------------------------

def check_ssh_keys(value):
    text = urllib.parse.unquote(value)
    for line in text.split("\n"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = KEY_TYPES.search(line)
        try:
            blob = base64.b64decode(match.group(2), validate=True) if match else b""
        except binascii.Error:
            blob = b""
        if not match or not blob[4:].startswith(match.group(1).encode()):
            raise fail("SSH public key validation error")


def crypt_password(value):
    if re.match(r"\$(5|6|y)\$", value):
        return value
    done = subprocess.run(["openssl", "passwd", "-5", "-stdin"], input=value.encode(), check=True,
                          stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def normal_value(world, guest, option, value, pause):
    """The value as it will be stored."""
    if option == "tags":
        return normal_tags(value)
    if option == "cipassword":
        return crypt_password(value)
    if family(option) == "net":
        net = parse_net(guest.kind, value)
        key = "macaddr" if guest.kind == "qemu" else "hwaddr"
        net.setdefault(key, world.new_mac())
        net[key] = net[key].upper()
        return print_net(guest.kind, net)
    if disks.is_drive(guest, option) and not option.startswith("unused"):
        return disks.realise(world, guest, option, value, pause)
    return value


def check_boot(conf, value):
    match = re.search(r"order=([^,]*)", value)
    for device in filter(None, match.group(1).split(";") if match else []):
        if device not in conf:
            raise fail("invalid bootorder: device '%s' does not exist'" % device)


# --- changing ----------------------------------------------------------------------------------

class Update:
    """One change request: checked as a whole first, then applied under the guest's lock."""

    def __init__(self, call):
        self.call, self.guest = call, call.guest()
        self.table = call.world.checker.table(table_qemu.OPTIONS, "qemu")
        self.changes = options(call)
        self.revert = _names(call.args.get("revert"))
        self.deleted = _names(call.args.get("delete"))
        if not [k for k in call.given if k not in ("node", "vmid", "digest", "skiplock", "background_delay")]:
            raise fail("no options specified")
        if call.flag("skiplock") and not call.world.access.is_root(call.who):
            raise param_error(skiplock="Only root may use this option.")
        for option in self.deleted:
            if not self.table.find(option):
                raise param_error(delete="unknown option '%s'" % option)
            if option in self.changes:
                raise param_error(
                    delete="you can't use '-%s' and -delete %s' at the same time" % (option, option))
        for option in self.revert:
            if not self.table.find(option):
                raise param_error(revert="unknown option '%s'" % option)
        if "sshkeys" in self.changes:
            check_ssh_keys(self.changes["sshkeys"])
        check_allowed(call, self.guest, self.changes, self.deleted)

    def apply(self, pause, log=lambda text: None):
        """Runs under the lock. A refusal is an ApiError in either kind of call."""
        guest, world = self.guest, self.call.world
        if self.call.args.get("digest") and self.call.args["digest"] != guest.digest():
            raise fail("checksum mismatch (file change by other user?)")
        if "boot" in self.changes:
            present = {k: v for k, v in guest.merged().items() if k not in self.deleted}
            check_boot(dict(present, **self.changes), self.changes["boot"])
        for option in self.revert:
            guest.pending.pop(option, None)
        for option in self.deleted:
            if option not in guest.merged():
                log("cannot delete '%s' - not set in current configuration!" % option)
            else:
                guest.pending[option] = None
        for option, value in self.changes.items():
            guest.pending[option] = normal_value(world, guest, option, value, pause)
        errors = apply_running(world, guest) if guest.running(world) else apply_stopped(world, guest)
        world.save()
        if errors:
            raise bad_params(errors)


def _names(text):
    return [n for n in re.split(r"[\0,;\s]+", text or "") if n]


def _settle(world, guest, option):
    """Moves one pending change into the configuration."""
    value = guest.pending.pop(option)
    old = guest.conf.get(option)
    if old is not None and DRIVE.fullmatch(option) and (value is None or disks.split(value)[0]
                                                        != disks.split(old)[0]):
        _drop_drive(world, guest, old)
    elif value is None and option.startswith("unused"):
        world.free_volume(disks.split(old)[0])
    if value is None:
        guest.conf.pop(option, None)
    else:
        guest.conf[option] = value


def _drop_drive(world, guest, old):
    """A removed disk stays with the guest as unusedN; cloud-init drives and media do not."""
    volume = disks.split(old)[0]
    if guest.is_cloudinit(volume):
        world.free_volume(volume)
    elif volume in world.volumes and "media=cdrom" not in old:
        number = next(n for n in range(256) if "unused%d" % n not in guest.conf)
        guest.conf["unused%d" % number] = volume


def apply_stopped(world, guest):
    for option in list(guest.pending):
        _settle(world, guest, option)
    return {}


def apply_cloudinit(world, guest):
    for option in list(guest.pending):
        if family(option) in table_qemu.CLOUDINIT:
            _settle(world, guest, option)


def _hot(guest, option, features):
    base = family(option)
    if option in table_qemu.HOT or base in table_qemu.HOT:
        return True
    if base == "net":
        return "network" in features
    if DRIVE.fullmatch(option):
        return "disk" in features
    return base in table_qemu.CLOUDINIT and "cloudinit" in features


def apply_running(world, guest):
    """Applies what a running machine takes; answers the options whose hot plug fails."""
    features = guest.conf.get("hotplug", "network,disk,usb").replace("1", "network,disk,usb").split(",")
    errors = {}
    for option in list(guest.pending):
        if _hot(guest, option, features) or guest.pending[option] == guest.conf.get(option):
            _settle(world, guest, option)
        elif option == "memory" and "memory" in features and guest.conf.get("numa", "0") != "1":
            errors[option] = "hotplug problem - NUMA needs to be enabled for memory hotplug"
        elif option in ("vcpus", "memory") and {"vcpus": "cpu"}.get(option, option) in features:
            _settle(world, guest, option)
    return errors


def put(call):
    """Synchronous: the answer is null once the change is made."""
    update = Update(call)

    def work():
        try:
            update.apply(call.world.pause)
            call.world.pause(call.world.duration("config"))
        except (TaskError, LockTimeout) as err:
            raise fail(str(err)) from None
    return locked_sync(call, update.guest, work)


def post(call):
    """Asynchronous: a UPID, or null when it ended well within background_delay seconds."""
    update = Update(call)

    def work(task):
        with call.locked(update.guest):
            update.guest.refuse_locked_task()
            try:
                update.apply(task.sleep, task.log)
            except ApiError as err:
                details = ["%s: %s" % kv for kv in (err.errors or {}).items()]
                raise TaskError(" ".join([err.text] + details)) from None
            task.sleep(call.world.duration("config"))
    task = call.task("qmconfig", update.guest.vmid, work)
    delay = call.number("background_delay")
    if delay and task.done.wait(delay):
        if task.exitstatus != "OK":
            raise fail(task.exitstatus)
        return None
    return task.upid


def resize(call):
    guest, option, text = call.guest(), call.args["disk"], call.args["size"]

    def work(task):
        with call.locked(guest):
            guest.refuse_locked_task()
            if call.args.get("digest") and call.args["digest"] != guest.digest():
                raise TaskError("checksum mismatch (file change by other user?)")
            if option not in guest.conf:
                raise TaskError("disk '%s' does not exist" % option)
            volume = disks.split(guest.conf[option])[0]
            if volume not in call.world.volumes or "media=cdrom" in guest.conf[option]:
                raise TaskError("you can't resize a cdrom")
            old = call.world.volumes[volume]["size"]
            size = disks.resized(old, text)
            if size < old:
                raise TaskError("shrinking disks is not supported")
            if size > old:
                task.sleep(call.world.duration("resize"))
                disks.set_size(call.world, guest, option, size)
    return call.task("resize", guest.vmid, work).upid
