"""Cloning a VM: checks before the answer, then a worker under the locks of source and new id."""

import uuid

from . import disks
from .call import host_name, locked_sync, machine
from .config import snapshot_conf
from .errors import TaskError, fail
from .guests import Guest, print_net
from .locks import LockTimeout


def clone(call):
    src, world, args = call.guest(), call.world, call.args
    newid, target = int(args["newid"]), args.get("target") or call.node
    call.need_pool(args.get("pool"))
    full = call.flag("full", default=not src.is_template)
    src.refuse_locked()
    conf = dict(src.conf)
    if args.get("snapname"):
        conf = snapshot_conf(src, args["snapname"])
    _check_shape(src, args, full)
    _check_target(call, src, conf, target, full)
    for net in src.networks(conf).values():
        call.need_bridge(net)
    if newid in world.guests and world.guests[newid].node == call.node:
        raise fail("unable to create VM %d: config file already exists" % newid)

    def work(task):
        with world.locks.guest("qemu", src.vmid, 1, shared=not src.running(world)):
            with world.locks.guest("qemu", newid, 1):
                Copy(call, task, src, conf, newid, full).run(target)
    return call.task("qmclone", src.vmid, work).upid


def _check_shape(src, args, full):
    if full:
        return
    for name in ("storage", "format"):
        if args.get(name):
            raise fail("parameter '%s' not allowed for linked clones" % name)
    if not src.is_template:
        option, volume = next(iter(src.drives().items()), ("scsi0", "none"))
        raise fail("Linked clone feature is not supported for '%s' (%s)" % (volume, option))


def _check_target(call, src, conf, target, full):
    world, storage = call.world, call.args.get("storage")
    used = {v.split(":")[0] for v in src.drives(conf).values()}
    if target not in world.nodes:
        raise fail("no such cluster node '%s'" % target)
    if storage:
        call.need_storage(storage, "images", call.node)
    for name in sorted(used - {"none"}):
        if not storage:
            call.need("/storage/" + name, ["Datastore.AllocateSpace"])
        if target != call.node and not world.storage(name)["shared"]:
            raise fail("can't clone VM to node '%s' (VM uses local storage)" % target)
    if storage and target != call.node and not world.storage(storage)["shared"]:
        raise fail("can't clone to non-shared storage '%s'" % storage)


class Copy:
    """The worker's part; undoes itself when it fails."""

    def __init__(self, call, task, src, conf, newid, full):
        self.call, self.world, self.task = call, call.world, task
        self.src, self.conf, self.full = src, conf, full
        self.new = Guest(newid, "qemu", call.node)

    def run(self, target):
        world, new = self.world, self.new
        with world.mutex:
            there = world.guests.get(new.vmid)
            if there and there.node == self.call.node:
                raise TaskError("unable to create VM %d: config file already exists" % new.vmid)
            if there:
                raise TaskError("clone failed: close (rename) atomic file '/etc/pve/nodes/%s/qemu-server/%d.conf'"
                                " failed: File exists" % (self.call.node, new.vmid))
            new.conf = {"lock": "clone"}
            world.guests[new.vmid] = new
        world.save()
        try:
            finished = self._copy()
            if self.task.fault:
                self.task.fault.copied(self.task)
        except (TaskError, LockTimeout) as err:
            self._undo()
            raise TaskError("clone failed: %s" % err) from None
        except BaseException:
            self._undo()
            raise
        with world.mutex:
            new.conf = finished
            new.node = target
            if self.call.args.get("pool"):
                world.pools[self.call.args["pool"]]["vms"].append(new.vmid)
        world.save()

    def _identity(self):
        args = self.call.args
        named = {"name": args.get("name") or "Copy-of-VM-%s" % (self.src.conf.get("name") or self.src.vmid)}
        if args.get("description"):
            named["description"] = args["description"]
        return named

    def _copy(self):
        world, new, src = self.world, self.new, self.src
        if src.pending:
            self.task.warn("found pending configuration changes, which are not cloned")
        conf = {k: v for k, v in self.conf.items()
                if k not in ("template", "lock", "snaptime", "vmstate") and not k.startswith("unused")}
        conf.update(self._identity())
        for option, value in self.conf.items():
            if disks.is_drive(src, option):
                self.task.log("create %s clone of drive %s" % ("full" if self.full else "linked", option))
                conf[option] = disks.copy(world, new, option, value, self.call.args.get("storage"), self.full,
                                          self.task.sleep)
                new.conf.update(self._identity())
        for option, net in new.networks(conf).items():
            net["macaddr"] = world.new_mac()
            conf[option] = print_net("qemu", net)
        conf["smbios1"] = "uuid=" + str(uuid.uuid4())
        conf["vmgenid"] = str(uuid.uuid4())
        self._machine(conf["name"])
        return conf

    def _machine(self, name):
        source = self.src.host or self.src.image
        if source:
            self.new.host = host_name(self.world, name, self.new.vmid)
            machine(self.world, "", self.world.hosts.clone, source, self.new.host)

    def _undo(self):
        disks.release(self.world, self.new)
        if self.new.host and self.world.hosts.exists(self.new.host):
            self.world.hosts.destroy(self.new.host)
        with self.world.mutex:
            del self.world.guests[self.new.vmid]
        self.world.save()


def template(call):
    """Turns a stopped VM into a template; clones then start from its machine's disk."""
    guest, world = call.guest(), call.world
    if guest.snapshots:
        raise fail("unable to create template, because VM contains snapshots")
    if guest.is_template:
        raise fail("you can't convert a template to a template")
    if guest.running(world):
        raise fail("you can't convert a VM to template if VM is running")

    def work(task):
        with call.locked(guest):
            guest.refuse_locked_task()
            task.sleep(world.duration("template"))
            for option, volume in guest.drives().items():
                if guest.is_cloudinit(volume):
                    continue
                name = volume.replace(":vm-", ":base-").replace("/vm-", "/base-")
                world.volumes[name] = world.volumes.pop(volume)
                guest.conf[option] = guest.conf[option].replace(volume, name)
            guest.conf["template"] = "1"
    locked_sync(call, guest, lambda: None)
    return call.task("qmtemplate", guest.vmid, work).upid
