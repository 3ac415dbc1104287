"""One request on its way through: who asks, with which checked parameters, about which guest."""

import re

from .errors import ApiError, TaskError, fail, param_error
from .locks import LockTimeout

LOCK_SECONDS = 10   # how long a change waits for a guest's file lock


class Call:
    def __init__(self, world, who, route, args, given, fault=None):
        self.world = world
        self.who = who
        self.route = route
        self.args = args
        self.given = given      # names of all parameters sent, also the empty ones
        self.fault = fault
        self.total = None

    @property
    def node(self):
        return self.args["node"]

    def flag(self, name, default=False):
        value = self.args.get(name)
        return default if value is None else value == "1"

    def number(self, name, default=None):
        value = self.args.get(name)
        return default if value is None else int(value)

    def guest(self, kind=None):
        """The guest of the path; it has to be on the node of the path."""
        kind = kind or self.route.guest
        vmid = int(self.args["vmid"])
        guest = self.world.guests.get(vmid)
        if not guest or guest.kind != kind or guest.node != self.node:
            raise missing(self.node, kind, vmid)
        return guest

    def need(self, path, privs, any_of=False):
        self.world.access.need(self.who, path, privs, any_of)

    def may(self, path, privs, any_of=False):
        return self.world.access.has(self.who, path, privs, any_of)

    def task(self, kind, ident, work):
        """Starts a worker on the node of the path; returns the Task."""
        fault = self.fault.for_task() if self.fault else None
        return self.world.tasks.start(self.node, kind, ident, self.who, work, fault)

    def locked(self, guest, seconds=LOCK_SECONDS):
        return self.world.locks.guest(guest.kind, guest.vmid, seconds)

    # --- checks shared by several calls --------------------------------------------------------

    def need_pool(self, pool):
        if pool is not None and pool not in self.world.pools:
            raise ApiError(403, "pool '%s' does not exist" % pool)

    def need_allocate(self, vmid, pool):
        """VM.Allocate on the new guest, or on the pool it goes into."""
        if not (pool and self.may("/pool/" + pool, ["VM.Allocate"])):
            self.need("/vms/%s" % vmid, ["VM.Allocate"])

    def need_storage(self, name, content, node=None):
        """The storage exists, is on the node, holds such content, and may be used by the caller."""
        node = node or self.node
        if not self.world.storage(name):
            raise fail("storage '%s' does not exist" % name)
        if self.world.storage(name).get("disable"):
            raise fail("storage '%s' is disabled" % name)
        if not self.world.storage_on(name, node):
            raise fail("storage '%s' is not available on node '%s'" % (name, node))
        if not self.world.holds(name, content):
            what = {"images": "vm images", "rootdir": "container directories"}.get(content, content)
            raise param_error(storage="storage '%s' does not support %s" % (name, what))
        self.need("/storage/" + name, ["Datastore.AllocateSpace"])

    def need_bridge(self, net):
        bridge = net.get("bridge")
        if bridge:
            path = "/sdn/zones/localnetwork/" + bridge
            if net.get("tag"):
                path += "/" + net["tag"]
            self.need(path, ["SDN.Use"])


def missing(node, kind, vmid):
    folder = "qemu-server" if kind == "qemu" else "lxc"
    return fail("Configuration file 'nodes/%s/%s/%s.conf' does not exist" % (node, folder, vmid))


def locked_sync(call, guest, work):
    """Runs work() under the guest's file lock, for calls that answer at once."""
    try:
        with call.locked(guest):
            guest.refuse_locked()
            return work()
    except LockTimeout as err:
        raise fail(str(err)) from None


def machine(world, text, function, *args):
    """Calls into the lab's hosts; its errors become the task's."""
    try:
        return function(*args)
    except world.host_error as err:
        raise TaskError("%s: %s" % (text, err) if text else str(err)) from None


def host_name(world, wanted, vmid):
    """A free name for a machine: its guest's own where that fits."""
    base = wanted.lower() if wanted and re.fullmatch(r"[a-z0-9][a-z0-9-]*", wanted.lower()) else "vm-%d" % vmid
    return "%s-%d" % (base, vmid) if world.hosts.exists(base) else base
