"""Parameters of a VM's configuration: what create, PUT config and POST config take (notation: schema.py)."""

_KEYBOARDS = "de|de-ch|da|en-gb|en-us|es|fi|fr|fr-be|fr-ca|fr-ch|hu|is|it|ja|lt|mk|nl|no|pl|pt|pt-br|sv|sl|tr"

OPTIONS = r"""
acpi bool?
affinity str? :pve-cpuset
agent str? :=agent
allow-ksm bool? v9
amd-sev str? :pve-qemu-sev-fmt
arch str? {x86_64|aarch64}
args str?
audio0 str? :=audio
autostart bool?
balloon int? 0..
bios str? {seabios|ovmf}
boot str? :pve-qm-boot
bootdisk str? :pve-qm-bootdisk re=(ide|sata|scsi|virtio)\d+
cdrom str? :pve-qm-ide
cicustom str? :pve-qm-cicustom
cipassword str?
citype str? {configdrive2|nocloud|opennebula}
ciupgrade bool?
ciuser str?
cores int? 1..
cpu str? :pve-vm-cpu-conf
cpulimit num? 0..128
cpuunits int? 1..262144
description str? len=..8192
efidisk0 str? :=drive-efi
freeze bool?
hookscript str? :pve-volume-id
hostpci[n] str? :pve-qm-hostpci
hotplug str? :pve-hotplug-features
hugepages str? {any|2|1024}
ide[n] str? :=drive-ide
intel-tdx str? :pve-qemu-tdx-fmt v9
ipconfig[n] str? :pve-qm-ipconfig
ivshmem str? :=ivshmem
keephugepages bool?
keyboard str? {""" + _KEYBOARDS + r"""}
kvm bool?
localtime bool?
lock str? {backup|clone|create|migrate|rollback|snapshot|snapshot-delete|suspending|suspended}
machine str? :=machine
memory str? :=memory
migrate_downtime num? 0..
migrate_speed int? 0..
name str? :dns-name
nameserver str? :address-list
net[n] str? :=net-qemu
numa bool?
numa[n] str? :=numa
onboot bool?
ostype str? {other|wxp|w2k|w2k3|w2k8|wvista|win7|win8|win10|win11|l24|l26|solaris}
parallel[n] str? re=/dev/parport\d+|/dev/usb/lp\d+
protection bool?
reboot bool?
rng0 str? :pve-qm-rng
sata[n] str? :=drive-sata
scsi[n] str? :=drive-scsi
scsihw str? {lsi|lsi53c810|virtio-scsi-pci|virtio-scsi-single|megasas|pvscsi}
searchdomain str?
serial[n] str? v8 re=(/dev/.+|socket)
serial[n] str? v9 re=(/dev/[^,]+|socket)
shares int? 0..50000
smbios1 str? len=..512 :pve-qm-smbios1
smp int? 1..
sockets int? 1..
spice_enhancements str? :=spice
sshkeys str? :urlencoded
startdate str? re=(now|\d{4}-\d{1,2}-\d{1,2}(T\d{1,2}:\d{1,2}:\d{1,2})?)
startup str? :pve-startup-order
tablet bool?
tags str? :pve-tag-list
tdf bool?
template bool?
tpmstate0 str? :=drive-tpm
unused[n] str? :=drive-unused
usb[n] str? :=usb
vcpus int? 1..
vga str? :=vga
virtio[n] str? :=drive-virtio
virtiofs[n] str? :=virtiofs
vmgenid str? re=(?:[a-fA-F0-9]{8}(?:-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}|[01])
vmstatestorage str? :pve-storage-id
watchdog str? :pve-qm-watchdog
"""

CREATE = OPTIONS + r"""
vmid int 100..999999999 :pve-vmid
archive str? len=..255
bwlimit int? 0..
force bool? needs=archive
ha-managed bool? v9
import-working-storage str? :pve-storage-id
live-restore bool?
pool str? :pve-poolid
start bool?
storage str? :pve-storage-id
unique bool? needs=archive
"""

UPDATE = OPTIONS + r"""
delete str? :pve-configid-list
digest str? len=..40
force bool? needs=delete
revert str? :pve-configid-list
skiplock bool?
"""

UPDATE_ASYNC = UPDATE + r"""
background_delay int? 1..30
import-working-storage str? :pve-storage-id
"""

DISKS = ["%s%d" % (bus, i) for bus, n in (("ide", 4), ("scsi", 31), ("virtio", 16), ("sata", 6))
         for i in range(n)] + ["efidisk0", "tpmstate0"]

# Which privilege changes an option; what is not named here needs VM.Config.Options.
HARDWARE = ("acpi arch audio0 cdrom efidisk hostpci intel-tdx ivshmem keyboard machine parallel rng0 scsihw"
            " serial spice_enhancements tablet tpmstate usb vga virtiofs watchdog amd-sev").split()
PROCESSOR = "affinity cores cpu cpulimit cpuunits numa smp sockets vcpus".split()
MEMORY = "allow-ksm balloon memory shares".split()
CLOUDINIT = "cicustom cipassword citype ciupgrade ciuser nameserver searchdomain sshkeys ipconfig".split()
ROOT_ONLY = "args hookscript lock".split()
# Values that a running machine takes at once; the others wait in [PENDING] for the next start.
HOT = ("name description tags onboot protection startup autostart hotplug migrate_downtime migrate_speed"
       " bootdisk delete shares hookscript vmstatestorage template unused").split()
