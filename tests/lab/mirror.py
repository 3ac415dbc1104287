"""mirror.py --netns PATH --cache DIR --ready FILE [--offline] URI...
Record/replay mirror for apt: listens on port 80 inside the lab's router namespace, fetches from
outside (this process stays in the machine's own namespace) what the cache does not hold yet.

Packages and by-hash indices never change, so they are fetched once. Release files name the indices;
they are asked for again once per run, and the recorded ones serve when outside does not answer:
an index and its Release always fit each other."""

import argparse
import ctypes
import email.utils
import os
import posixpath
import shutil
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import base

CLONE_NEWNET = 0x40000000
MUTABLE = ('InRelease', 'Release', 'Release.gpg')
libc = ctypes.CDLL(None, use_errno=True)


def listen_in(netns, address):
    """A socket listening in another network namespace; this thread comes back to its own."""
    with open('/proc/self/ns/net', 'rb') as home, open(netns, 'rb') as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), 'setns')
        try:
            return socket.create_server(address, backlog=64)
        finally:
            if libc.setns(home.fileno(), CLONE_NEWNET) != 0:
                os._exit(1)  # never go on in the wrong namespace


class Missing(Exception):
    """The archive has no such file, or it cannot be asked."""


class Cache:
    """Files by host and path, filled on demand."""

    def __init__(self, folder, archives, offline):
        self.folder = folder
        self.schemes = {}
        for uri in archives:
            parts = urllib.parse.urlsplit(uri)
            self.schemes[parts.netloc] = parts.scheme
        self.offline = offline
        self.fresh = set()  # mutable files asked for in this run
        self.guard = threading.Lock()
        self.locks = {}

    def get(self, host, path):
        """The recorded file for a URL, fetched first when need be."""
        path = posixpath.normpath(urllib.parse.unquote(path)).lstrip('/')
        if host not in self.schemes or path.startswith('..') or '\0' in path:
            raise Missing(f'{host}/{path}')
        file = os.path.join(self.folder, host, path)
        with self.guard:
            lock = self.locks.setdefault(file, threading.Lock())
        with lock:
            if not self._usable(file):
                self._fetch(host, path, file)
        return file

    def _usable(self, file):
        if os.path.basename(file) in MUTABLE and not self.offline and file not in self.fresh:
            return False
        return os.path.isfile(file)

    def _fetch(self, host, path, file):
        if self.offline:
            raise Missing(file)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        # Labs share the cache: a download is renamed into place, so two at once do no harm.
        self._download(f'{self.schemes[host]}://{host}/{urllib.parse.quote(path)}', file)
        self.fresh.add(file)

    @staticmethod
    def _download(url, file):
        request = urllib.request.Request(url)
        if os.path.isfile(file):
            request.add_header('If-Modified-Since',
                               email.utils.formatdate(os.path.getmtime(file), usegmt=True))
        try:
            with urllib.request.urlopen(request, timeout=60) as r:
                Cache._keep(r, url, file)
        except (urllib.error.URLError, OSError) as e:
            if not os.path.isfile(file):
                raise Missing(f'{url}: {e}') from None
            if not (isinstance(e, urllib.error.HTTPError) and e.code == 304):
                print(f'{url}: {e}; serving the recorded file', file=sys.stderr, flush=True)

    @staticmethod
    def _keep(answer, url, file):
        """Stores a whole answer under its name, with the date upstream gave it."""
        fd, part = tempfile.mkstemp(dir=os.path.dirname(file), prefix='.part-')
        try:
            with os.fdopen(fd, 'wb') as out:
                shutil.copyfileobj(answer, out, 1 << 20)
                size = out.tell()
            if answer.headers.get('Content-Length') not in (None, str(size)):
                raise Missing(f'{url}: cut short')
            os.chmod(part, 0o644)
            changed = email.utils.parsedate_to_datetime(
                answer.headers.get('Last-Modified') or email.utils.formatdate(usegmt=True))
            os.utime(part, (changed.timestamp(), changed.timestamp()))
            os.rename(part, file)
        except BaseException:
            os.unlink(part)
            raise


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = 60
    cache = None  # set before the server starts

    def do_GET(self):
        self._answer(True)

    def do_HEAD(self):
        self._answer(False)

    def _answer(self, body):
        parts = urllib.parse.urlsplit(self.path)
        host = parts.netloc or self.headers.get('Host', '')
        try:
            file = self.cache.get(host.split(':')[0], parts.path)
            with open(file, 'rb') as f:
                self._send(f, body)
        except (Missing, IsADirectoryError) as e:
            print(f'404 {e}', file=sys.stderr, flush=True)
            self._head(404, 0)

    def _send(self, f, body):
        st = os.fstat(f.fileno())
        changed = self.date_time_string(int(st.st_mtime))
        if self.headers.get('If-Modified-Since') == changed:
            return self._head(304, 0)
        self._head(200, st.st_size, changed)
        if body:
            self.wfile.flush()
            self.connection.sendfile(f)

    def _head(self, code, size, changed=None):
        self.send_response(code)
        self.send_header('Content-Length', str(size))
        if changed:
            self.send_header('Last-Modified', changed)
        self.end_headers()

    def log_message(self, format, *args):
        pass  # failures are printed where they happen; the rest is apt's business


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sock):
        super().__init__(('', 80), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.server_name, self.server_port = 'mirror', 80


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--netns', required=True)
    p.add_argument('--cache', required=True)
    p.add_argument('--ready', required=True)
    p.add_argument('--offline', action='store_true')
    p.add_argument('archives', nargs='+', metavar='URI')
    args = p.parse_args()
    os.makedirs(args.cache, exist_ok=True)
    Handler.cache = Cache(args.cache, args.archives, args.offline)
    server = Server(listen_in(args.netns, ('', 80)))
    base.write_atomic(args.ready, '')
    server.serve_forever()


if __name__ == '__main__':
    main()
