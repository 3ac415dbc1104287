"""Parameters of a container's configuration (notation: schema.py)."""

_OSTYPES = "debian|devuan|ubuntu|centos|fedora|opensuse|archlinux|alpine|gentoo|nixos|unmanaged"

OPTIONS = r"""
arch str? {amd64|i386|arm64|armhf|riscv32|riscv64}
cmode str? {shell|console|tty}
console bool?
cores int? 1..8192
cpulimit num? 0..8192
cpuunits int? 0..500000
debug bool?
description str? len=..8192
dev[n] str? :=lxc-dev
entrypoint str? v9 re=(?:[^\x00-\x08\x0a-\x1F\x7F]+)
env str? v9 re=(?:(?:\w+=[^\x00-\x08\x0a-\x1F\x7F]*)(?:\0\w+=[^\x00-\x08\x0a-\x1F\x7F]*)*)
features str? :=lxc-features
hookscript str? :pve-volume-id
hostname str? len=..255 :dns-name
lock str? {backup|create|destroyed|disk|fstrim|migrate|mounted|rollback|snapshot|snapshot-delete}
memory int? 16..
mp[n] str? :=lxc-mp
nameserver str? :lxc-ip-with-ll-iface-list
net[n] str? :=net-lxc
onboot bool?
ostype str? {""" + _OSTYPES + r"""}
protection bool?
rootfs str? :=lxc-rootfs
searchdomain str? :dns-name-list
startup str? :pve-startup-order
swap int? 0..
tags str? :pve-tag-list
template bool?
timezone str? :pve-ct-timezone
tty int? 0..6
unprivileged bool?
unused[n] str? :=lxc-unused
"""

CREATE = OPTIONS + r"""
vmid int 100..999999999 :pve-vmid
bwlimit num? 0..
force bool?
ha-managed bool? v9
ignore-unpack-errors bool?
ostemplate str len=..255
password str? len=5..
pool str? :pve-poolid
restore bool?
ssh-public-keys str?
start bool?
storage str? :pve-storage-id
unique bool? needs=restore
"""

UPDATE = OPTIONS + r"""
delete str? :pve-configid-list
digest str? len=..40
revert str? :pve-configid-list
"""

DISKS = ["rootfs"] + ["mp%d" % i for i in range(256)]

PROCESSOR = "cores cpulimit cpuunits".split()
MEMORY = "memory swap".split()
NETWORK = "net nameserver searchdomain hostname".split()
DISK = "rootfs mp unused".split()
