"""Who may do what: API tokens, roles, access control lists with inheritance, privilege separation."""

import re
import urllib.parse

from .errors import ApiError, denied

_COMMON = """
Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit Group.Allocate
Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate
Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming
Sys.Modify Sys.PowerMgmt Sys.Syslog User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM
VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network
VM.Config.Options VM.Console VM.Migrate VM.PowerMgmt VM.Snapshot VM.Snapshot.Rollback
""".split()
_ONLY = {
    8: ["VM.Monitor"],
    9: ["VM.GuestAgent.Audit", "VM.GuestAgent.FileRead", "VM.GuestAgent.FileSystemMgmt",
        "VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted", "VM.Replicate"],
}
_PROVISION = """
VM.Clone VM.Allocate VM.Audit VM.Config.CPU VM.Config.Memory VM.Config.Disk VM.Config.CDROM
VM.Config.Network VM.Config.Options VM.Config.HWType VM.Config.Cloudinit VM.PowerMgmt
Datastore.AllocateSpace Datastore.Audit SDN.Use Pool.Allocate Pool.Audit Sys.Audit
""".split()
TOP_PATHS = ["/", "/access", "/nodes", "/pool", "/sdn", "/storage", "/vms"]


def privileges(release):
    return _COMMON + _ONLY[release]


def roles(release):
    """The roles an ACL entry may name. `Provision` is the set a provisioning token needs, no more."""
    known = privileges(release)
    vm = [p for p in known if p.startswith("VM.")]
    agent = _ONLY[8] if release == 8 else ["VM.GuestAgent.Audit", "VM.GuestAgent.FileRead",
                                           "VM.GuestAgent.FileWrite", "VM.GuestAgent.Unrestricted"]
    return {
        "Administrator": known,
        "NoAccess": [],
        "PVEAuditor": [p for p in known if p.endswith(".Audit")],
        "PVEVMAdmin": vm,
        "PVEVMUser": ["VM.Audit", "VM.Backup", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console",
                      "VM.PowerMgmt"],
        "PVEDatastoreUser": ["Datastore.AllocateSpace", "Datastore.Audit"],
        "PVESDNUser": ["SDN.Audit", "SDN.Use"],
        "PVEPoolUser": ["Pool.Audit"],
        "Provision": _PROVISION + agent,
    }


class Access:
    """Built from the configuration: users, tokens, acl (see world.DEFAULTS)."""

    def __init__(self, config, release, pool_of):
        self.release = release
        self.users = config["users"]
        self.tokens = {t["id"]: t for t in config["tokens"]}
        self.roles = dict(roles(release), **config.get("roles", {}))
        self.acl = config["acl"]
        self._pool_of = pool_of
        for entry in self.acl:
            unknown = set(entry.get("privs", [])) - set(privileges(release))
            if unknown or entry.get("role", "NoAccess") not in self.roles:
                raise ValueError("acl entry %r names something unknown" % entry)

    def login(self, header):
        """The token id (user@realm!name) an Authorization header proves; ApiError 401 otherwise."""
        match = re.match(r"PVEAPIToken[= ](.*)", header or "")
        if not match:
            raise ApiError(401, "No ticket")
        value = urllib.parse.unquote(match.group(1).split(";")[0]).strip()
        try:
            return self._check_token(value)
        except ApiError as err:
            if self.release >= 9:
                raise ApiError(401, "Authentication failed!") from err
            raise

    def _check_token(self, value):
        match = re.fullmatch(r"([^\s:/!]+@[A-Za-z][\w.\-]+)!([A-Za-z][\w.\-]+)=([0-9a-f-]{36})", value)
        if not match:
            raise ApiError(401, "invalid token value!" if "!" in value else "no tokenid specified")
        user, name, secret = match.groups()
        if user not in self.users:
            raise ApiError(401, "no such user ('%s')" % user)
        if not self.users[user].get("enable", 1):
            raise ApiError(401, "user '%s' is disabled" % user)
        token = self.tokens.get("%s!%s" % (user, name))
        if not token:
            raise ApiError(401, "no such token '%s' for user '%s'" % (name, user))
        if token.get("expired"):
            raise ApiError(401, "token '%s' access expired" % name)
        if token["secret"] != secret:
            raise ApiError(401, "invalid token value!")
        return token["id"]

    @staticmethod
    def is_root(who):
        """A token of root is not root where only root may act."""
        return who == "root@pam"

    def _granted(self, who, path):
        """priv -> propagate flag, from the entries of `who` alone."""
        if who == "root@pam":
            return dict.fromkeys(privileges(self.release), 1)
        best, found = -1, {}
        for entry in self.acl:
            if entry["who"] != who:
                continue
            base = entry["path"].rstrip("/")
            exact = path.rstrip("/") == base
            flag = entry.get("propagate", 1)
            if not exact and not (flag and path.startswith(base + "/")):
                continue
            depth = base.count("/")
            if depth > best:
                best, found = depth, {}
            if depth == best:
                privs = entry.get("privs") or self.roles[entry["role"]]
                found.update(dict.fromkeys(privs, flag))
        return found

    def permissions(self, who, path):
        user, _, token = who.partition("!")
        found = self._with_pool(user, path)
        if not token or not self.tokens[who].get("privsep", 1):
            return found
        own = self._with_pool(who, path)
        return {p: f for p, f in own.items() if p in found}

    def _with_pool(self, who, path):
        found = self._granted(who, path)
        match = re.fullmatch(r"/vms/(\d+)", path)
        pool = self._pool_of(int(match.group(1))) if match else None
        if pool:
            found = dict(self._granted(who, "/pool/" + pool), **found)
        return found

    def has(self, who, path, privs, any_of=False):
        have = self.permissions(who, path)
        return (any if any_of else all)(p in have for p in privs)

    def need(self, who, path, privs, any_of=False):
        if not self.has(who, path, privs, any_of):
            missing = privs if any_of else [p for p in privs if not self.has(who, path, [p])][:1]
            raise denied(path, missing)

    def check_rule(self, who, rule, params):
        """Evaluates a permission rule of the endpoint table (same structure as the published schema's)."""
        if rule == "all":
            return
        verb = rule[0]
        if verb == "and":
            for one in rule[1:]:
                self.check_rule(who, one, params)
        elif verb == "or":
            self._check_any(who, rule[1:], params)
        else:
            path = re.sub(r"\{([^}]+)\}", lambda m: str(params.get(m.group(1)) or ""), rule[1])
            self.need(who, path.rstrip("/") or "/", rule[2], "any" in rule[3:])

    def _check_any(self, who, rules, params):
        error = None
        for one in rules:
            if "require_param" in one and not params.get(one[one.index("require_param") + 1]):
                continue
            try:
                return self.check_rule(who, one, params)
            except ApiError as err:
                error = error or err
        raise error

    def tree(self, who, path=None):
        paths = [path] if path else sorted(set(TOP_PATHS + [e["path"] for e in self.acl]))
        found = {p: self.permissions(who, p) for p in paths}
        return {p: v for p, v in found.items() if v or path}
