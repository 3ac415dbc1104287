"""Starting, stopping and destroying guests, VMs and containers alike."""

import time

from . import cloudinit, disks
from .call import machine
from .config import apply_stopped
from .guests import agent_on
from .errors import TaskError, fail, param_error

SHUTDOWN_SECONDS = 60


def _root_flags(call, *names):
    for name in names:
        if call.args.get(name) and not call.world.access.is_root(call.who):
            raise param_error(**{name: "Only root may use this option."})


def current(call):
    guest, world = call.guest(), call.world
    up = guest.running(world)
    out = dict(guest.summary(world), vmid=guest.vmid, ha={"managed": 0})
    out["cpus"] = out.pop("maxcpu")
    for key in ("lock", "tags"):
        if guest.conf.get(key):
            out[key] = guest.conf[key]
    if not out["template"]:
        del out["template"]
    if guest.kind == "qemu":
        out["qmpstatus"] = out["status"]
        if agent_on(guest.conf):
            out["agent"] = 1
        if up:
            out["running-qemu"], out["running-machine"] = "10.1.2", "pc-i440fx-10.1+pve0"
    if up:
        out["pid"] = 20000 + guest.vmid
    return out


# --- what a worker does; all of these run under the guest's file lock ---------------------------

def power_on(world, guest, task):
    if guest.is_template:
        raise TaskError("you can't start a vm if it's a template")
    if guest.kind == "qemu" and guest.running(world):
        raise TaskError("VM %d already running" % guest.vmid)
    apply_stopped(world, guest)
    if guest.kind == "qemu":
        cloudinit.check_custom(world, guest)
    _check_networks(world, guest)
    task.sleep(world.duration("start"))
    if guest.host:
        machine(world, "start failed", world.hosts.configure, guest.host, cloudinit.settings(world, guest))
        machine(world, "start failed", world.hosts.start, guest.host)
    guest.run = {"since": time.time(), "conf": dict(guest.conf), "agent": agent_on(guest.conf)}
    world.save()


def _check_networks(world, guest):
    for net in guest.networks().values():
        if net.get("bridge") and net["bridge"] not in world.cfg["bridges"]:
            raise TaskError("bridge '%s' does not exist" % net["bridge"])
        vlans = world.cfg["vlans"]
        if vlans and net.get("tag") and int(net["tag"]) not in [int(v) for v in vlans]:
            task_text = "VLAN %s leads nowhere in this lab (there are: %s)"
            raise TaskError(task_text % (net["tag"], ", ".join(str(v) for v in vlans)))


def pull_plug(world, guest):
    if guest.host:
        machine(world, "stop failed", world.hosts.stop, guest.host)
    guest.run = None
    guest.exec.clear()
    world.save()


def _power_off_politely(world, guest, task, timeout, force):
    """Asks the machine to shut down; pulls the plug after `timeout` if allowed to."""
    kind = "VM quit/powerdown failed" if guest.kind == "qemu" else "command 'lxc-stop' failed"
    if guest.host:
        off = _ask_to_shut_down(world, guest, task, timeout)
        if not off and not force:
            raise TaskError("%s - got timeout" % kind)
        if not off:
            task.log("%s - terminating now with SIGTERM" % kind)
    elif not force and guest.kind == "qemu":
        task.sleep(timeout / world.speed)   # nothing in this machine could answer
        raise TaskError("%s - got timeout" % kind)
    pull_plug(world, guest)


def _ask_to_shut_down(world, guest, task, timeout):
    """Whether the machine went down in time. Asks again every other second, so that the task can be ended."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        task.sleep(0)
        left = end - time.monotonic()
        state = world.hosts.state(guest.host)
        if state == "stopped":
            return True
        if state == "frozen":
            task.sleep(min(left, 0.2))
            continue
        try:
            world.hosts.shutdown(guest.host, min(left, 2))
            return True
        except world.host_error:
            pass    # not yet
    return False


def _clean_up_after(world, guest):
    """The daemon that follows a VM's end holds the file lock for a while."""
    if guest.kind == "qemu":
        world.locks.hold_for("guest:%d" % guest.vmid, float(world.cfg["cleanup_lock"]) / world.speed)


def _worker(call, prefix, work):
    """Starts `work(task)` under the guest's lock as task qm… or vz…"""
    guest = call.guest()

    def run(task):
        with call.locked(guest):
            if not call.flag("skiplock"):
                guest.refuse_locked_task()
            work(task)
    kind = ("qm" if guest.kind == "qemu" else "vz") + prefix
    return call.task(kind, guest.vmid, run).upid


# --- the calls ---------------------------------------------------------------------------------

def start(call):
    guest, world = call.guest(), call.world
    _root_flags(call, "skiplock", "stateuri", "migratedfrom", "migration_type", "targetstorage",
                "migration_network", "force-cpu", "with-conntrack-state", "nets-host-mtu")
    if guest.kind == "lxc":
        if guest.running(world):
            raise fail("CT %d already running" % guest.vmid)
        guest.refuse_locked()
    return _worker(call, "start", lambda task: power_on(world, guest, task))


def stop(call):
    guest, world = call.guest(), call.world
    _root_flags(call, "skiplock", "migratedfrom", "keepActive")
    if call.flag("overrule-shutdown"):
        for task in world.tasks.active_for(guest.vmid):
            if task.type in ("qmshutdown", "vzshutdown"):
                task.aborted.set()

    def work(task):
        if guest.running(world):
            task.sleep(world.duration("stop"))
            pull_plug(world, guest)
            _clean_up_after(world, guest)
    return _worker(call, "stop", work)


def shutdown(call):
    guest, world = call.guest(), call.world
    _root_flags(call, "skiplock", "keepActive")
    timeout = call.number("timeout", SHUTDOWN_SECONDS)

    def work(task):
        if not guest.running(world):
            raise TaskError("VM %d not running" % guest.vmid if guest.kind == "qemu"
                            else "CT %d not running" % guest.vmid)
        _power_off_politely(world, guest, task, timeout, call.flag("forceStop"))
        _clean_up_after(world, guest)
    return _worker(call, "shutdown", work)


def reboot(call):
    """A shutdown and a start, so pending changes are applied."""
    guest, world = call.guest(), call.world
    if not guest.running(world):
        raise fail("VM %d not running" % guest.vmid if guest.kind == "qemu" else "CT %d not running" % guest.vmid)

    def work(task):
        _power_off_politely(world, guest, task, call.number("timeout", SHUTDOWN_SECONDS), False)
        power_on(world, guest, task)
    return _worker(call, "reboot", work)


def reset(call):
    """Like the reset button: the same virtual hardware, no pending change."""
    guest, world = call.guest(), call.world
    _root_flags(call, "skiplock")
    if not guest.running(world):
        raise fail("VM %d not running" % guest.vmid)

    def work(task):
        run = guest.run
        if guest.host:
            machine(world, "reset failed", world.hosts.stop, guest.host)
            machine(world, "reset failed", world.hosts.start, guest.host)
        guest.run = run     # who looked in between took the machine for switched off
        guest.exec.clear()
    return _worker(call, "reset", work)


def destroy(call):
    guest, world = call.guest(), call.world
    _root_flags(call, "skiplock")
    word = "VM" if guest.kind == "qemu" else "CT"
    if guest.conf.get("protection") == "1":
        raise fail("can't remove %s %d - protection mode enabled" % (word, guest.vmid))
    force = guest.kind == "lxc" and call.flag("force")
    if guest.running(world) and not force:
        raise fail("%s %d is running - destroy failed" % (word, guest.vmid) if word == "VM"
                   else "unable to destroy CT %d - container is running" % guest.vmid)

    def work(task):
        if guest.running(world):
            if not force:
                raise TaskError("%s %d is running - destroy failed" % (word, guest.vmid))
            pull_plug(world, guest)
        linked = disks.children(world, guest)
        if linked:
            raise TaskError("base volume '%s' is still in use by linked cloned" % linked[0])
        guest.conf = {"lock": "destroyed"}
        world.save()
        task.sleep(world.duration("destroy"))
        wipe(world, guest)
    return _worker(call, "destroy", work)


def wipe(world, guest):
    """Removes machines, volumes, pool membership and, last, the configuration."""
    for name in [guest.host] + [s.get("host") for s in guest.snapshots.values()]:
        if name and world.hosts.exists(name):
            machine(world, "", world.hosts.destroy, name)
    disks.release(world, guest)
    with world.mutex:
        for pool in world.pools.values():
            if guest.vmid in pool["vms"]:
                pool["vms"].remove(guest.vmid)
        world.guests.pop(guest.vmid, None)
    world.save()
