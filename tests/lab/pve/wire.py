"""HTTP/1.x as the real server speaks it: what it accepts, what it refuses, how it closes connections.

Shared by the simulated Doppler, which differs in limits only.
"""

import contextlib
import json
import socket
import struct
import time
import urllib.parse

MAX_HEADERS = 64
MAX_HEADER_BYTES = 8192
MAX_BODY = 512 << 10


class Refused(Exception):
    """A request that is answered before it is understood; the connection closes."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code, self.reason = code, reason


class Request:
    def __init__(self, method, target, version, headers, body):
        self.method, self.target, self.version = method, target, version
        self.headers = headers
        self.body = body
        path, _, self.query = target.partition("?")
        self.path = urllib.parse.unquote(path)

    @property
    def closes(self):
        wish = self.headers.get("connection", "").lower()
        return "close" in wish or (self.version == "HTTP/1.0" and "keep-alive" not in wish)


def read_request(stream, api_rules=True):
    """The next Request, or None at the end of the connection."""
    line = stream.readline(MAX_HEADER_BYTES)
    while line in (b"\r\n", b"\n"):
        line = stream.readline(MAX_HEADER_BYTES)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Refused(400, "bad request")
    headers, size = {}, 0
    while True:
        line = stream.readline(MAX_HEADER_BYTES + 1)
        size += len(line)
        if line in (b"\r\n", b"\n", b""):
            break
        if len(headers) >= MAX_HEADERS or size > MAX_HEADER_BYTES:
            raise Refused(400, "too many http header lines (> %d) or header too large" % MAX_HEADERS)
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if api_rules:
        _refuse_early(words[0], headers)
    length = headers.get("content-length", "0")
    body = stream.read(int(length)) if length.isdigit() else b""
    return Request(words[0], words[1], words[2], headers, body)


def _refuse_early(method, headers):
    if method not in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        raise Refused(501, "method '%s' not available" % method)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        raise Refused(501, "chunked transfer encoding not supported")
    length = headers.get("content-length", "0")
    if not length.isdigit():
        raise Refused(400, "invalid content length")
    if int(length) and method not in ("POST", "PUT"):
        raise Refused(501, "Unexpected content for method '%s'" % method)
    if int(length) > MAX_BODY:
        raise Refused(501, "for data too large")
    kind = headers.get("content-type", "application/x-www-form-urlencoded").split(";")[0].strip()
    if int(length) and kind not in ("application/x-www-form-urlencoded", "application/json"):
        raise Refused(506, "upload '%s' not supported" % kind)


def decode_form(text):
    """name -> value (None when empty) or list of values. Splits on `&` and `;`, and on every `=`."""
    out = {}
    for pair in text.replace(";", "&").split("&"):
        if not pair:
            continue
        parts = pair.split("=")
        name = urllib.parse.unquote_plus(parts[0])
        value = urllib.parse.unquote_plus(parts[1]) if len(parts) > 1 else ""
        value = value if value != "" else None
        if name in out and value is not None:
            known = out[name]
            out[name] = known + [value] if isinstance(known, list) else ([value] if known is None
                                                                          else [known, value])
        else:
            out.setdefault(name, value)
    return out


def decode_json(body):
    """As the form's result: every scalar as text."""
    data = json.loads(body.decode() or "{}")
    if not isinstance(data, dict):
        raise ValueError("not an object")
    return {k: _scalar(v) for k, v in data.items()}


def _scalar(value):
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, list):
        return [_scalar(v) for v in value]
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value)


def answer_bytes(code, reason, headers, body):
    lines = ["HTTP/1.1 %d %s" % (code, reason)]
    lines += ["%s: %s" % kv for kv in headers.items()]
    lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def drain(sock, seconds=2.0):
    """Reads what the client still sends: closing before that would turn the answer into a reset."""
    end = time.monotonic() + seconds
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while time.monotonic() < end:
            sock.settimeout(max(end - time.monotonic(), 0.01))
            if not sock.recv(65536):
                break


def reset(sock):
    """Makes the connection end with RST instead of FIN, once all that refers to it is closed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
