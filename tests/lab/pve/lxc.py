"""Containers: create, clone, configure. What VMs do alike is in power.py."""

from . import disks, power, table_lxc
from .call import host_name, locked_sync, machine
from .config import family, normal_value, options, snapshot_conf
from .errors import ApiError, TaskError, fail, param_error
from .guests import Guest, normal_tags, parse_net, print_net
from .locks import LockTimeout

CREATE_ONLY = ("ostemplate", "password", "ssh-public-keys", "ignore-unpack-errors", "restore")
FEATURES = "changing feature flags (except nesting) is only allowed for root@pam"
PRIVILEGED = "changing feature flags for privileged container is only allowed for root@pam"


def get(call):
    guest = call.guest()
    if call.args.get("snapshot"):
        return guest.show(snapshot_conf(guest, call.args["snapshot"]))
    out = guest.show(guest.conf if call.flag("current") else guest.merged())
    out["digest"] = guest.digest()
    return out


def _privilege(option):
    base = family(option)
    if base in table_lxc.DISK:
        return "VM.Config.Disk"
    if base in table_lxc.NETWORK:
        return "VM.Config.Network"
    if option in table_lxc.PROCESSOR:
        return "VM.Config.CPU"
    if option in table_lxc.MEMORY:
        return "VM.Config.Memory"
    return "VM.Config.Options"


def _check_option(call, guest, option, value, unprivileged):
    base = family(option)
    root = call.world.access.is_root(call.who)
    if base == "dev" and not root:
        raise ApiError(403, "Permission check failed (configuring device passthrough is only allowed for root@pam)")
    if option in ("hookscript", "lock") and not root:
        raise ApiError(403, "Permission check failed (changing %s is only allowed for root@pam)" % option)
    if base in ("mp", "rootfs") and value and disks.split(value)[0].startswith("/") and not root:
        raise ApiError(403, "Permission check failed (mount point type bind is only allowed for root@pam)")
    if option == "features":
        _check_features(call, guest, value, unprivileged)
    elif option == "startup":
        call.need("/", ["Sys.Modify"])
    if base == "net" and value:
        call.need_bridge(parse_net("lxc", value))
    if base in ("rootfs", "mp") and value:
        disks.check(call, guest, option, value)


def _check_features(call, guest, value, unprivileged):
    if call.world.access.is_root(call.who):
        return
    if not unprivileged:
        raise ApiError(403, "Permission check failed (%s)" % PRIVILEGED)
    names = [p.partition("=")[0] for p in (value or "").split(",") if p]
    if names != ["nesting"]:
        raise ApiError(403, "Permission check failed (%s)" % FEATURES)
    call.need("/vms/%d" % guest.vmid, ["VM.Allocate"])


def _template_image(call):
    """The lab image of the template, None when there is no such template."""
    volume = call.args["ostemplate"]
    return disks.fixed_volumes(call.world, call.node).get(volume, {}).get("image")


def create(call):
    world, args = call.world, call.args
    vmid = int(args["vmid"])
    call.need_pool(args.get("pool"))
    call.need_allocate(vmid, args.get("pool"))
    there = world.guests.get(vmid)
    if there:
        raise fail("CT %d already exists on node '%s'" % (vmid, there.node))
    unprivileged = call.flag("unprivileged", default=world.release >= 9)
    if not unprivileged and world.release >= 9:
        call.need("/", ["Sys.Modify"])
    changes = {k: v for k, v in options(call).items() if k not in CREATE_ONLY}
    changes["unprivileged"] = "1" if unprivileged else "0"
    storage = args.get("storage", "local")
    changes.setdefault("rootfs", storage + ":4")
    guest = Guest(vmid, "lxc", call.node)
    if not world.holds(storage, "rootdir") and "rootfs" not in args:
        raise param_error(storage="storage '%s' does not support container directories" % storage)
    for option, value in changes.items():
        _check_option(call, guest, option, value, unprivileged)
    if ":" not in args["ostemplate"]:
        raise param_error(ostemplate="unable to parse volume ID '%s'" % args["ostemplate"])

    def work(task):
        with world.locks.guest("lxc", vmid, 1):
            with world.mutex:
                if vmid in world.guests:
                    raise TaskError("CT %d already exists" % vmid)
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
    return call.task("vzcreate", vmid, work).upid


def _build(call, task, guest, changes):
    world, args = call.world, call.args
    image = _template_image(call)
    if not image:
        raise TaskError("unable to create CT %d - volume '%s' does not exist" % (guest.vmid, args["ostemplate"]))
    task.sleep(world.duration("create"))
    conf = {"arch": "amd64", "memory": "512", "swap": "512", "ostype": "debian"}
    for option, value in changes.items():
        conf[option] = normal_value(world, guest, option, value, task.sleep)
        if option in ("rootfs",) or option.startswith("mp"):
            guest.conf[option] = conf[option]
    conf.setdefault("hostname", "CT%d" % guest.vmid)
    guest.keys = [k.strip() for k in args.get("ssh-public-keys", "").split("\n") if k.strip()]
    guest.host = host_name(world, conf["hostname"], guest.vmid)
    machine(world, "unable to create CT %d" % guest.vmid, world.hosts.create, guest.host, image)
    guest.conf = conf
    if args.get("pool"):
        world.pools[args["pool"]]["vms"].append(guest.vmid)


def clone(call):
    """Takes configuration locks, not only file locks: `disk` on the source, `create` on the new container."""
    src, world, args = call.guest(), call.world, call.args
    newid, target = int(args["newid"]), args.get("target") or call.node
    call.need_pool(args.get("pool"))
    full = call.flag("full", default=not src.is_template)
    if args.get("storage") and not full:
        raise fail("parameter 'storage' not allowed for linked clones")
    if not full and not src.is_template:
        raise fail("Linked clone feature is not supported")
    if args.get("storage"):
        call.need_storage(args["storage"], "rootdir")
    if target not in world.nodes:
        raise fail("no such cluster node '%s'" % target)
    for volume in src.drives().values():
        if target != call.node and not world.storage(args.get("storage") or volume.split(":")[0])["shared"]:
            raise fail("can't clone CT to node '%s' (CT uses local storage)" % target)
    for net in src.networks().values():
        call.need_bridge(net)
    if newid in world.guests:
        raise fail("unable to create CT %d: config file already exists" % newid)
    if full and src.running(world):
        raise fail("Full clone of a running container is only possible from a snapshot")
    new = Guest(newid, "lxc", call.node)

    def prepare():
        with world.mutex:
            new.conf = {"lock": "create"}
            world.guests[newid] = new
            src.conf["lock"] = "disk"
    locked_sync(call, src, prepare)

    def work(task):
        try:
            conf = _copy(call, task, src, new, full)
        except (TaskError, LockTimeout) as err:
            src.conf.pop("lock", None)
            power.wipe(world, new)
            raise TaskError("clone failed: %s" % err) from None
        src.conf.pop("lock", None)
        new.conf, new.node = conf, target
        if args.get("pool"):
            world.pools[args["pool"]]["vms"].append(newid)
        world.save()
    return call.task("vzclone", src.vmid, work).upid


def _copy(call, task, src, new, full):
    world, args = call.world, call.args
    conf = {k: v for k, v in src.conf.items() if k not in ("template", "lock") and not k.startswith("unused")}
    conf["hostname"] = args.get("hostname") or src.conf.get("hostname") or "CT%d" % new.vmid
    if args.get("description"):
        conf["description"] = args["description"]
    for option, value in src.conf.items():
        if option in src.drives():
            conf[option] = disks.copy(world, new, option, value, args.get("storage"), full, task.sleep)
            new.conf[option] = conf[option]
    for option, net in new.networks(conf).items():
        net["hwaddr"] = world.new_mac()
        conf[option] = print_net("lxc", net)
    new.keys = list(src.keys)
    new.host = host_name(world, conf["hostname"], new.vmid)
    machine(world, "", world.hosts.clone, src.host, new.host)
    return conf


def put(call):
    guest, world = call.guest(), call.world
    changes = options(call)
    deleted = [d for d in (call.args.get("delete") or "").replace(";", ",").replace(" ", ",").split(",") if d]
    if not [k for k in call.given if k not in ("node", "vmid", "digest")]:
        raise fail("no options specified")
    table = world.checker.table(table_lxc.OPTIONS, "lxc")
    for option in deleted:
        if not table.find(option):
            raise param_error(delete="unknown option '%s'" % option)
        if option in changes:
            raise param_error(delete="you can't use '-%s' and -delete %s' at the same time" % (option, option))
    if "unprivileged" in changes or "unprivileged" in deleted:
        raise fail("unable to modify read-only option: 'unprivileged'")
    unprivileged = guest.conf.get("unprivileged") == "1"
    for option in list(changes) + deleted:
        call.need("/vms/%d" % guest.vmid, [_privilege(option)])
        _check_option(call, guest, option, changes.get(option), unprivileged)

    def work():
        if call.args.get("digest") and call.args["digest"] != guest.digest():
            raise fail("detected modified configuration - file changed by other user? Try again.")
        _apply(call, guest, changes, deleted)
        world.save()
    return locked_sync(call, guest, work)


def _apply(call, guest, changes, deleted):
    """A running container takes memory, cores and networks at once; mount points wait for the next start."""
    world = call.world
    up = guest.running(world)
    try:
        for option in deleted:
            old = guest.conf.get(option)
            if up and family(option) == "mp":
                guest.pending[option] = None
            elif old is not None:
                del guest.conf[option]
                volume = disks.split(old)[0]
                if volume in world.volumes:
                    number = next(n for n in range(256) if "unused%d" % n not in guest.conf)
                    guest.conf["unused%d" % number] = volume
        for option, value in changes.items():
            value = normal_tags(value) if option == "tags" else normal_value(world, guest, option, value, world.pause)
            (guest.pending if up and family(option) == "mp" else guest.conf)[option] = value
    except (TaskError, LockTimeout) as err:
        raise fail(str(err)) from None


def resize(call):
    guest, world, option = call.guest(), call.world, call.args["disk"]
    if option not in guest.conf:
        raise fail("disk '%s' does not exist" % option)
    old = world.volumes[disks.split(guest.conf[option])[0]]["size"]
    size = disks.resized(old, call.args["size"])
    if size == old:
        raise fail("disk is already at specified size")
    if size < old:
        raise fail("unable to shrink disk size")

    def work(task):
        with call.locked(guest):
            guest.refuse_locked_task()
            task.sleep(world.duration("resize"))
            disks.set_size(world, guest, option, size)
            world.save()
    return call.task("resize", guest.vmid, work).upid


def interfaces(call):
    guest, world = call.guest(), call.world
    if not guest.running(world):
        raise fail("CT %d not running" % guest.vmid)
    try:
        cards = world.hosts.interfaces(guest.host)
    except world.host_error as err:
        raise fail(str(err)) from None
    rows = []
    for card in cards:
        row = {"name": card["name"], "hwaddr": card["mac"]}
        if world.release >= 9:
            row["hardware-address"] = card["mac"]
            row["ip-addresses"] = []
        for address in card["addresses"]:
            six = ":" in address["ip"]
            row.setdefault("inet6" if six else "inet", "%s/%s" % (address["ip"], address["prefix"]))
            if world.release >= 9:
                row["ip-addresses"].append({"ip-address": address["ip"], "prefix": str(address["prefix"]),
                                            "ip-address-type": "inet6" if six else "inet"})
        rows.append(row)
    return rows
