"""Run on a host: a picture of what playbooks change, as JSON {what: value}.   python3 - DIRECTORY..."""
import grp
import hashlib
import json
import os
import pwd
import re
import stat
import subprocess
import sys

SHOWN = 600  # bytes of a text file that go into the picture as they are
UNITS = "--type=service,timer,socket,path,mount,swap"
MOMENTS = re.compile(rb"(?m)^# \(\S+ installed on .*\)\n")  # crontab's own line
picture = {}


def name(table, number):
    try:
        return table(number)[0]
    except KeyError:
        return str(number)


def add_file(path):
    st = os.lstat(path)
    mode = f"{stat.S_IMODE(st.st_mode):04o} {name(pwd.getpwuid, st.st_uid)}:{name(grp.getgrgid, st.st_gid)}"
    kind = stat.S_IFMT(st.st_mode)
    if kind == stat.S_IFLNK:
        picture["file " + path] = "-> " + os.readlink(path)
    elif kind == stat.S_IFDIR:
        picture["file " + path] = mode + " directory"
    elif kind == stat.S_IFREG:
        with open(path, "rb") as f:
            if "/.ssh/id_" in path:
                picture["file " + path] = mode + " a key"
                return
            body = MOMENTS.sub(b"", f.read())
        text = ""
        if len(body) <= SHOWN:
            try:
                text = "\n" + body.decode() if body else ""
            except UnicodeDecodeError:
                pass
        picture["file " + path] = f"{mode} {len(body)} bytes {hashlib.sha1(body).hexdigest()[:12]}{text}"
    else:
        picture["file " + path] = mode + {stat.S_IFIFO: " fifo", stat.S_IFSOCK: " socket"}.get(kind, " device")


def add_tree(root):
    for folder, dirs, files in os.walk(root):
        for entry in dirs + files:
            add_file(os.path.join(folder, entry))


def table(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            fields = line.rstrip("\n").split(":")
            if len(fields) > 1:
                yield fields


def command(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()


def password(field):
    """What kind it is, not what it is."""
    return re.sub(r"^([!*]*)(\$[^$]+\$)?.*", r"\1\2", field) or ("none" if not field else "set")


for top in sys.argv[1:]:
    if os.path.lexists(top):
        add_file(top)
        add_tree(top)
for u in table("/etc/passwd"):
    picture["user " + u[0]] = ":".join(u[2:])
for g in table("/etc/group"):
    picture["group " + g[0]] = ":".join(g[2:3] + [",".join(sorted(g[3].split(",")))])
for s in table("/etc/shadow"):
    picture["password " + s[0]] = ":".join([password(s[1])] + s[3:])
for line in command("dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Abbrev} ${Version}\n"):
    package, rest = line.split(" ", 1)
    picture["package " + package] = rest
for line in command("systemctl", "list-unit-files", "--plain", "--no-legend", UNITS):
    words = line.split()
    picture["unit file " + words[0]] = words[1]
for line in command("systemctl", "list-units", "--all", "--plain", "--no-legend", UNITS):
    words = line.split()
    if words[1] != "not-found":
        picture["unit " + words[0]] = " ".join(words[1:4])
print(json.dumps(picture))
