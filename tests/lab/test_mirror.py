"""The package mirror records once, replays, and never mixes an index with a foreign Release."""

import concurrent.futures
import os
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from mirror import Cache, Missing  # noqa: E402


class Upstream(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        time.sleep(server.delay)
        state = server.files.get(self.path)
        if state is None:
            return self.send_error(404)
        body, stamp = state
        if self.headers.get('If-Modified-Since') == stamp:
            self.send_response(304)
            return self.end_headers()
        self.send_response(200)
        self.send_header('Last-Modified', stamp)
        self.send_header('Content-Length', str(len(body) + server.missing))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, format, *args):
        pass


class MirrorTest(unittest.TestCase):
    OLD, NEW = 'Mon, 01 Jan 2024 00:00:00 GMT', 'Tue, 02 Jan 2024 00:00:00 GMT'

    def setUp(self):
        self.up = ThreadingHTTPServer(('127.0.0.1', 0), Upstream)
        self.up.asked, self.up.files, self.up.delay, self.up.missing = [], {}, 0, 0
        threading.Thread(target=self.up.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.up.server_close)
        self.addCleanup(self.up.shutdown)
        self.host = '127.0.0.1:%d' % self.up.server_port
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        proxies = mock.patch.dict(os.environ, {'no_proxy': '*'})
        proxies.start()
        self.addCleanup(proxies.stop)

    def cache(self, offline=False):
        return Cache(self.folder, [f'http://{self.host}'], offline)

    def read(self, cache, path):
        with open(cache.get(self.host, path), 'rb') as f:
            return f.read()

    def test_a_package_is_fetched_once_also_by_many_at_once(self):
        self.up.files['/d/pool/a%2Bb_1.deb'] = (b'deb', self.OLD)
        self.up.delay = 0.1
        cache = self.cache()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda _: self.read(cache, '/d/pool/a%2bb_1.deb'), range(8)))
        self.assertEqual(got, [b'deb'] * 8)
        self.assertEqual(self.read(self.cache(), '/d/pool/a+b_1.deb'), b'deb')
        self.assertEqual(self.up.asked, ['/d/pool/a%2Bb_1.deb'])

    def test_a_release_is_asked_for_once_per_run(self):
        path = '/d/dists/s/InRelease'
        self.up.files[path] = (b'old', self.OLD)
        cache = self.cache()
        self.assertEqual([self.read(cache, path) for _ in 'ab'], [b'old', b'old'])
        self.up.files[path] = (b'new', self.NEW)
        self.assertEqual(self.read(cache, path), b'old', 'one run, one Release')
        self.assertEqual(self.read(self.cache(), path), b'new')
        self.assertEqual(self.read(self.cache(), path), b'new')
        self.assertEqual(len(self.up.asked), 3)

    def test_what_is_recorded_serves_when_outside_does_not(self):
        path = '/d/dists/s/InRelease'
        self.up.files[path] = (b'old', self.OLD)
        self.read(self.cache(), path)
        del self.up.files[path]
        with mock.patch('sys.stderr'):
            self.assertEqual(self.read(self.cache(), path), b'old')

    def test_offline_replays_and_asks_nobody(self):
        self.up.files['/p.deb'] = (b'deb', self.OLD)
        self.read(self.cache(), '/p.deb')
        self.up.asked.clear()
        cache = self.cache(offline=True)
        self.assertEqual(self.read(cache, '/p.deb'), b'deb')
        with self.assertRaises(Missing):
            cache.get(self.host, '/never.deb')
        self.assertEqual(self.up.asked, [])

    def test_a_download_cut_short_is_not_kept(self):
        self.up.files['/p.deb'] = (b'half', self.OLD)
        self.up.missing = 4
        with self.assertRaises(Missing):
            self.cache().get(self.host, '/p.deb')
        self.up.missing = 0
        self.assertEqual(self.read(self.cache(), '/p.deb'), b'half')
        kept = [f for _, _, files in os.walk(self.folder) for f in files]
        self.assertEqual(kept, ['p.deb'])

    def test_a_failure_is_not_remembered(self):
        cache = self.cache()
        with self.assertRaises(Missing):
            cache.get(self.host, '/late.deb')
        self.up.files['/late.deb'] = (b'deb', self.OLD)
        self.assertEqual(self.read(cache, '/late.deb'), b'deb')

    def test_only_its_archives_and_only_inside_the_cache(self):
        open(os.path.join(self.folder, 'x'), 'w', encoding='ascii').close()
        for host, path in (('other.example', '/p.deb'), (self.host, '../x'), (self.host, '/../x'),
                           (self.host, '%2e%2e/x'), (self.host, 'a/../../x')):
            with self.assertRaises(Missing, msg=path):
                self.cache(offline=True).get(host, path)


if __name__ == '__main__':
    unittest.main(verbosity=2)
