"""Volumes of a guest: allocation from the `storage:GiB` notation, cloud-init drives, copies, release."""

import re

from .errors import TaskError, fail
from .guests import DRIVE, MOUNT, parse_size, print_size

IMPORTED_BYTES = 3 << 30
# image -> the template VM made of it, the container template of the same release
IMAGES = {"bookworm": ("debian-12-template", "debian-12-standard_12.12-1_amd64.tar.zst"),
          "trixie": ("debian-13-template", "debian-13-standard_13.1-2_amd64.tar.zst")}


def split(value):
    """A drive's value as (volume, other properties in order)."""
    first, _, rest = value.partition(",")
    props = [p for p in rest.split(",") if p]
    if first.startswith(("file=", "volume=")):
        first = first.split("=", 1)[1]
    return first, props


def wanted(value):
    """(storage, GiB) when a value asks for a new disk, else None."""
    match = re.fullmatch(r"([A-Za-z][\w.-]*):(\d+(?:\.\d+)?)", split(value)[0])
    return (match.group(1), float(match.group(2))) if match else None


def new_cloudinit(value):
    match = re.fullmatch(r"([A-Za-z][\w.-]*):cloudinit", split(value)[0])
    return match.group(1) if match else None


def is_drive(guest, option):
    return (DRIVE if guest.kind == "qemu" else MOUNT).fullmatch(option) is not None


def check(call, guest, option, value):
    """Refuses a drive that cannot be had; runs before anything is changed."""
    world = call.world
    storage = new_cloudinit(value) or (wanted(value) or [None])[0]
    if storage:
        call.need_storage(storage, "images" if guest.kind == "qemu" else "rootdir", guest.node)
        source = imported(value)
        if source and image_of(world, source) is None:
            raise fail("volume '%s' does not exist" % source)
        return
    volume = split(value)[0]
    if ":" in volume and not volume.startswith("/"):
        if volume not in world.volumes and volume not in fixed_volumes(world, guest.node):
            raise fail("volume '%s' does not exist" % volume)
        owner = world.volumes.get(volume, {}).get("vmid", guest.vmid)
        if owner != guest.vmid:
            call.need("/vms/%d" % owner, ["VM.Config.Disk"])


def imported(value):
    return next((p[len("import-from="):] for p in split(value)[1] if p.startswith("import-from=")), None)


def image_of(world, volume):
    """The lab's image behind a volume that can be imported."""
    if volume in world.volumes:
        return world.volumes[volume].get("image")
    return next((image for image in ("bookworm", "trixie") if volume == import_volume(image)), None)


def import_volume(image):
    return "local:import/debian-%s-generic-amd64.qcow2" % {"bookworm": 12, "trixie": 13}[image]


def fixed_volumes(world, node):
    """Volumes that are there from the start: container templates, images to import."""
    if not world.storage_on("local", node):
        return {}
    out = {}
    for image, (_, archive) in IMAGES.items():
        out["local:vztmpl/" + archive] = {"content": "vztmpl", "format": "tzst", "size": 126 << 20,
                                          "image": image}
        out[import_volume(image)] = {"content": "import", "format": "qcow2", "size": 345 << 20,
                                     "image": image}
    return out


def realise(world, guest, option, value, pause):
    """Allocates what `value` asks for and returns the value to store. `pause(seconds)` is the work's time."""
    storage = new_cloudinit(value)
    if storage:
        volume = "%s:vm-%d-cloudinit" % (storage, guest.vmid)
        if volume in world.volumes:
            raise TaskError("rbd/lvm volume 'vm-%d-cloudinit' already exists" % guest.vmid)
        return _allocate(world, guest, storage, volume, 4 << 20, pause) + ",media=cdrom,size=4M"
    ask = wanted(value)
    if not ask:
        return ",".join([split(value)[0]] + _with_size(world, value))
    storage, gib = ask
    source = imported(value)
    size = IMPORTED_BYTES if source else int(gib * (1 << 30))
    volume = _allocate(world, guest, storage, guest.free_name(world, storage), size, pause)
    if source:
        world.volumes[volume]["image"] = image_of(world, source)
        pause(world.duration("full_gb", size / (1 << 30)))
    props = [p for p in split(value)[1] if not p.startswith(("import-from=", "format=", "size="))]
    return ",".join([volume] + props + ["size=" + print_size(size)])


def _with_size(world, value):
    volume, props = split(value)
    if volume in world.volumes and not any(p.startswith("size=") for p in props):
        props = props + ["size=" + print_size(world.volumes[volume]["size"])]
    return props


def _allocate(world, guest, storage, volume, size, pause):
    with world.storage_lock(storage):
        pause(world.duration("alloc"))
        store = world.storage(storage)
        used = sum(v["size"] for k, v in list(world.volumes.items()) if k.startswith(storage + ":"))
        if used + size > store["gb"] << 30 and not store["type"].endswith("thin"):
            raise TaskError("unable to create image: not enough space on storage '%s'" % storage)
        world.volumes[volume] = {"size": size, "vmid": guest.vmid, "base": None}
    return volume


def copy(world, new, option, value, storage, full, pause):
    """A copy of one drive for guest `new`; linked to the original, or whole on `storage`."""
    volume, props = split(value)
    if ":" not in volume or volume not in world.volumes:
        return value    # no medium, or one that all share
    origin = dict(world.volumes[volume])
    target = storage or volume.split(":")[0]
    if volume.endswith("-cloudinit"):
        name = "%s:vm-%d-cloudinit" % (target, new.vmid)
        full = True
    else:
        name = new.free_name(world, target)
    _allocate(world, new, target, name, origin["size"], pause)
    if full:
        pause(world.duration("full_gb", origin["size"] / (1 << 30)))
    else:
        pause(world.duration("linked"))
        store = world.storage(target)
        if store["type"] != "lvmthin":
            linked = "%s:%s/%s" % (target, volume.split(":")[1].split("/")[-1], name.split(":")[1])
            world.volumes[linked] = world.volumes.pop(name)
            name = linked
        world.volumes[name]["base"] = volume
    world.volumes[name]["image"] = origin.get("image")
    return ",".join([name] + props)


def release(world, guest):
    """Frees every volume of a guest."""
    for volume in [v for v, d in list(world.volumes.items()) if d["vmid"] == guest.vmid]:
        world.free_volume(volume)


def children(world, guest):
    """Volumes linked to one of this guest's."""
    known = list(world.volumes.items())
    own = {v for v, d in known if d["vmid"] == guest.vmid}
    return [d["base"] for _, d in known if d.get("base") in own]


def resized(old, text):
    """The size in bytes that `text` (absolute, or +more) asks for."""
    if text.startswith("+"):
        return old + parse_size(text[1:])
    return parse_size(text)


def set_size(world, guest, option, size):
    volume, props = split(guest.conf[option])
    world.volumes[volume]["size"] = size
    props = [p for p in props if not p.startswith("size=")] + ["size=" + print_size(size)]
    guest.conf[option] = ",".join([volume] + props)
