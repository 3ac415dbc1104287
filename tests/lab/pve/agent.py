"""The QEMU guest agent: its calls reach inside the machine."""

import base64
import binascii
import threading
import time

from .errors import fail, param_error

PING_SECONDS = 3.0
MOST_OUTPUT = 16 << 20


class Exec:
    """A command started through the agent."""

    def __init__(self):
        self.result = None
        self.error = None


def connected(call):
    """The guest, once its agent answers; otherwise the error the API gives."""
    guest, world = call.guest(), call.world
    if not guest.running(world):
        raise fail("VM %d is not running" % guest.vmid)
    if not guest.run["agent"]:
        raise fail("No QEMU guest agent configured")
    end = time.monotonic() + PING_SECONDS
    while not (guest.host and world.hosts.agent_ready(guest.host)):
        if time.monotonic() >= end or not guest.running(world):
            raise fail("QEMU guest agent is not running")
        time.sleep(0.05)
    return guest


def inside(call, function, *args):
    try:
        return function(*args)
    except call.world.host_error as err:
        raise fail("Agent error: %s" % err) from None


def ping(call):
    connected(call)
    return {"result": {}}


def interfaces(call):
    guest = connected(call)
    rows = []
    for card in inside(call, call.world.hosts.interfaces, guest.host):
        rows.append({
            "name": card["name"], "hardware-address": card["mac"],
            "ip-addresses": [{"ip-address": a["ip"], "ip-address-type": a["family"].replace("inet6", "ipv6")
                              .replace("inet", "ipv4"), "prefix": a["prefix"]} for a in card["addresses"]],
            "statistics": dict.fromkeys(("rx-bytes", "rx-dropped", "rx-errs", "rx-packets", "tx-bytes",
                                         "tx-dropped", "tx-errs", "tx-packets"), 0)})
    return {"result": rows}


def host_name(call):
    guest = connected(call)
    _, _, out, _ = inside(call, call.world.hosts.exec, guest.host, ["hostname"])
    return {"result": {"host-name": out.decode().strip()}}


def os_info(call):
    guest = connected(call)
    text = inside(call, call.world.hosts.read_file, guest.host, "/etc/os-release").decode()
    have = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    have = {k: v.strip('"') for k, v in have.items()}
    info = {"id": have.get("ID"), "name": have.get("NAME"), "pretty-name": have.get("PRETTY_NAME"),
            "version": have.get("VERSION"), "version-id": have.get("VERSION_ID"), "machine": "x86_64"}
    return {"result": {k: v for k, v in info.items() if v}}


def run(call):
    guest, world = connected(call), call.world
    job = Exec()
    guest.next_pid += 1
    pid = guest.next_pid
    guest.exec[pid] = job
    stdin = call.args.get("input-data", "").encode()

    def work():
        try:
            job.result = world.hosts.exec(guest.host, call.args["command"], stdin, None)
        except world.host_error as err:
            job.error = str(err)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(0.05)
    if job.error and not thread.is_alive():
        del guest.exec[pid]
        raise fail("Agent error: Guest agent command failed, error was 'Failed to execute child process"
                   " “%s” (%s)'" % (call.args["command"][0], job.error))
    return {"pid": pid}


def run_status(call):
    guest, pid = connected(call), call.number("pid")
    job = guest.exec.get(pid)
    if not job:
        raise fail("Agent error: PID %d does not exist" % pid)
    if job.result is None and job.error is None:
        return {"exited": 0}
    del guest.exec[pid]
    if job.error:
        return {"exited": 1, "exitcode": 127, "err-data": job.error}
    code, signal, out, err = job.result
    answer = {"exited": 1}
    if signal is not None:
        answer["signal"] = signal
    else:
        answer["exitcode"] = code
    for name, data in (("out", out), ("err", err)):
        if data:
            answer[name + "-data"] = data[:MOST_OUTPUT].decode(errors="replace")
        if len(data) > MOST_OUTPUT:
            answer[name + "-truncated"] = 1
    return answer


def file_read(call):
    guest = connected(call)
    try:
        data = call.world.hosts.read_file(guest.host, call.args["file"])
    except call.world.host_error:
        raise fail("Agent error: failed to open file '%s' (mode: 'r'): No such file or directory"
                   % call.args["file"]) from None
    most = call.number("count", MOST_OUTPUT)
    part = data[call.number("offset", 0):][:most]
    text = part.decode(errors="replace") if call.flag("decode", True) else base64.b64encode(part).decode()
    out = {"bytes-read": len(part), "content": text}
    if len(part) < len(data):
        out["truncated"] = 1
    return out


def file_write(call):
    guest = connected(call)
    data = call.args["content"].encode()
    if not call.flag("encode", True):
        try:
            data = base64.b64decode(data, validate=True)
        except binascii.Error:
            raise param_error(content="invalid base64") from None
    inside(call, call.world.hosts.write_file, guest.host, call.args["file"], data)
