#!/usr/bin/python3
"""A simulated Doppler API: service tokens, OIDC identities, secrets with visibility, rate limits.

    python3 doppler.py --state DIR --listen IP:PORT

reads DIR/config.json (doppler_token, token_id, token_secret, api_url, ssh keys), DIR/server.pem and .key, and
DIR/faults.json (pve/faults.py; rules whose match has "server": "doppler"). The secrets are in DIR/doppler.json,
made on first start and read again whenever the file changes:

    {"project", "config", "environment",
     "tokens":     {"dp.st.…": {"access": "read", "expired": false, "config": "prd"}},
     "identities": {"UUID": {"audience": "…", "subject": "…"}},
     "rate_limit": 240,
     "secrets":    {"NAME": {"value": "…", "visibility": "masked|unmasked|restricted", "note": ""}}}

A token of the kind dp.st carries its project and config; the others (dp.sa, dp.said, dp.pt, dp.ct) have to name
them. Writes DIR/doppler.ready once it listens, and logs to DIR/api.log with host "doppler".
"""

import argparse
import base64
import binascii
import contextlib
import hashlib
import http
import json
import os
import secrets
import socket
import socketserver
import threading
import time

from pve import wire
from pve.apilog import ApiLog
from pve.faults import Faults
from pve.server import address, serve, server_context
from pve.world import write_atomic

IDLE_SECONDS = 30.0
NEEDS_CONFIG = ("dp.sa.", "dp.said.", "dp.pt.", "dp.ct.")
META = ("DOPPLER_PROJECT", "DOPPLER_CONFIG", "DOPPLER_ENVIRONMENT")
TRANSFORMERS = ("upper-camel", "camel", "lower-kebab", "lower-snake", "tf-var", "dotnet", "dotnet-env")
OIDC_SECONDS = 900


class DopplerError(Exception):
    def __init__(self, code, message, headers=None):
        super().__init__(message)
        self.code, self.message, self.headers = code, message, headers or {}


class Store:
    """The secrets file; made with everything the guide asks for when it is not there."""

    def __init__(self, state):
        self.path = os.path.join(state, "doppler.json")
        if not os.path.exists(self.path):
            write_atomic(self.path, json.dumps(default_store(state), indent=1))
        self._stamp = self._data = None

    def read(self):
        stat = os.stat(self.path)
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if stamp != self._stamp:
            with open(self.path, encoding="utf-8") as f:
                self._data = json.load(f)
            self._stamp = stamp
        return self._data


def default_store(state):
    config = {}
    with contextlib.suppress(FileNotFoundError):
        with open(os.path.join(state, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
    found = {name: {"value": secrets.token_urlsafe(18), "visibility": "masked"} for name in
             ("PATRONI_SUPERUSER_PASSWORD", "PATRONI_ADMIN_PASSWORD", "PATRONI_REPLICATION_PASSWORD")}
    plain = {"PROXMOX_API_URL": config.get("api_url"), "PROXMOX_API_TOKEN_ID": config.get("token_id"),
             "PATRONI_SCOPE": "postgres-cluster", "PATRONI_NAMESPACE": "/service/", "POSTGRESQL_VERSION": "15",
             "ETCD_CLUSTER_TOKEN": "patroni-cluster"}
    found.update((k, {"value": v, "visibility": "unmasked"}) for k, v in plain.items() if v)
    if config.get("token_secret"):
        found["PROXMOX_API_TOKEN_SECRET"] = {"value": config["token_secret"], "visibility": "masked"}
    for name, key, seen in (("SSH_PUBLIC_KEY", "ssh_public_key", "unmasked"),
                            ("SSH_PRIVATE_KEY", "ssh_private_key", "masked")):
        if config.get(key):
            with open(config[key], encoding="ascii") as f:
                text = f.read()
            found[name] = {"value": text.strip() if name == "SSH_PUBLIC_KEY" else text, "visibility": seen}
    token = config.get("doppler_token") or "dp.st.prd." + secrets.token_urlsafe(30)
    return {"project": "nante", "config": "prd", "environment": "prd", "rate_limit": 240,
            "tokens": {token: {"access": "read"}}, "identities": {}, "secrets": found}


class RateLimit:
    """So many requests per token and minute."""

    def __init__(self):
        self._windows = {}
        self._mutex = threading.Lock()

    def take(self, token, limit):
        """The headers that tell; DopplerError 429 when it is used up."""
        now = time.time()
        with self._mutex:
            start, used = self._windows.get(token, (now, 0))
            if now - start >= 60:
                start, used = now, 0
            used += 1
            self._windows[token] = (start, used)
        headers = {"X-RateLimit-Limit": str(limit), "X-RateLimit-Remaining": str(max(limit - used, 0)),
                   "X-RateLimit-Reset": str(int(start + 60))}
        if used > limit:
            raise DopplerError(429, "API rate limit exceeded.",
                               dict(headers, **{"Retry-After": str(max(int(start + 60 - now), 1))}))
        return headers


def camel(name, upper):
    words = [w.capitalize() for w in name.split("_")]
    return "".join(words) if upper else words[0].lower() + "".join(words[1:])


def transformed(name, how):
    if how == "upper-camel" or how == "camel":
        return camel(name, how == "upper-camel")
    if how == "lower-kebab":
        return name.lower().replace("_", "-")
    if how == "lower-snake":
        return name.lower()
    if how == "tf-var":
        return "TF_VAR_" + name.lower()
    if how in ("dotnet", "dotnet-env"):
        joint = ":" if how == "dotnet" else "__"
        return joint.join(camel(part, True) for part in name.split("__"))
    return name


def formatted(values, kind):
    """(content type, body) of a download."""
    if kind in ("json", "dotnet-json"):
        return "application/json", json.dumps(values)
    if kind == "yaml":
        return "text/plain", "".join("%s: %s\n" % (k, json.dumps(v)) for k, v in values.items())
    if kind == "env":
        escape = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("$"): "\\$", ord("`"): "\\`"}
        return "text/plain", "".join('%s="%s"\n' % (k, v.translate(escape)) for k, v in values.items())
    if kind in ("env-no-quotes", "docker"):
        return "text/plain", "".join("%s=%s\n" % (k, v.replace("\n", "\\n")) for k, v in values.items())
    raise DopplerError(400, "Invalid format '%s'" % kind)


class Doppler:
    def __init__(self, state):
        self.store = Store(state)
        self.faults = Faults(state, "doppler")
        self.log = ApiLog(state, "doppler")
        self.limits = RateLimit()
        self.issued = {}      # tokens given out for OIDC identities -> when they end
        self.routes = {
            ("GET", "/v3/configs/config/secrets/download"): self.download,
            ("GET", "/v3/configs/config/secrets"): self.list,
            ("GET", "/v3/me"): self.me,
            ("POST", "/v3/auth/oidc"): self.oidc,
            ("POST", "/v3/auth/revoke"): self.revoke,
        }

    def handle(self, request, trace):
        """(code, headers, body)"""
        try:
            return self._answer(request, trace)
        except DopplerError as err:
            body = json.dumps({"messages": [err.message], "success": False}).encode()
            return err.code, dict({"Content-Type": "application/json"}, **err.headers), body

    def _answer(self, request, trace):
        query = {k: v for k, v in wire.decode_form(request.query).items() if v is not None}
        trace["params"] = query
        handler = self.routes.get((request.method, request.path))
        if not handler:
            raise DopplerError(404, "Not Found")
        if request.path in ("/v3/auth/oidc", "/v3/auth/revoke"):
            return handler(_json_body(request))
        token = _token(request)
        info = self._token_info(token)
        trace["user"] = ".".join(token.split(".")[:2]) + ".…"
        limits = self.limits.take(token, int(self.store.read().get("rate_limit", 240)))
        code, headers, body = handler(request, query, token, info)
        return code, dict(limits, **headers), body

    def _token_info(self, token):
        info = self.store.read()["tokens"].get(token)
        if info is None and self.issued.get(token, 0) > time.time():
            info = {"access": "read"}
        if info is None:
            raise DopplerError(401, "Invalid Service token" if token.startswith("dp.st.") else "Invalid Auth token")
        if info.get("expired"):
            raise DopplerError(401, "This token has expired")
        return info

    def _check_config(self, query, token, info):
        data = self.store.read()
        project, config = query.get("project"), query.get("config")
        if token.startswith(NEEDS_CONFIG) and not (project and config):
            raise DopplerError(400, "You must specify a project and a config")
        if project not in (None, data["project"]):
            raise DopplerError(404, "Could not find requested project '%s'" % project)
        if config not in (None, data["config"]):
            raise DopplerError(404, "Could not find requested config '%s'" % config)
        if info.get("config") not in (None, data["config"]):
            raise DopplerError(403, "This token does not have access to requested config '%s'" % data["config"])
        return data

    def _values(self, data, names):
        values = {n: s["value"] for n, s in sorted(data["secrets"].items())
                  if s.get("visibility") != "restricted"}
        values.update(zip(META, (data["project"], data["config"], data["environment"])))
        return {n: v for n, v in values.items() if not names or n in names}

    def download(self, request, query, token, info):
        data = self._check_config(query, token, info)
        names = [n for n in query.get("secrets", "").split(",") if n]
        how = query.get("name_transformer")
        if how and how not in TRANSFORMERS:
            raise DopplerError(400, "Invalid name transformer '%s'" % how)
        values = {transformed(n, how): v for n, v in self._values(data, names).items()}
        kind, text = formatted(values, query.get("format", "json"))
        tag = 'W/"%s"' % hashlib.sha256(text.encode()).hexdigest()[:32]
        if request.headers.get("if-none-match") == tag:
            return 304, {"ETag": tag}, b""
        return 200, {"Content-Type": kind, "ETag": tag}, text.encode()

    def list(self, request, query, token, info):
        data = self._check_config(query, token, info)
        rows = {}
        for name, secret in sorted(data["secrets"].items()):
            seen = secret.get("visibility", "masked")
            value = None if seen == "restricted" else secret["value"]
            rows[name] = {"raw": value, "computed": value, "note": secret.get("note", ""),
                          "rawVisibility": {"type": seen}, "computedVisibility": {"type": seen}}
        for name, value in zip(META, (data["project"], data["config"], data["environment"])):
            rows[name] = {"raw": value, "computed": value, "note": "", "rawVisibility": {"type": "unmasked"},
                          "computedVisibility": {"type": "unmasked"}}
        return 200, {"Content-Type": "application/json"}, json.dumps({"secrets": rows}).encode()

    def me(self, request, query, token, info):
        kinds = {"dp.st": "service_token", "dp.sa": "service_account_api_token",
                 "dp.said": "service_account_identity", "dp.pt": "personal", "dp.ct": "cli"}
        body = {"type": kinds.get(".".join(token.split(".")[:2]), "service_token"),
                "token_preview": token[:6] + "…", "slug": hashlib.sha256(token.encode()).hexdigest()[:12],
                "workplace": {"name": "lab", "slug": "lab"}}
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def oidc(self, body):
        rule = self.store.read()["identities"].get(body.get("identity"))
        if rule is None:
            raise DopplerError(404, "Could not find requested identity")
        claims = _claims(body.get("token", ""))
        if claims.get("exp", 0) < time.time():
            raise DopplerError(401, "The provided token has expired")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if rule["audience"] not in audiences or rule["subject"] != claims.get("sub"):
            raise DopplerError(401, "The provided token does not match the identity's claims")
        token = "dp.said." + secrets.token_urlsafe(30)
        end = time.time() + OIDC_SECONDS
        self.issued[token] = end
        text = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(end))
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": token, "expires_at": text}).encode()

    def revoke(self, body):
        token = body.get("token", "")
        if self.issued.pop(token, None) is None and token not in self.store.read()["tokens"]:
            raise DopplerError(401, "Invalid Auth token")
        return 200, {"Content-Type": "application/json"}, b'{"success":true}'


def _json_body(request):
    try:
        body = json.loads(request.body.decode() or "{}")
    except ValueError:
        raise DopplerError(400, "Invalid JSON body") from None
    if not isinstance(body, dict):
        raise DopplerError(400, "Invalid JSON body")
    return body


def _claims(token):
    """The claims of a JWT. Its signature is not checked: the lab has no key of GitHub's."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError, binascii.Error):
        raise DopplerError(400, "The provided token is not a valid JWT") from None
    return claims


def _token(request):
    """The token of a Bearer header, or of Basic as its user name."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        with contextlib.suppress(ValueError, binascii.Error):
            value = base64.b64decode(value).decode().partition(":")[0]
    if kind.lower() not in ("bearer", "basic") or not value.strip():
        raise DopplerError(401, "Please provide a valid Doppler token in the Authorization header")
    return value.strip()


class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.settimeout(IDLE_SECONDS)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            with self.server.tls.wrap_socket(self.request, server_side=True) as sock, sock.makefile("rb") as stream:
                while self._serve_one(sock, stream):
                    pass

    def _serve_one(self, sock, stream):
        try:
            request = wire.read_request(stream, api_rules=False)
        except wire.Refused as err:
            sock.sendall(wire.answer_bytes(err.code, err.reason, {"Connection": "close"}, b""))
            return False
        if request is None:
            return False
        started = time.time()
        trace = {"method": request.method, "path": request.path}
        api = self.server.api
        fault = api.faults.hit(request.method, request.path)
        code, headers, body = _with_fault(fault, lambda: api.handle(request, trace))
        if fault:
            trace["fault"] = fault.action
        trace.update(status=code, reason=_reason(code))
        api.log.write(started, **trace)
        if code == 0:
            wire.reset(sock)
            return False
        headers = dict({"Connection": "close" if request.closes else "keep-alive", "Server": "cloudflare"}, **headers)
        sock.sendall(wire.answer_bytes(code, _reason(code), headers, body))
        return not request.closes


def _with_fault(fault, work):
    """Code 0: reset the connection."""
    if not fault:
        return work()
    if fault.action == "reset":
        return 0, {}, b""
    if fault.action == "drop_after_work":
        work()
        return 0, {}, b""
    if fault.action == "status":
        rule = fault.rule
        page = "<!DOCTYPE html><title>%d</title><h1>%s</h1>\n" % (rule["code"], rule.get("reason", ""))
        kind = "text/html" if rule["code"] >= 500 else "application/json"
        known = json.dumps({"messages": [rule.get("reason", "")], "success": False})
        body = rule.get("body", page if rule["code"] >= 500 else known)
        return rule["code"], dict({"Content-Type": kind}, **rule.get("headers", {})), body.encode()
    time.sleep(fault.seconds())
    return work()


def _reason(code):
    return http.HTTPStatus(code).phrase if code else "connection reset"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, where, state, api):
        super().__init__(where, Connection)
        self.api = api
        self.tls = server_context(state)


def main():
    parser = argparse.ArgumentParser(prog="doppler.py")
    parser.add_argument("--state", required=True)
    parser.add_argument("--listen", required=True, type=address)
    args = parser.parse_args()
    serve(Server(args.listen, args.state, Doppler(args.state)), os.path.join(args.state, "doppler.ready"))


if __name__ == "__main__":
    main()
