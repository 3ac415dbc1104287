"""The formats parameter tables name: plain checks, and property strings as tables (see schema.py)."""

import ipaddress
import re

IP4 = r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
BOOT_DEVICE = r"(?:ide[0-3]|sata[0-5]|scsi(?:[12]?\d|30)|virtio(?:\d|1[0-5])|net(?:[12]?\d|3[01])|usb(?:\d|1[0-3])|hostpci(?:\d|1[0-5]))"


def truth(text):
    """Property strings spell booleans in more ways; anything else is left for the check to refuse."""
    low = text.lower()
    if low in ("1", "on", "yes", "true"):
        return "1"
    if low in ("0", "off", "no", "false"):
        return "0"
    return text


def is_ip4(text):
    return re.fullmatch(IP4, text, re.A) is not None


def is_ip6(text):
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def is_cidr(text, is_address, most):
    address, slash, bits = text.partition("/")
    return bool(slash and is_address(address) and re.fullmatch(r"\d{1,3}", bits, re.A)
                and 8 <= int(bits) <= most)


def is_dns_name(text):
    return re.fullmatch(r"(?:%s\.)*%s" % (LABEL, LABEL), text, re.A) is not None


def _regex(pattern, text, flags=0):
    compiled = re.compile(pattern, flags | re.A | re.S)
    return lambda v: None if compiled.fullmatch(v) else text.replace("{v}", v)


def _test(function, text):
    return lambda v: None if function(v) else text.replace("{v}", v)


def _storage_id(v):
    if len(v) < 2:
        return "storage ID '%s' cannot be shorter than 2 characters" % v
    if not re.fullmatch(r"[a-z][a-z0-9\-_.]*[a-z0-9]", v, re.I | re.A):
        return "storage ID '%s' contains illegal characters" % v
    return None


def _volume_or_path(v):
    """A volume, a new disk `storage:GiB`, none, cdrom, or an absolute path."""
    if v in ("none", "cdrom") or v.startswith("/"):
        return None
    if re.fullmatch(r"[a-z][a-z0-9\-_.]*[a-z0-9]:.+", v, re.I | re.S):
        return None
    return "unable to parse volume ID '%s'" % v


def _boot(v):
    for part in v.split(","):
        key, eq, value = part.partition("=")
        if not eq:
            key, value = "legacy", part
        if key == "legacy":
            if not re.fullmatch(r"[acdn]{1,4}", value):
                return "format error\nboot.legacy: value does not match the regex pattern"
        elif key == "order":
            for device in filter(None, value.split(";")):
                if not re.fullmatch(BOOT_DEVICE, device):
                    return "format error\nboot.order: invalid format - invalid boot device '%s'" % device
        else:
            return "invalid key in comma-separated list property: %s" % key
    return None


def _hotplug(v):
    known = ("network", "disk", "cpu", "memory", "usb", "cloudinit")
    if v in ("0", "1") or all(one in known for one in v.split(",") if one):
        return None
    return "unable to parse hotplug option"


def _ip4_config(v):
    return v in ("dhcp", "manual") or is_cidr(v, is_ip4, 32)


def _ip6_config(v):
    return v in ("auto", "dhcp", "manual") or is_cidr(v, is_ip6, 128)


CHECKS = {
    "string": lambda v: None,
    "urlencoded": _regex(r"[-%a-zA-Z0-9_.!~*'()]*", "invalid urlencoded string: {v}"),
    "pve-configid": _regex(r"[a-z][a-z0-9_-]+", "invalid configuration ID '{v}'", re.I),
    "pve-storage-id": _storage_id,
    "pve-bridge-id": _regex(r"[-_.\w\d]+", "invalid bridge ID '{v}'"),
    "pve-vmid": _regex(r"[1-9][0-9]{2,8}", "value does not look like a valid VM ID"),
    "pve-node": _regex(LABEL, "value does not look like a valid node name"),
    "mac-addr": _regex(r"[a-f0-9][02468ace](?::[a-f0-9]{2}){5}",
                       "value does not look like a valid unicast MAC address", re.I),
    "dns-name": _test(is_dns_name, "value does not look like a valid DNS name"),
    "ipv4": _test(is_ip4, "value does not look like a valid IPv4 address"),
    "ipv6": _test(is_ip6, "value does not look like a valid IPv6 address"),
    "CIDR": _test(lambda v: is_cidr(v, is_ip4, 32) or is_cidr(v, is_ip6, 128),
                  "value does not look like a valid CIDR network"),
    "pve-ipv4-config": _test(_ip4_config, "value does not look like a valid ipv4 network configuration"),
    "pve-ipv6-config": _test(_ip6_config, "value does not look like a valid ipv6 network configuration"),
    "address": _test(lambda v: is_ip4(v) or is_ip6(v) or is_dns_name(v),
                     "value does not look like a valid address: {v}"),
    "lxc-ip-with-ll-iface": _test(lambda v: is_ip4(v) or is_ip6(v.split("%")[0]),
                                  "value does not look like a valid IP address"),
    "disk-size": _regex(r"\d+(\.\d+)?([KMGT](iB)?)?", "value does not look like a valid disk size: {v}"),
    "pve-tag": _regex(r"[a-z0-9_][a-z0-9_\-+.]*", "invalid characters in tag", re.I),
    "pve-startup-order": _regex(r"\s*((order=)?\d+|up=\d+|down=\d+)(,\s*((order=)?\d+|up=\d+|down=\d+))*",
                                "unable to parse startup options"),
    "pve-poolid": _regex(r"[A-Za-z0-9.\-_]+(/[A-Za-z0-9.\-_]+){0,2}",
                         "pool name '{v}' contains invalid characters"),
    "pve-volume-id": _regex(r"[a-z][a-z0-9\-_.]*[a-z0-9]:.+", "unable to parse volume ID '{v}'", re.I),
    "pve-volume-id-or-qm-path": _volume_or_path,
    "pve-volume-id-or-absolute-path": _volume_or_path,
    "pve-qm-ide": lambda v: _volume_or_path(v.split(",")[0]),
    "pve-qm-bootdisk": _regex(r"(ide|sata|scsi|virtio)\d+", "invalid boot device '{v}'"),
    "pve-qm-boot": _boot,
    "pve-hotplug-features": _hotplug,
    "pve-cpuset": _regex(r"\s*\d+(-\d+)?(\s*,\s*\d+(-\d+)?)*\s*", "unable to parse cpuset"),
    "pve-lxc-dev-string": _regex(r"/dev/(?!.*/\.\.?(/|$)).*", "{v} is not a valid device path"),
    "pve-lxc-mp-string": lambda v: None,
    "pve-ct-timezone": _regex(r"host|[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", "invalid time zone '{v}'"),
    "pve-storage-content": _regex(r"images|rootdir|vztmpl|iso|backup|snippets|none|import",
                                  "invalid content type '{v}'"),
    "pve-task-status-type": _regex(r"ok|error|warning|unknown", "invalid status '{v}'", re.I),
    "storage-pair": _regex(r"1|[a-zA-Z][\w.-]*(:[a-zA-Z][\w.-]*)?", "{v} is not a valid storage pair"),
}


def refuse(name, value):
    """The text by which format `name` refuses `value`, or None."""
    if name in CHECKS:
        return CHECKS[name](value)
    if name.endswith("-list") and name[:-5] in CHECKS:
        for one in re.split(r"[\0,;\s]+", value):
            text = CHECKS[name[:-5]](one) if one else None
            if text:
                return text
        return None
    raise KeyError("undefined format %s" % name)


_THROTTLE = "\n".join(
    ["bps%s int?" % x for x in ("", "_rd", "_wr")]
    + ["iops%s%s int?" % (d, m) for d in ("", "_rd", "_wr") for m in ("", "_max")]
    + ["mbps%s%s num?" % (d, m) for d in ("", "_rd", "_wr") for m in ("", "_max")]
    + ["%s%s int? 1.." % (a, b) for a in ("bps", "iops") for b in ("_rd_max_length", "_wr_max_length")]
    + ["bps_max_length int? 1..", "iops_max_length int? 1.."]
    + ["%s_%s_length ->%s_%s_max_length" % (a, d, a, d) for a in ("bps", "iops") for d in ("rd", "wr")])

_DRIVE = _THROTTLE + r"""
aio str? {native|threads|io_uring}
backup bool?
cache str? {none|writethrough|writeback|unsafe|directsync}
cyls int? v8
detect_zeroes bool?
discard str? {ignore|on}
file str * :pve-volume-id-or-qm-path
format str? {raw|qcow|qed|qcow2|vmdk|cloop}
heads int? v8
import-from str? :pve-volume-id-or-absolute-path
media str? {cdrom|disk}
replicate bool?
rerror str? {ignore|report|stop}
secs int? v8
serial str? len=..60 :urlencoded
shared bool?
size str? :disk-size
snapshot bool?
trans str? {none|lba|auto} v8
volume ->file
werror str? {enospc|ignore|report|stop}
"""
_SSD = r"""
ssd bool?
wwn str? re=(?:^(0x)[0-9a-fA-F]{16})
"""
_LIST = r"(?:\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*)"
_MODELS = ("e1000 e1000-82540em e1000-82544gc e1000-82545em e1000e i82551 i82557b i82559er ne2k_isa ne2k_pci"
           " pcnet rtl8139 virtio vmxnet3").split()
_IDMAP = r"(?:^(?:passthrough|[ug]:[0-9]+:[0-9]+:[1-9][0-9]*(?:;[ug]:[0-9]+:[0-9]+:[1-9][0-9]*)*)$)"
_MOUNT_OPTION = "(?:(discard|lazytime|noatime|nodev|noexec|nosuid))"
_MOUNT = r"""
acl bool?
idmap str? v9 re=%s
mountoptions str? re=(?:%s(;%s)*)
quota bool?
replicate bool?
ro bool?
shared bool?
size str? :disk-size
volume str * :pve-lxc-mp-string
""" % (_IDMAP, _MOUNT_OPTION, _MOUNT_OPTION)
_TYPED_MACHINE = (r"(pc|pc(-i440fx)?-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?|q35|pc-q35-\d+(\.\d+)+(\+pve\d+)?(\.pxe)?"
                  r"|virt(?:-\d+(\.\d+)+)?(\+pve\d+)?)")

PROPERTIES = {
    "drive-ide": _DRIVE + _SSD + "model str? len=..120 :urlencoded",
    "drive-sata": _DRIVE + _SSD,
    "drive-scsi": _DRIVE + _SSD + r"""
iothread bool?
product str? re=[A-Za-z0-9\-_\s]{,16}
queues int? 2..
ro bool?
scsiblock bool?
vendor str? re=[A-Za-z0-9\-_\s]{,8}
""",
    "drive-virtio": _DRIVE + "iothread bool?\nro bool?",
    "drive-efi": r"""
efitype str? {2m|4m}
file str * :pve-volume-id-or-qm-path
format str? {raw|qcow|qed|qcow2|vmdk|cloop}
import-from str? :pve-volume-id-or-absolute-path
ms-cert str? {2011|2023|2023w|2023k} v9
pre-enrolled-keys bool?
size str? :disk-size
volume ->file
""",
    "drive-tpm": r"""
file str * :pve-volume-id-or-qm-path
format str? {raw|qcow2|vmdk} v9
import-from str? :pve-volume-id-or-absolute-path
size str? :disk-size
version str? {v1.2|v2.0}
volume ->file
""",
    "drive-unused": "file str * :pve-volume-id\nvolume ->file",
    "net-qemu": "bridge str? :pve-bridge-id\nfirewall bool?\nlink_down bool?\nmacaddr str? :mac-addr\n"
                + "model str * {%s}\n" % "|".join(_MODELS)
                + "mtu int? 1..65520\nqueues int? 0..64\nrate num? 0..\ntag int? 1..4094\n"
                + "trunks str? re=%s\n" % _LIST
                + "\n".join("%s ->macaddr key=model" % m for m in _MODELS),
    "net-lxc": r"""
bridge str? re=[-_.\w\d]+
firewall bool?
gw str? :ipv4
gw6 str? :ipv6
host-managed bool? v9
hwaddr str? :mac-addr
ip str? :pve-ipv4-config
ip6 str? :pve-ipv6-config
link_down bool?
mtu int? 64..65535
name str re=[-_.\w\d]+
rate num?
tag int? 1..4094
trunks str? re=(?:\d+(?:;\d+)*)
type str? {veth}
""",
    "agent": r"""
enabled bool *
freeze-fs bool? v9
freeze-fs-on-backup bool? v8
freeze-fs-on-backup ->freeze-fs v9
fstrim_cloned_disks bool?
guest-fsfreeze ->freeze-fs v9
type str? {virtio|isa}
""",
    "pve-qm-ipconfig": r"""
ip str? :pve-ipv4-config
gw str? needs=ip :ipv4
ip6 str? :pve-ipv6-config
gw6 str? needs=ip6 :ipv6
""",
    "pve-qm-cicustom": "\n".join("%s str? :pve-volume-id" % k for k in ("meta", "network", "user", "vendor")),
    "pve-vm-cpu-conf": r"""
cputype str? * re=(custom-)?[a-zA-Z0-9\-_.]+
flags str? re=[+-][a-zA-Z0-9\-_.]+(;[+-][a-zA-Z0-9\-_.]+)*
guest-phys-bits int? 32..64
hidden bool?
hv-vendor-id str? len=..12
phys-bits str? re=(host|[0-9]{1,2})
reported-model str? re=[a-zA-Z0-9\-_.]+
""",
    "pve-qemu-sev-fmt": r"""
type str * {std|es|snp}
allow-smt bool?
kernel-hashes bool?
no-debug bool?
no-key-sharing bool?
""",
    "pve-qemu-tdx-fmt": r"""
type str * {tdx}
attestation bool?
vsock-cid int? 2..
vsock-port int? 0..
""",
    "pve-qm-hostpci": r"""
host str? * re=[0-9a-fA-F:.;]+
device-id str? re=0x[0-9a-fA-F]{4}
legacy-igd bool?
mapping str? :pve-configid
mdev str? re=[^/.:]+
pcie bool?
rombar bool?
romfile str? re=[^,;]+
sub-device-id str? re=0x[0-9a-fA-F]{4}
sub-vendor-id str? re=0x[0-9a-fA-F]{4}
vendor-id str? re=0x[0-9a-fA-F]{4}
x-vga bool?
""",
    "pve-qm-smbios1": r"""
base64 bool?
family str? re=[A-Za-z0-9+/]+={0,2}
manufacturer str? re=[A-Za-z0-9+/]+={0,2}
product str? re=[A-Za-z0-9+/]+={0,2}
serial str? re=[A-Za-z0-9+/]+={0,2}
sku str? re=[A-Za-z0-9+/]+={0,2}
uuid str? re=[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}
version str? re=[A-Za-z0-9+/]+={0,2}
""",
    "pve-qm-rng": "source str * {/dev/urandom|/dev/random|/dev/hwrng}\nmax_bytes int? 0..\nperiod int? 1..",
    "pve-qm-watchdog": "model str? * {i6300esb|ib700}\naction str? {reset|shutdown|poweroff|pause|debug|none}",
    "audio": "device str {ich9-intel-hda|intel-hda|AC97}\ndriver str? {spice|none}",
    "ivshmem": "name str? re=[a-zA-Z0-9\\-]+\nsize int 1..",
    "machine": "aw-bits num? 32..64 v9\nenable-s3 bool?\nenable-s4 bool?\nviommu str? {intel|virtio}\n"
               "type str? len=..40 * re=" + _TYPED_MACHINE,
    "memory": "current int 16.. *",
    "numa": ("cpus str re=%s\nhostnodes str? re=%s\nmemory num?\npolicy str? {preferred|bind|interleave}"
             % (_LIST, _LIST)),
    "spice": "foldersharing bool?\nvideostreaming str? {off|all|filter}",
    "usb": r"""
host str? * re=(?:(?:(?:(?:(0x)?([0-9A-Fa-f]{4}):(0x)?([0-9A-Fa-f]{4})))|(?:(?:(\d+)\-(\d+(\.\d+)*)))|[Ss][Pp][Ii][Cc][Ee]))
mapping str? :pve-configid
usb3 bool?
""",
    "vga": r"""
clipboard str? {vnc}
memory int? 4..512
type str? * {cirrus|qxl|qxl2|qxl3|qxl4|none|serial0|serial1|serial2|serial3|std|virtio|virtio-gl|vmware}
""",
    "virtiofs": r"""
cache str? {auto|always|metadata|never}
direct-io bool?
dirid str * :pve-configid
expose-acl bool?
expose-xattr bool?
""",
    "lxc-dev": r"""
deny-write bool?
gid int? 0..
mode str? re=0[0-7]{3}
path str? * :pve-lxc-dev-string
uid int? 0..
""",
    "lxc-features": r"""
force_rw_sys bool?
fuse bool?
keyctl bool?
mknod bool?
mount str? re=(?:[a-zA-Z0-9_; ]+)
nesting bool?
""",
    "lxc-rootfs": _MOUNT,
    "lxc-mp": _MOUNT + "backup bool?\nkeepattrs bool? v9\nmp str :pve-lxc-mp-string",
    "lxc-unused": "volume str * :pve-volume-id",
}
