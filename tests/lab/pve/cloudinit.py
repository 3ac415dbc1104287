"""What a VM's cloud-init drive carries, as the documents shown by the API and as settings for the machine."""

import hashlib
import urllib.parse

from . import disks
from .call import locked_sync
from .config import apply_cloudinit, family
from .errors import TaskError, fail
from .guests import boot_disk, mac_of


def ssh_keys(conf):
    text = urllib.parse.unquote(conf.get("sshkeys", ""))
    return [line.strip() for line in text.split("\n") if line.strip()]


def ip_config(conf, index):
    parts = dict(p.partition("=")[::2] for p in conf.get("ipconfig%d" % index, "").split(",") if p)
    if parts.get("ip") in ("dhcp", "manual"):
        parts.pop("gw", None)
    return parts


def _words(text):
    return [w for w in text.replace(",", " ").replace(";", " ").split() if w]


def user_data(guest, conf):
    name, _, domain = guest.name.partition(".")
    domain = domain or (_words(conf.get("searchdomain", "")) or [""])[0]
    lines = ["#cloud-config", "hostname: " + name, "manage_etc_hosts: true"]
    if domain:
        lines.append("fqdn: %s.%s" % (name, domain))
    if conf.get("ciuser"):
        lines.append("user: " + conf["ciuser"])
    if conf.get("cipassword"):
        lines.append("password: " + conf["cipassword"])
    keys = ssh_keys(conf)
    if keys:
        lines += ["ssh_authorized_keys:"] + ["  - " + k for k in keys]
    lines += ["chpasswd:", "  expire: False"]
    if "ciuser" not in conf:
        lines += ["users:", "  - default"]
    if conf.get("ciupgrade", "1") == "1":
        lines.append("package_upgrade: true")
    return "\n".join(lines) + "\n"


def network_data(guest, conf):
    lines = ["version: 1", "config:"]
    for option, net in guest.networks(conf).items():
        index = int(option[3:])
        ip = ip_config(conf, index)
        lines += ["    - type: physical", "      name: eth%d" % index,
                  "      mac_address: '%s'" % (mac_of(net) or "").lower(), "      subnets:"]
        if ip.get("ip") == "dhcp":
            lines.append("      - type: dhcp4")
        elif "/" in ip.get("ip", ""):
            lines += ["      - type: static", "        address: '%s'" % ip["ip"]]
            if ip.get("gw"):
                lines.append("        gateway: '%s'" % ip["gw"])
    lines += ["    - type: nameserver", "      address:"]
    lines += ["      - '%s'" % a for a in _words(conf.get("nameserver", ""))]
    lines.append("      search:")
    lines += ["      - '%s'" % a for a in _words(conf.get("searchdomain", ""))]
    return "\n".join(lines) + "\n"


def instance_id(guest, conf):
    return hashlib.sha1((user_data(guest, conf) + network_data(guest, conf)).encode()).hexdigest()


def settings(world, guest):
    """The machine's settings at its next boot (see Hosts.configure)."""
    if guest.kind == "lxc":
        return container_settings(world, guest)
    conf = guest.conf
    out = {}
    net = guest.networks(conf).get("net0")
    if net:
        out["mac"] = mac_of(net)
        if net.get("tag"):
            out["vlan"] = int(net["tag"])
    volume = conf.get(boot_disk(conf), "").split(",")[0]
    if volume in world.volumes:
        out["disk_gb"] = world.volumes[volume]["size"] / (1 << 30)
    if not guest.cloudinit_drive():
        return out
    ip = ip_config(conf, 0)
    out.update(hostname=guest.name.split(".")[0], instance_id=instance_id(guest, conf),
               sshkeys=ssh_keys(conf), nameservers=_words(conf.get("nameserver", "")))
    for key, value in (("user", conf.get("ciuser")), ("ip", ip.get("ip")), ("gateway", ip.get("gw")),
                       ("searchdomain", " ".join(_words(conf.get("searchdomain", ""))))):
        if value and value != "manual":
            out[key] = value
    return out


def container_settings(world, guest):
    """Containers have no cloud-init drive: the node itself writes these into them before they start."""
    conf = guest.conf
    out = {"hostname": guest.name.split(".")[0], "user": "root", "sshkeys": guest.keys,
           "instance_id": "ct-%d" % guest.vmid, "nameservers": _words(conf.get("nameserver", ""))}
    domain = " ".join(_words(conf.get("searchdomain", "")))
    if domain:
        out["searchdomain"] = domain
    net = guest.networks().get("net0", {})
    for key, name in (("hwaddr", "mac"), ("gw", "gateway")):
        if net.get(key):
            out[name] = net[key]
    if net.get("ip") and net["ip"] != "manual":
        out["ip"] = net["ip"]
    if net.get("tag"):
        out["vlan"] = int(net["tag"])
    volume = disks.split(conf["rootfs"])[0]
    out["disk_gb"] = world.volumes[volume]["size"] / (1 << 30)
    return out


def check_custom(world, guest):
    """Snippets cannot be uploaded through the API, so only those of the configuration exist."""
    for part in filter(None, guest.conf.get("cicustom", "").split(",")):
        volume = part.split("=", 1)[1]
        if volume not in world.cfg.get("snippets", []):
            raise TaskError("volume '%s' does not exist" % volume)


def dump(call):
    guest = call.guest()
    conf = guest.merged()
    kind = call.args["type"]
    if kind == "user":
        return user_data(guest, conf)
    if kind == "network":
        return network_data(guest, conf)
    return "instance-id: %s\n" % instance_id(guest, conf)


def pending(call):
    guest = call.guest()
    rows = []
    for key in sorted(set(guest.conf) | set(guest.pending)):
        if family(key) not in ("cipassword", "ciuser", "sshkeys", "ipconfig", "nameserver", "searchdomain", "name"):
            continue
        row = {"key": key}
        shown = guest.show(dict(guest.conf, **{k: v for k, v in guest.pending.items() if v is not None}))
        if key in guest.conf:
            row["old"] = guest.show(guest.conf)[key]
        if key in shown:
            row["new"] = shown[key]
        rows.append(row)
    return rows


def regenerate(call):
    """PUT cloudinit: applies pending cloud-init options and rebuilds the drive."""
    guest, world = call.guest(), call.world

    def work():
        apply_cloudinit(world, guest)
        if not guest.cloudinit_drive():
            raise fail("no cloudinit drive found")
        if guest.host:
            try:
                world.hosts.configure(guest.host, settings(world, guest))
            except world.host_error as err:
                raise fail(str(err)) from None
        world.save()
    return locked_sync(call, guest, work)
