"""Snapshots: a copy of the configuration and of the stopped machine's disk."""

import time

from . import power
from .call import host_name, machine
from .errors import TaskError, fail
from .guests import Guest


def rows(call):
    guest = call.guest()
    found = [dict(name=name, snaptime=s["time"], description=s["description"], vmstate=0,
                  **({"parent": s["parent"]} if s["parent"] else {}))
             for name, s in sorted(guest.snapshots.items())]
    here = {"name": "current", "description": "You are here!", "running": int(guest.running(call.world)),
            "digest": guest.digest()}
    if guest.parent:
        here["parent"] = guest.parent
    return found + [here]


def take(call):
    guest, world, name = call.guest(), call.world, call.args["snapname"]
    if name in ("current", "pending"):
        raise fail("unable to use snapshot name '%s' (reserved name)" % name)
    if name in guest.snapshots:
        raise fail("snapshot name '%s' already used" % name)

    def work(task):
        with call.locked(guest):
            guest.refuse_locked_task()
            if name in guest.snapshots:
                raise TaskError("snapshot name '%s' already used" % name)
            task.sleep(world.duration("snapshot"))
            snap = {"conf": dict(guest.conf), "time": int(time.time()), "parent": guest.parent,
                    "description": call.args.get("description", ""), "host": None}
            if guest.host:
                snap["host"] = host_name(world, "%s-at-%s" % (guest.host, name.lower().replace("_", "-")),
                                         guest.vmid)
                machine(world, "snapshot create failed", world.hosts.clone, guest.host, snap["host"])
            guest.snapshots[name] = snap
            guest.parent = name
            world.save()
    return call.task("qmsnapshot", guest.vmid, work).upid


def _find(guest, name):
    if name not in guest.snapshots:
        raise TaskError("snapshot '%s' does not exist" % name)
    return guest.snapshots[name]


def rollback(call):
    guest, world, name = call.guest(), call.world, call.args["snapname"]

    def work(task):
        with call.locked(guest):
            guest.refuse_locked_task()
            snap = _find(guest, name)
            if guest.running(world):
                power.pull_plug(world, guest)
            task.sleep(world.duration("snapshot"))
            if snap["host"]:
                machine(world, "rollback failed", world.hosts.destroy, guest.host)
                machine(world, "rollback failed", world.hosts.clone, snap["host"], guest.host)
            guest.conf, guest.pending, guest.parent = dict(snap["conf"]), {}, name
            world.save()
            if call.flag("start"):
                power.power_on(world, guest, task)
    return call.task("qmrollback", guest.vmid, work).upid


def delete(call):
    guest, world, name = call.guest(), call.world, call.args["snapname"]

    def work(task):
        with call.locked(guest):
            guest.refuse_locked_task()
            snap = _find(guest, name)
            task.sleep(world.duration("snapshot"))
            if snap["host"]:
                machine(world, "", world.hosts.destroy, snap["host"])
            del guest.snapshots[name]
            for other in list(guest.snapshots.values()) + [guest]:
                _reparent(other, name, snap["parent"])
            world.save()
    return call.task("qmdelsnapshot", guest.vmid, work).upid


def _reparent(node, name, parent):
    if isinstance(node, Guest):
        if node.parent == name:
            node.parent = parent
    elif node["parent"] == name:
        node["parent"] = parent
