"""Calls that are not about one guest: version, nodes, resources, storages, networks, pools, tasks, rights."""

import re
import time

from . import disks
from .errors import ApiError, fail, param_error

NODE = {"maxcpu": 16, "maxmem": 64 << 30, "maxdisk": 100 << 30}


def version(call):
    world = call.world
    major_minor = world.version
    patch = "2" if world.release >= 9 else "1"
    return {"version": "%s.%s" % (major_minor, patch), "release": major_minor, "repoid": "5ac30304265fbd8e"}


# --- nodes -------------------------------------------------------------------------------------

def _online(world, node):
    return node not in world.cfg["offline_nodes"]


def nodes(call):
    world, rows = call.world, []
    for node in world.nodes:
        row = {"node": node, "id": "node/" + node, "type": "node", "ssl_fingerprint": fingerprint(node),
               "status": "online" if _online(world, node) else "offline"}
        if call.may("/nodes/" + node, ["Sys.Audit"]):
            row["level"] = ""
            if _online(world, node):
                row.update(NODE, cpu=0.02, mem=8 << 30, disk=10 << 30,
                           uptime=int(time.time() - world.started) + 86400)
        rows.append(row)
    return rows


def fingerprint(node):
    digits = ("%064x" % (int.from_bytes(node.encode(), "big") * 7919))[-64:].upper()
    return ":".join(digits[i:i + 2] for i in range(0, 64, 2))


def node_status(call):
    world = call.world
    return {"uptime": int(time.time() - world.started) + 86400, "cpu": 0.02, "wait": 0, "idle": 0,
            "loadavg": ["0.10", "0.08", "0.05"], "kversion": "Linux 6.14.11-4-pve",
            "pveversion": "pve-manager/%s/5ac30304265fbd8e" % version(call)["version"],
            "memory": {"total": NODE["maxmem"], "used": 8 << 30, "free": 56 << 30},
            "rootfs": {"total": NODE["maxdisk"], "used": 10 << 30, "free": 90 << 30, "avail": 90 << 30},
            "cpuinfo": {"cpus": NODE["maxcpu"], "sockets": 1, "cores": 8, "model": "Simulated CPU"}}


def status(call):
    world = call.world
    rows = [{"type": "cluster", "id": "cluster", "name": "lab", "nodes": len(world.nodes), "version": 1,
             "quorate": int(2 * len([n for n in world.nodes if _online(world, n)]) > len(world.nodes))}]
    for index, node in enumerate(world.nodes, 1):
        rows.append({"type": "node", "id": "node/" + node, "name": node, "nodeid": index, "level": "",
                     "ip": "192.0.2.%d" % index, "local": int(index == 1),
                     "online": int(_online(world, node))})
    return rows


def options(call):
    return {"keyboard": "en-us", "mac_prefix": "BC:24:11"}


def network(call):
    world, kind = call.world, call.args.get("type")
    rows = []
    for bridge in world.cfg["bridges"]:
        rows.append({"iface": bridge, "type": "bridge", "active": 1, "autostart": 1, "exists": 1, "method": "static",
                     "method6": "manual", "bridge_ports": "eno1", "bridge_stp": "off", "bridge_fd": "0",
                     "bridge_vlan_aware": 1, "families": ["inet"], "priority": 4,
                     "cidr": "192.0.2.1/24", "address": "192.0.2.1", "netmask": "24"})
    rows.append({"iface": "eno1", "type": "eth", "active": 1, "exists": 1, "method": "manual",
                 "method6": "manual", "families": ["inet"], "priority": 3})
    rows = [r for r in rows if r["type"] != "bridge" or call.may("/sdn/zones/localnetwork/" + r["iface"],
                                                                ["SDN.Audit", "SDN.Use"], any_of=True)]
    if kind in ("any_bridge", "any_local_bridge", "include_sdn"):
        return [r for r in rows if r["type"] == "bridge" or kind == "include_sdn"]
    return [r for r in rows if kind in (None, r["type"])]


# --- guests ------------------------------------------------------------------------------------

def guest_list(call):
    kind, rows = call.route.guest, []
    for guest in sorted(call.world.guests.values(), key=lambda g: g.vmid):
        if guest.kind != kind or guest.node != call.node:
            continue
        if not call.may("/vms/%d" % guest.vmid, ["VM.Audit"]):
            continue
        row = dict(guest.summary(call.world), vmid=guest.vmid)
        row["cpus"] = row.pop("maxcpu")
        for key in ("lock", "tags"):
            if guest.conf.get(key):
                row[key] = guest.conf[key]
        if not row["template"]:
            del row["template"]
        if kind == "lxc":
            row["type"] = "lxc"
        rows.append(row)
    return rows


def resources(call):
    world, kind, rows = call.world, call.args.get("type"), []
    if not float(world.cfg["name_lag"]):
        world.refresh_broadcast()
    if kind in (None, "vm"):
        rows += [r for g in sorted(world.guests.values(), key=lambda g: g.vmid)
                 for r in _resource(call, g)]
    if kind in (None, "node"):
        rows += nodes(call)
    if kind in (None, "storage"):
        rows += _storage_resources(call)
    if kind in (None, "sdn"):
        rows += [{"id": "sdn/%s/localnetwork" % n, "sdn": "localnetwork", "node": n, "type": "sdn", "status": "ok"}
                 for n in world.nodes if call.may("/sdn/zones/localnetwork", ["SDN.Audit"])]
    return rows


def _resource(call, guest):
    """Tags, lock and pool come from the configuration; all else from the last broadcast."""
    world = call.world
    if not call.may("/vms/%d" % guest.vmid, ["VM.Audit"]):
        return
    row = {"id": "%s/%d" % (guest.kind, guest.vmid), "type": guest.kind, "vmid": guest.vmid, "node": guest.node}
    seen = world.broadcast.get(guest.vmid)
    if seen:
        row.update(seen)
        if not _online(world, guest.node):
            row["status"] = "unknown"
    else:
        row["status"] = "unknown"
    for key in ("lock", "tags"):
        if guest.conf.get(key):
            row[key] = guest.conf[key]
    pool = world.pool_of(guest.vmid)
    if pool:
        row["pool"] = pool
    yield row


def _storage_resources(call):
    world, rows = call.world, []
    for node in world.nodes:
        for name, store in world.cfg["storages"].items():
            if world.storage_on(name, node) and _sees_storage(call, name):
                rows.append({"id": "storage/%s/%s" % (node, name), "type": "storage", "storage": name, "node": node,
                             "status": "available" if _online(world, node) else "unknown",
                             "plugintype": store["type"], "content": store["content"], "shared": store["shared"],
                             "maxdisk": store["gb"] << 30, "disk": _used(world, name)})
    return rows


def nextid(call):
    """Looks, reserves nothing: two callers get the same id."""
    world, wanted = call.world, call.number("vmid")
    if wanted is not None:
        if wanted in world.guests:
            raise param_error(vmid="VM %d already exists" % wanted)
        return str(wanted)
    low, high = world.cfg["next_id"]
    for vmid in range(low, high):
        if vmid not in world.guests:
            return str(vmid)
    raise fail("unable to get any free VMID in range [%d, %d]" % (low, high - 1))


# --- storages ----------------------------------------------------------------------------------

def _sees_storage(call, name):
    return call.may("/storage/" + name, ["Datastore.Audit", "Datastore.AllocateSpace"], any_of=True)


def _used(world, name):
    return sum(v["size"] for k, v in list(world.volumes.items()) if k.startswith(name + ":"))


def _storage_row(world, name):
    store = world.storage(name)
    total, used = store["gb"] << 30, _used(world, name)
    return {"storage": name, "type": store["type"], "content": store["content"], "shared": store["shared"],
            "active": 1, "enabled": int(not store.get("disable")), "total": total, "used": used,
            "avail": total - used, "used_fraction": used / total}


def storages(call):
    world, args, rows = call.world, call.args, []
    wanted = [c for c in re.split(r"[,;\s]+", args.get("content", "")) if c]
    for name in sorted(world.cfg["storages"]):
        row = _storage_row(world, name)
        if not world.storage_on(name, call.node) or not _sees_storage(call, name):
            continue
        if args.get("storage") not in (None, name) or (call.flag("enabled") and not row["enabled"]):
            continue
        if wanted and not set(wanted) & set(row["content"].split(",")):
            continue
        if args.get("target") and not (row["shared"] and world.storage_on(name, args["target"])):
            continue
        rows.append(row)
    return rows


def _named_storage(call):
    name = call.args["storage"]
    if not call.world.storage(name):
        raise fail("storage '%s' does not exist" % name)
    if not call.world.storage_on(name, call.node):
        raise fail("storage '%s' is not available on node '%s'" % (name, call.node))
    return name


def storage_status(call):
    row = _storage_row(call.world, _named_storage(call))
    del row["storage"], row["used_fraction"]
    return row


def storage_content(call):
    name, world = _named_storage(call), call.world
    kind, vmid, rows = call.args.get("content"), call.number("vmid"), []
    for volume, data in sorted(disks.fixed_volumes(world, call.node).items()):
        if volume.startswith(name + ":"):
            rows.append({"volid": volume, "content": data["content"], "format": data["format"],
                         "size": data["size"], "ctime": 1750000000})
    for volume, data in sorted(world.volumes.items()):
        guest = world.guests.get(data["vmid"])
        if not volume.startswith(name + ":") or not call.may("/vms/%d" % data["vmid"], ["VM.Audit"]):
            continue
        rows.append({"volid": volume, "content": "rootdir" if guest and guest.kind == "lxc" else "images",
                     "format": "raw", "size": data["size"], "vmid": data["vmid"],
                     **({"parent": data["base"]} if data["base"] else {})})
    return [r for r in rows if kind in (None, r["content"]) and vmid in (None, r.get("vmid"))]


# --- pools -------------------------------------------------------------------------------------

def _pool(call, name):
    if name not in call.world.pools:
        raise fail("pool '%s' does not exist" % name)
    return call.world.pools[name]


def _members(call, name):
    world, rows = call.world, []
    for vmid in sorted(_pool(call, name)["vms"]):
        guest = world.guests.get(vmid)
        if guest:
            rows += [r for r in _resource(call, guest)]
    kind = call.args.get("type")
    return [r for r in rows if kind in (None, r["type"])]


def pools(call):
    name = call.args.get("poolid")
    if name is not None:
        call.need("/pool/" + name, ["Pool.Audit"])
        return [{"poolid": name, "comment": _pool(call, name)["comment"], "members": _members(call, name)}]
    return [{"poolid": p, **({"comment": d["comment"]} if d["comment"] else {})}
            for p, d in sorted(call.world.pools.items()) if call.may("/pool/" + p, ["Pool.Audit"])]


def pool(call):
    name = call.args["poolid"]
    return {"comment": _pool(call, name)["comment"], "members": _members(call, name)}


def pool_create(call):
    name, world = call.args["poolid"], call.world
    if name in world.pools:
        raise fail("create pool failed: pool '%s' already exists" % name)
    if "/" in name and name.rsplit("/", 1)[0] not in world.pools:
        raise fail("create pool failed: parent '%s' of pool '%s' does not exist" % (name.rsplit("/", 1)[0], name))
    world.pools[name] = {"comment": call.args.get("comment", ""), "vms": [], "storage": []}
    world.save()


def pool_update(call):
    name, world = call.args["poolid"], call.world
    entry = _pool(call, name)
    with world.mutex:
        for text in re.split(r"[,;\s]+", call.args.get("vms", "")):
            if text:
                _move(call, name, entry, int(text))
        if "comment" in call.args:
            entry["comment"] = call.args["comment"]
    world.save()


def _move(call, name, entry, vmid):
    call.need("/vms/%d" % vmid, ["VM.Allocate"])
    if call.flag("delete"):
        if vmid not in entry["vms"]:
            raise fail("update pool failed: VM %d is not a pool member" % vmid)
        entry["vms"].remove(vmid)
        return
    other = call.world.pool_of(vmid)
    if other and not call.flag("allow-move"):
        raise fail("update pool failed: VM %d belongs already to pool '%s' and 'allow-move' is not set"
                   % (vmid, other))
    if other:
        call.world.pools[other]["vms"].remove(vmid)
    entry["vms"].append(vmid)


# --- rights ------------------------------------------------------------------------------------

def permissions(call):
    access, who = call.world.access, call.args.get("userid") or call.who
    if who != call.who and who.split("!")[0] != call.who:
        call.need("/access", ["Sys.Audit"])
    if who.split("!")[0] not in access.users or ("!" in who and who not in access.tokens):
        raise fail("no such user ('%s')" % who)
    path = call.args.get("path")
    if path is not None and not path.startswith("/"):
        raise param_error(path="invalid ACL path '%s'" % path)
    return access.tree(who, path)


# --- tasks -------------------------------------------------------------------------------------

def _owns(call, task):
    if task.user + ("!" + task.tokenid if task.tokenid else "") == call.who:
        return True
    return "!" not in call.who and task.user == call.who


def _task(call, priv):
    task = call.world.tasks.find(call.args["upid"])
    if task.node != call.node:
        raise param_error(upid="no such task")
    if not _owns(call, task):
        try:
            call.need("/nodes/" + task.node, [priv])
        except ApiError:
            raise ApiError(403, "Permission check failed (/nodes/%s, %s)" % (task.node, priv)) from None
    return task


def task_status(call):
    return _task(call, "Sys.Audit").status()


def task_log(call):
    task = _task(call, "Sys.Audit")
    first, limit = call.number("start", 0), call.number("limit", 50)
    lines = list(task.lines) or ["no content"]
    call.total = len(lines)
    rows = [{"n": n, "t": t} for n, t in enumerate(lines, 1)][first:]
    return rows[:limit] if limit else rows


def task_stop(call):
    _task(call, "Sys.Modify").aborted.set()


def _outcome(task):
    if task.exitstatus is None or task.exitstatus == "OK":
        return "ok"
    if task.exitstatus.startswith("WARNINGS: "):
        return "warning"
    return "unknown" if task.exitstatus == "unexpected status" else "error"


def node_tasks(call):
    args, rows = call.args, []
    source = args.get("source", "archive")
    auditor = call.may("/nodes/" + call.node, ["Sys.Audit"])
    for task in reversed(list(call.world.tasks.by_upid.values())):
        active = task.exitstatus is None
        checks = (task.node == call.node, auditor or _owns(call, task),
                  source == "all" or active == (source == "active"),
                  args.get("vmid") in (None, task.id), args.get("typefilter") in (None, task.type),
                  args.get("userfilter", "") in task.user,
                  not call.flag("errors") or _outcome(task) == "error",
                  task.starttime >= call.number("since", 0),
                  task.starttime <= call.number("until", 1 << 62),
                  not args.get("statusfilter") or _outcome(task) in args["statusfilter"])
        if all(checks):
            rows.append(task.row())
    call.total = len(rows)
    first = call.number("start", 0)
    return rows[first:first + call.number("limit", 50)]


def cluster_tasks(call):
    return [t.row() for t in reversed(list(call.world.tasks.by_upid.values()))
            if _owns(call, t) or call.may("/nodes/" + t.node, ["Sys.Audit"])][:25]
