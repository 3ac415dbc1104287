"""The endpoint table. A row: verb, path, handler, parameters besides the path's, permission rule.

Permission rules have the structure the published schema uses; "all" leaves the checks to the handler.
"""

import re

from . import agent, cloudinit, clone, cluster, config, create, lxc, power, snapshot, table_lxc, table_qemu

PATH_PARAMS = {
    "node": "node str :pve-node",
    "vmid": "vmid int 100..999999999 :pve-vmid",
    "storage": "storage str :pve-storage-id",
    "upid": "upid str",
    "snapname": "snapname str len=..40 :pve-configid",
    "poolid": "poolid str :pve-poolid",
}
NODE, QEMU, LXC = "/nodes/{node}", "/nodes/{node}/qemu/{vmid}", "/nodes/{node}/lxc/{vmid}"
STORE = "/nodes/{node}/storage/{storage}"
CLONE_RULE = ["and", ["perm", "/vms/{vmid}", ["VM.Clone"]],
              ["or", ["perm", "/vms/{newid}", ["VM.Allocate"]],
               ["perm", "/pool/{pool}", ["VM.Allocate"], "require_param", "pool"]]]
CONFIG_PRIVS = ["VM.Config." + p for p in ("Disk", "CDROM", "CPU", "Memory", "Network", "HWType", "Options",
                                           "Cloudinit")]
LXC_PRIVS = ["VM.Config." + p for p in ("Disk", "CPU", "Memory", "Network", "Options")]
NETWORKS = "bridge|bond|eth|alias|vlan%s|OVSBridge|OVSBond|OVSPort|OVSIntPort|vnet|any_bridge|any_local_bridge%s"
TASK_FILTERS = """
errors bool?
limit int? 0..
since int?
source str? {archive|active|all}
start int? 0..
statusfilter str? :pve-task-status-type-list
typefilter str?
until int?
userfilter str?
vmid int? 100..999999999 :pve-vmid
"""
CLONE = """
newid int 100..999999999 :pve-vmid
description str?
full bool?
pool str? :pve-poolid
snapname str? len=..40 :pve-configid
storage str? :pve-storage-id
target str? :pve-node
"""
CLONE_QEMU = CLONE + "bwlimit int? 0..\nformat str? {raw|qcow2|vmdk}\nname str? :dns-name"
CLONE_LXC = CLONE + "bwlimit num? 0..\nhostname str? :dns-name"
CONFIG_GET = "current bool?\nsnapshot str? len=..40 :pve-configid"
RESIZE = "digest str? len=..40\nsize str re=\\+?\\d+(\\.\\d+)?[KMGT]?\ndisk str {%s}"
START = """
force-cpu str?
machine str? :=machine
migratedfrom str? :pve-node
migration_network str? :CIDR
migration_type str? {secure|insecure}
nets-host-mtu str? v9 re=net\\d+=\\d+(,net\\d+=\\d+)*
skiplock bool?
stateuri str? len=..128
targetstorage str? :storage-pair-list
timeout int? 0..
with-conntrack-state bool? v9
"""
STOP = "keepActive bool?\nmigratedfrom str? :pve-node\noverrule-shutdown bool?\nskiplock bool?\ntimeout int? 0.."
USERID = r"userid str? re=(?:^(?:[^\s:/]+)\@(?:[A-Za-z][A-Za-z0-9\.\-_]+)(?:!(?:[A-Za-z][A-Za-z0-9\.\-_]+))?$)"
POOLS = "poolid str? :pve-poolid\ntype str? needs=poolid {qemu|lxc|storage}"
POOL_PUT = """
allow-move bool?
comment str?
delete bool?
poolid str :pve-poolid
storage str? :pve-storage-id-list
vms str? :pve-vmid-list
"""


def on_vm(*privs):
    return ["perm", "/vms/{vmid}", list(privs)] + (["any", 1] if len(privs) > 1 else [])


def _agent_rules(release):
    if release < 9:
        return dict.fromkeys(("look", "run", "read", "write"), on_vm("VM.Monitor"))
    free = "VM.GuestAgent.Unrestricted"
    return {"look": on_vm("VM.GuestAgent.Audit", free), "run": on_vm(free),
            "read": on_vm("VM.GuestAgent.FileRead", free), "write": on_vm("VM.GuestAgent.FileWrite", free)}


def _shared_rows():
    audit = ["perm", NODE, ["Sys.Audit"]]
    store = ["perm", "/storage/{storage}", ["Datastore.Audit", "Datastore.AllocateSpace"], "any", 1]
    return [
        ("GET", "/version", cluster.version, "", "all"),
        ("GET", "/nodes", cluster.nodes, "", "all"),
        ("GET", NODE + "/status", cluster.node_status, "", audit),
        ("GET", NODE + "/network", cluster.network,
         "type str? v8 {%s}\ntype str? v9 {%s}" % (NETWORKS % ("", ""), NETWORKS % ("|fabric", "|include_sdn")), "all"),
        ("GET", NODE + "/storage", cluster.storages,
         "content str? :pve-storage-content-list\nenabled bool?\nformat bool?\nstorage str? :pve-storage-id\n"
         "target str? :pve-node", "all"),
        ("GET", STORE + "/status", cluster.storage_status, "", store),
        ("GET", STORE + "/content", cluster.storage_content,
         "content str? :pve-storage-content\nvmid int? 100..999999999 :pve-vmid", store),
        ("GET", NODE + "/tasks", cluster.node_tasks, TASK_FILTERS, "all"),
        ("GET", NODE + "/tasks/{upid}/status", cluster.task_status, "", "all"),
        ("GET", NODE + "/tasks/{upid}/log", cluster.task_log, "download bool?\nlimit int? 0..\nstart int? 0..", "all"),
        ("DELETE", NODE + "/tasks/{upid}", cluster.task_stop, "", "all"),
        ("GET", "/cluster/resources", cluster.resources, "type str? {vm|storage|node|sdn}", "all"),
        ("GET", "/cluster/nextid", cluster.nextid, "vmid int? 100..999999999 :pve-vmid", "all"),
        ("GET", "/cluster/status", cluster.status, "", ["perm", "/", ["Sys.Audit"]]),
        ("GET", "/cluster/options", cluster.options, "", ["perm", "/", ["Sys.Audit"]]),
        ("GET", "/cluster/tasks", cluster.cluster_tasks, "", "all"),
        ("GET", "/access/permissions", cluster.permissions, "path str?\n" + USERID, "all"),
        ("GET", "/pools", cluster.pools, POOLS, "all"),
        ("POST", "/pools", cluster.pool_create, "comment str?\npoolid str :pve-poolid",
         ["perm", "/pool/{poolid}", ["Pool.Allocate"]]),
        ("PUT", "/pools", cluster.pool_update, POOL_PUT, ["perm", "/pool/{poolid}", ["Pool.Allocate"]]),
        ("GET", "/pools/{poolid}", cluster.pool, "type str? {qemu|lxc|storage}",
         ["perm", "/pool/{poolid}", ["Pool.Audit"]]),
    ]


def _qemu_rows(release):
    look, write, power_rule = on_vm("VM.Audit"), on_vm(*CONFIG_PRIVS), on_vm("VM.PowerMgmt")
    rules = _agent_rules(release)
    read = "file str" + ("\ncount int? 1..16777216\ndecode bool?\noffset int? 0.." if release >= 9 else "")
    return [
        ("GET", NODE + "/qemu", cluster.guest_list, "full bool?", "all"),
        ("POST", NODE + "/qemu", create.create, table_qemu.CREATE, "all"),
        ("DELETE", QEMU, power.destroy, "destroy-unreferenced-disks bool?\npurge bool?\nskiplock bool?",
         on_vm("VM.Allocate")),
        ("POST", QEMU + "/clone", clone.clone, CLONE_QEMU, CLONE_RULE),
        ("GET", QEMU + "/config", config.get, CONFIG_GET, look),
        ("PUT", QEMU + "/config", config.put, table_qemu.UPDATE, write),
        ("POST", QEMU + "/config", config.post, table_qemu.UPDATE_ASYNC, write),
        ("GET", QEMU + "/pending", config.pending, "", look),
        ("PUT", QEMU + "/resize", config.resize,
         RESIZE % "|".join(table_qemu.DISKS) + "\nskiplock bool?", on_vm("VM.Config.Disk")),
        ("GET", QEMU + "/status/current", power.current, "", look),
        ("POST", QEMU + "/status/start", power.start, START, power_rule),
        ("POST", QEMU + "/status/stop", power.stop, STOP, power_rule),
        ("POST", QEMU + "/status/shutdown", power.shutdown,
         "forceStop bool?\nkeepActive bool?\nskiplock bool?\ntimeout int? 0..", power_rule),
        ("POST", QEMU + "/status/reboot", power.reboot, "timeout int? 0..", power_rule),
        ("POST", QEMU + "/status/reset", power.reset, "skiplock bool?", power_rule),
        ("POST", QEMU + "/template", clone.template, "disk str? {%s}" % "|".join(table_qemu.DISKS),
         on_vm("VM.Allocate")),
        ("GET", QEMU + "/cloudinit", cloudinit.pending, "", look),
        ("PUT", QEMU + "/cloudinit", cloudinit.regenerate, "", on_vm("VM.Config.Cloudinit")),
        ("GET", QEMU + "/cloudinit/dump", cloudinit.dump, "type str {user|network|meta}", look),
        ("POST", QEMU + "/agent/ping", agent.ping, "", rules["look"]),
        ("GET", QEMU + "/agent/network-get-interfaces", agent.interfaces, "", rules["look"]),
        ("GET", QEMU + "/agent/get-host-name", agent.host_name, "", rules["look"]),
        ("GET", QEMU + "/agent/get-osinfo", agent.os_info, "", rules["look"]),
        ("POST", QEMU + "/agent/exec", agent.run, "command arr\ninput-data str? len=..65536", rules["run"]),
        ("GET", QEMU + "/agent/exec-status", agent.run_status, "pid int", rules["run"]),
        ("GET", QEMU + "/agent/file-read", agent.file_read, read, rules["read"]),
        ("POST", QEMU + "/agent/file-write", agent.file_write, "content str len=..61440\nencode bool?\nfile str",
         rules["write"]),
        ("GET", QEMU + "/snapshot", snapshot.rows, "", look),
        ("POST", QEMU + "/snapshot", snapshot.take, "snapname str len=..40 :pve-configid\ndescription str?\n"
         "vmstate bool?", on_vm("VM.Snapshot")),
        ("DELETE", QEMU + "/snapshot/{snapname}", snapshot.delete, "force bool?", on_vm("VM.Snapshot")),
        ("POST", QEMU + "/snapshot/{snapname}/rollback", snapshot.rollback, "start bool?",
         on_vm("VM.Snapshot", "VM.Snapshot.Rollback")),
    ]


def _lxc_rows():
    look, power_rule = on_vm("VM.Audit"), on_vm("VM.PowerMgmt")
    return [
        ("GET", NODE + "/lxc", cluster.guest_list, "", "all"),
        ("POST", NODE + "/lxc", lxc.create, table_lxc.CREATE, "all"),
        ("DELETE", LXC, power.destroy, "destroy-unreferenced-disks bool?\nforce bool?\npurge bool?",
         on_vm("VM.Allocate")),
        ("POST", LXC + "/clone", lxc.clone, CLONE_LXC, CLONE_RULE),
        ("GET", LXC + "/config", lxc.get, CONFIG_GET, look),
        ("PUT", LXC + "/config", lxc.put, table_lxc.UPDATE, on_vm(*LXC_PRIVS)),
        ("GET", LXC + "/pending", config.pending, "", look),
        ("PUT", LXC + "/resize", lxc.resize, RESIZE % "|".join(table_lxc.DISKS),
         ["perm", "/vms/{vmid}", ["VM.Config.Disk"], "any", 1]),
        ("GET", LXC + "/interfaces", lxc.interfaces, "", look),
        ("GET", LXC + "/status/current", power.current, "", look),
        ("POST", LXC + "/status/start", power.start, "debug bool?\nskiplock bool?", power_rule),
        ("POST", LXC + "/status/stop", power.stop, "overrule-shutdown bool?\nskiplock bool?", power_rule),
        ("POST", LXC + "/status/shutdown", power.shutdown, "forceStop bool?\ntimeout int? 0..", power_rule),
        ("POST", LXC + "/status/reboot", power.reboot, "timeout int? 0..", power_rule),
    ]


class Route:
    def __init__(self, row, checker):
        self.method, self.path, self.handler, params, self.rule = row
        self.parts = self.path.strip("/").split("/")
        names = [p[1:-1] for p in self.parts if p.startswith("{")]
        self.guest = next((k for k in ("qemu", "lxc") if k in self.parts), None)
        self.on_node = "node" in names
        text = "\n".join(PATH_PARAMS[n] for n in names) + "\n" + params
        self.table = checker.table(text, self.guest)

    def match(self, method, parts):
        """The path's parameters when this row serves the request, else None."""
        if method != self.method or len(parts) != len(self.parts):
            return None
        found = {}
        for mine, given in zip(self.parts, parts):
            if mine.startswith("{"):
                found[mine[1:-1]] = given
            elif mine != given:
                return None
        return found


class Routes:
    def __init__(self, checker):
        rows = _shared_rows() + _qemu_rows(checker.release) + _lxc_rows()
        self.all = [Route(row, checker) for row in rows]

    def find(self, method, path):
        """(route, path parameters), or (None, None); an empty component never matches."""
        parts = re.sub("/+$", "", path[1:]).split("/")
        for route in self.all:
            found = route.match(method, parts) if "" not in parts else None
            if found is not None:
                return route, found
        return None, None
