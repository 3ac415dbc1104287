"""Creating a VM from nothing: disks are allocated or imported, an imported image makes it bootable."""

import time
import uuid

from . import disks, power
from .call import host_name, machine
from .config import check_allowed, check_boot, check_ssh_keys, normal_value, options
from .errors import TaskError, bad_params, fail
from .guests import Guest, boot_disk


def create(call):
    world, args = call.world, call.args
    vmid, pool = int(args["vmid"]), args.get("pool")
    call.need_pool(pool)
    call.need_allocate(vmid, pool)
    if args.get("archive"):
        raise fail("unable to restore VM %d - there are no backups in this cluster" % vmid)
    there = world.guests.get(vmid)
    if there:
        raise fail("unable to create VM %d - VM %d already exists on node '%s'" % (vmid, vmid, there.node))
    changes = options(call)
    if "sshkeys" in changes:
        check_ssh_keys(changes["sshkeys"])
    guest = Guest(vmid, "qemu", call.node)
    _check(call, guest, changes)
    if "boot" in changes:
        check_boot(changes, changes["boot"])

    def work(task):
        with world.locks.guest("qemu", vmid, 1):
            with world.mutex:
                if vmid in world.guests:
                    raise TaskError("unable to create VM %d: config file already exists" % vmid)
                guest.conf = {"lock": "create"}
                world.guests[vmid] = guest
            try:
                _build(call, task, guest, changes)
            except BaseException:
                power.wipe(world, guest)
                raise
            world.save()
            if call.flag("start"):
                power.power_on(world, guest, task)
    return call.task("qmcreate", vmid, work).upid


def _check(call, guest, changes):
    """On an own new VM every option may be set, but for what needs more than VM rights."""
    unknown_storage = {}
    for option, value in changes.items():
        if disks.is_drive(guest, option):
            storage = (disks.wanted(value) or [disks.new_cloudinit(value)])[0]
            if storage and not call.world.storage(storage):
                unknown_storage[option] = "storage '%s' does not exist" % storage
    if unknown_storage:
        raise bad_params(unknown_storage)
    check_allowed(_AsOwner(call), guest, changes, [])


class _AsOwner:
    """The call with the VM's own rights granted: whoever may allocate a VM may configure it then."""

    def __init__(self, call):
        self._call = call

    def __getattr__(self, name):
        return getattr(self._call, name)

    def need(self, path, privs, any_of=False):
        if not path.startswith("/vms/"):
            self._call.need(path, privs, any_of)


def _build(call, task, guest, changes):
    world = call.world
    task.sleep(world.duration("create"))
    conf = {}
    for option, value in changes.items():
        conf[option] = normal_value(world, guest, option, value, task.sleep)
        if disks.is_drive(guest, option):
            guest.conf[option] = conf[option]
    conf.setdefault("boot", _default_boot(conf))
    conf.setdefault("smbios1", "uuid=" + str(uuid.uuid4()))
    conf.setdefault("vmgenid", str(uuid.uuid4()))
    conf["meta"] = "creation-qemu=10.1.2,ctime=%d" % time.time()
    volume = conf.get(boot_disk(conf), "").split(",")[0]
    image = world.volumes.get(volume, {}).get("image")
    if image:
        guest.host = host_name(world, conf.get("name"), guest.vmid)
        machine(world, "", world.hosts.create, guest.host, image)
    guest.conf = conf
    if call.args.get("pool"):
        world.pools[call.args["pool"]]["vms"].append(guest.vmid)


def _default_boot(conf):
    devices = [d for d in [boot_disk(conf)] if d] + [k for k in sorted(conf) if k.startswith("net")][:1]
    return "order=" + ";".join(devices) if devices else " "
