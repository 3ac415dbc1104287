"""The simulated Proxmox VE API server.

    python3 -m pve.server --state DIR --listen IP:PORT [--fake-hosts]

reads DIR/config.json (keys: world.DEFAULTS), DIR/server.pem and DIR/server.key, and DIR/faults.json (faults.py);
writes DIR/pve.ready once it listens, DIR/pve-state.json and DIR/api.log. The environment variable PVE_SIM_SPEED
divides the time that tasks take. Machines are the lab's hosts (tests/lab/hosts.py), or with --fake-hosts ones in
memory.
"""

import argparse
import contextlib
import gzip
import json
import os
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time

from . import wire
from .apilog import ApiLog
from .call import Call
from .errors import ApiError, bad_params, fail, param_error
from .faults import Faults
from .routes import Routes
from .world import World

REQUESTS_PER_CONNECTION = 100
IDLE_SECONDS = 5.0
PREFIX = "/api2/json"


class Dropped(Exception):
    """The connection is to be reset; a fault wants it so."""


class Answer:
    def __init__(self, code=200, reason="OK", body=None, headers=None):
        self.code, self.reason = code, reason
        self.body = body
        self.headers = headers or {}


class Api:
    """From a request to an answer, in the order the real server checks things."""

    def __init__(self, world):
        self.world = world
        self.routes = Routes(world.checker)
        self.faults = Faults(world.dir, "pve")
        self.log = ApiLog(world.dir, "pve")

    def handle(self, request):
        started = time.time()
        path = request.path[len(PREFIX):]
        trace = {"method": request.method, "path": path}
        fault = self.faults.hit(request.method, path)
        if fault:
            trace["fault"] = fault.action
        answer = None
        try:
            if fault and fault.action == "hold" and not fault.rule.get("after_work"):
                self.faults.hold(fault)
                raise Dropped()
            if fault and fault.action == "reset":
                raise Dropped()
            answer = self._checked(request, path, fault, trace)
            if fault and fault.action == "hold":
                self.faults.hold(fault)
            if fault and fault.action in ("drop_after_work", "hold"):
                raise Dropped()
            return answer
        finally:
            trace["status"] = answer.code if answer else 0
            trace["reason"] = answer.reason if answer else "connection reset"
            self.log.write(started, **trace)

    def _checked(self, request, path, fault, trace):
        try:
            data, total = self._run(request, path, fault, trace)
        except ApiError as err:
            if err.errors:
                trace["errors"] = err.errors
            return self._error(err, fault)
        trace["data"] = data
        body = {"data": data}
        if total is not None:
            body["total"] = total
        return Answer(body=json.dumps(body).encode())

    def _error(self, err, fault):
        reason = err.text.split("\n")[0].replace("\r", "")
        headers = {}
        if fault and fault.action == "status":
            headers = fault.rule.get("headers", {})
            if "body" in fault.rule:
                return Answer(err.code, reason, fault.rule["body"].encode(),
                              dict({"Content-Type": "text/html"}, **headers))
        if err.code == 401:
            return Answer(401, reason, b"")
        body = {"data": None}
        if err.errors:
            body["errors"] = err.errors
        if self.world.release >= 9:
            body["message"] = err.text + "\n"
        return Answer(err.code, reason, json.dumps(body).encode(), headers)

    def _run(self, request, path, fault, trace):
        world = self.world
        try:
            who = world.access.login(request.headers.get("authorization"))
        except ApiError:
            time.sleep(float(world.cfg["auth_delay"]))
            raise
        trace["user"] = who
        method = "GET" if request.method == "HEAD" else request.method
        route, in_path = self.routes.find(method, path)
        params = _parameters(request)
        trace["params"] = params
        if not route:
            raise ApiError(501, "Method '%s %s' not implemented" % (request.method, path))
        for name, value in in_path.items():
            if params.get(name, value) != value:
                raise bad_params({name: "duplicate parameter (already defined in URI) with conflicting values!"})
            params[name] = value
        world.access.check_rule(who, route.rule, params)
        if route.on_node:
            self._reach(params["node"])
        return self._work(route, who, params, fault)

    def _reach(self, node):
        if node not in self.world.nodes:
            raise fail("hostname lookup '%s' failed - failed to get address info for: %s: "
                       "Name or service not known" % (node, node))
        if node in self.world.cfg["offline_nodes"]:
            raise ApiError(595, "No route to host")

    def _work(self, route, who, params, fault):
        if fault:
            fault.disturb(self.world, params)
            if fault.action == "status" and not fault.rule.get("after_work"):
                raise fault.error()
        clean, errors = self.world.checker.check(route.table, params)
        if errors:
            raise bad_params(errors)
        call = Call(self.world, who, route, clean, set(params), fault)
        limit = float(self.world.cfg["proxy_timeout"])
        gives_up = fault is not None and fault.action == "proxy_timeout"
        if gives_up:
            limit = fault.seconds()
        elif route.method == "GET" and "/agent/" not in route.path:
            limit = None
        data = _within(limit, lambda: route.handler(call), gives_up)
        if fault and fault.action == "status":
            raise fault.error()
        return data, call.total


def _within(limit, work, gives_up):
    """work(), or 596 after `limit` seconds while it goes on; GIVES_UP: also when it is done."""
    if limit is None:
        return work()
    box = {}

    def run():
        try:
            box["data"] = work()
        except BaseException as err:  # handed to the waiting thread
            box["error"] = err
    begun = time.monotonic()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit)
    if gives_up:
        time.sleep(max(0, begun + limit - time.monotonic()))
    if gives_up or thread.is_alive():
        raise ApiError(596, "Connection timed out")
    if "error" in box:
        raise box["error"]
    return box["data"]


def _parameters(request):
    """Body parameters, overridden by those of the query; `_dc` is a cache breaker and ignored."""
    params = {}
    if request.body:
        if request.headers.get("content-type", "").split(";")[0].strip() == "application/json":
            try:
                params = wire.decode_json(request.body)
            except (ValueError, UnicodeDecodeError):
                raise param_error(json="malformed JSON") from None
        else:
            params = wire.decode_form(request.body.decode("utf-8", "surrogateescape"))
    params.update(wire.decode_form(request.query))
    params.pop("_dc", None)
    return params


class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        sock = self.request
        sock.settimeout(IDLE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if sock.recv(1, socket.MSG_PEEK) not in (b"\x16", b""):
                self._redirect(sock)
                return
            sock = self.server.tls.wrap_socket(sock, server_side=True)
        except OSError:
            return
        with contextlib.suppress(OSError), contextlib.closing(sock):
            with sock.makefile("rb") as stream:
                for served in range(1, REQUESTS_PER_CONNECTION + 1):
                    if not self._serve_one(sock, stream, last=served == REQUESTS_PER_CONNECTION):
                        break

    def _redirect(self, sock):
        """Plain HTTP on this port is sent to HTTPS."""
        with contextlib.suppress(OSError, wire.Refused):
            request = wire.read_request(sock.makefile("rb"), api_rules=False)
            if request:
                code = 301 if request.method in ("GET", "HEAD") else 308
                where = "https://%s%s" % (request.headers.get("host", ""), request.target)
                sock.sendall(wire.answer_bytes(code, "Moved Permanently" if code == 301 else "Permanent Redirect",
                                               {"Location": where, "Connection": "close"}, b""))

    def _serve_one(self, sock, stream, last):
        """Answers one request; whether the connection lives on."""
        request = None
        try:
            request = wire.read_request(stream)
            if request is None:
                return False
            sock.settimeout(None)
            answer = self._answer(request)
            sock.settimeout(IDLE_SECONDS)
        except wire.Refused as err:
            answer = Answer(err.code, err.reason, b"")
        except Dropped:
            wire.reset(sock)
            return False
        closing = last or answer.code >= 400 or request is None or request.closes
        self._send(sock, request, answer, closing)
        if request is None:
            wire.drain(sock)
        return not closing

    def _answer(self, request):
        if request.path == "/":
            return Answer(body=b"<!DOCTYPE html><title>Proxmox VE</title>\n", headers={"Content-Type": "text/html"})
        if not request.path.startswith(PREFIX + "/"):
            return Answer(501, "Method '%s %s' not implemented" % (request.method, request.path), b"")
        try:
            return self.server.api.handle(request)
        except Dropped:
            raise
        except Exception as err:  # a bug of the simulator must not look like a behaviour of the real server
            print("pve simulator: %s %s: %r" % (request.method, request.path, err), file=sys.stderr, flush=True)
            sys.excepthook(*sys.exc_info())
            return Answer(500, "simulator bug: %r" % err, b'{"data":null}')

    @staticmethod
    def _send(sock, request, answer, closing):
        body = answer.body or b""
        headers = {"Cache-Control": "max-age=0", "Connection": "close" if closing else "Keep-Alive",
                   "Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()), "Pragma": "no-cache",
                   "Server": "pve-api-daemon/3.0", "Content-Type": "application/json;charset=UTF-8"}
        headers.update(answer.headers)
        if request and len(body) > 1024 and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        data = wire.answer_bytes(answer.code, answer.reason, headers, body)
        if request and request.method == "HEAD":
            data = data[:len(data) - len(body)]
        sock.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, state_dir, api):
        super().__init__(address, Connection)
        self.api = api
        self.tls = server_context(state_dir)


def server_context(state_dir):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(os.path.join(state_dir, "server.pem"), os.path.join(state_dir, "server.key"))
    return context


def make_hosts(state_dir, fake):
    """(hosts, their error class)"""
    if fake:
        from . import fakehosts
        return fakehosts.FakeHosts(state_dir), fakehosts.HostError
    import hosts
    return hosts.Hosts(state_dir), hosts.HostError


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def serve(server, ready_file):
    """Serves until SIGTERM or SIGINT."""
    def stop(*_):
        threading.Thread(target=server.shutdown, daemon=True).start()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with open(ready_file, "w", encoding="utf-8") as f:
        f.write("%s:%d\n" % server.server_address[:2])
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        os.unlink(ready_file)


def main():
    parser = argparse.ArgumentParser(prog="pve.server")
    parser.add_argument("--state", required=True)
    parser.add_argument("--listen", required=True, type=address)
    parser.add_argument("--fake-hosts", action="store_true")
    args = parser.parse_args()
    world = World(args.state, *make_hosts(args.state, args.fake_hosts))
    server = Server(args.listen, args.state, Api(world))
    threading.Thread(target=world.keep_broadcasting, daemon=True).start()
    serve(server, os.path.join(args.state, "pve.ready"))
    world.save()


if __name__ == "__main__":
    main()
