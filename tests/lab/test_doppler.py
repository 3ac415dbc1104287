#!/usr/bin/python3
"""The simulated Doppler: tokens, visibility, ETag, OIDC, limits, faults."""

import base64
import contextlib
import json
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from simtest import Reply, Simulator  # noqa: E402

TOKEN = "dp.st.prd.abcdefghijklmnopqrstuvwxyz"
DOWNLOAD = "/v3/configs/config/secrets/download?format=json"
IDENTITY = "00000000-1111-2222-3333-444444444444"


def jwt(**claims):
    def part(data):
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")
    return "%s.%s.sig" % (part({"alg": "RS256"}), part(claims))


class DopplerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator("doppler", {"doppler_token": TOKEN})
        with open(os.path.join(cls.sim.state, "doppler.json"), encoding="utf-8") as f:
            cls.store = json.load(f)

    @classmethod
    def tearDownClass(cls):
        cls.sim.close()

    def ask(self, method, path, token=TOKEN, body=None, headers=None):
        head = dict(headers or {})
        if token:
            head["Authorization"] = "Bearer " + token
        with contextlib.closing(self.sim.connection()) as conn:
            conn.request(method, path, json.dumps(body) if body is not None else None, head)
            return Reply(conn.getresponse())

    def configure(self, **changes):
        self.sim.write("doppler.json", dict(self.store, **changes))
        self.addCleanup(self.sim.write, "doppler.json", self.store)

    def test_download_holds_what_the_guide_asks_for(self):
        reply = self.ask("GET", DOWNLOAD)
        self.assertEqual(reply.status, 200)
        for name in ("PATRONI_SUPERUSER_PASSWORD", "PATRONI_ADMIN_PASSWORD", "PATRONI_REPLICATION_PASSWORD",
                     "PROXMOX_API_TOKEN_ID", "PROXMOX_API_TOKEN_SECRET", "DOPPLER_CONFIG"):
            self.assertTrue(reply.json[name], name)
        self.assertEqual(reply.json["PROXMOX_API_TOKEN_ID"], self.sim.config["token_id"])

    def test_basic_authorization(self):
        head = {"Authorization": "Basic " + base64.b64encode((TOKEN + ":").encode()).decode()}
        self.assertEqual(self.ask("GET", "/v3/me", token=None, headers=head).status, 200)

    def test_etag(self):
        first = self.ask("GET", DOWNLOAD)
        tag = first.headers["ETag"]
        again = self.ask("GET", DOWNLOAD, headers={"If-None-Match": tag})
        self.assertEqual((again.status, again.body), (304, b""))
        self.configure(secrets=dict(self.store["secrets"], NEW={"value": "x"}))
        self.assertEqual(self.ask("GET", DOWNLOAD, headers={"If-None-Match": tag}).status, 200)

    def test_filter_transformer_and_formats(self):
        path = DOWNLOAD + "&secrets=PATRONI_SCOPE,POSTGRESQL_VERSION"
        self.assertEqual(sorted(self.ask("GET", path).json), ["PATRONI_SCOPE", "POSTGRESQL_VERSION"])
        self.assertEqual(self.ask("GET", path + "&name_transformer=camel").json["patroniScope"], "postgres-cluster")
        text = self.ask("GET", path.replace("format=json", "format=env")).body.decode()
        self.assertIn('PATRONI_SCOPE="postgres-cluster"\n', text)
        self.assertEqual(self.ask("GET", path.replace("json", "xml")).status, 400)

    def test_visibility(self):
        self.configure(secrets={"A": {"value": "a", "visibility": "masked"}, "B": {"value": "b", "visibility": "unmasked"},
                                "C": {"value": "c", "visibility": "restricted"}})
        rows = self.ask("GET", "/v3/configs/config/secrets").json["secrets"]
        self.assertEqual({n: rows[n]["computedVisibility"]["type"] for n in "ABC"},
                         {"A": "masked", "B": "unmasked", "C": "restricted"})
        self.assertIsNone(rows["C"]["computed"])
        self.assertNotIn("C", self.ask("GET", DOWNLOAD).json)

    def test_errors(self):
        for token, path, code in ((None, DOWNLOAD, 401), ("dp.st.prd.wrong", DOWNLOAD, 401),
                                  (TOKEN, DOWNLOAD + "&project=other", 404), (TOKEN, DOWNLOAD + "&config=dev", 404),
                                  (TOKEN, "/v3/nothing", 404)):
            with self.subTest(path=path, token=token):
                reply = self.ask("GET", path, token=token)
                self.assertEqual(reply.status, code)
                self.assertIs(reply.json["success"], False)
                self.assertTrue(reply.json["messages"][0])

    def test_token_of_another_config_and_kinds_that_need_one(self):
        self.configure(tokens={TOKEN: {"config": "dev"}, "dp.sa.x": {}})
        self.assertEqual(self.ask("GET", DOWNLOAD).status, 403)
        self.assertEqual(self.ask("GET", DOWNLOAD, token="dp.sa.x").status, 400)
        self.assertEqual(self.ask("GET", DOWNLOAD + "&project=nante&config=prd", token="dp.sa.x").status, 200)

    def test_oidc(self):
        subject = "repo:acme/app:ref:refs/heads/main"
        self.configure(identities={IDENTITY: {"audience": "https://github.com/acme", "subject": subject}})
        good = {"aud": "https://github.com/acme", "sub": subject, "exp": time.time() + 300}

        def exchange(**changes):
            body = {"identity": IDENTITY, "token": jwt(**dict(good, **changes))}
            return self.ask("POST", "/v3/auth/oidc", token=None, body=body)
        reply = exchange()
        self.assertEqual(reply.status, 200)
        token = reply.json["token"]
        self.assertTrue(token.startswith("dp.said."))
        path = DOWNLOAD + "&project=nante&config=prd"
        self.assertEqual(self.ask("GET", path, token=token).status, 200)
        self.assertEqual(self.ask("POST", "/v3/auth/revoke", token=None, body={"token": token}).status, 200)
        self.assertEqual(self.ask("GET", path, token=token).status, 401)
        self.assertEqual(exchange(sub="repo:evil/app:ref:refs/heads/main").status, 401)
        self.assertEqual(exchange(exp=time.time() - 5).status, 401)
        self.assertEqual(self.ask("POST", "/v3/auth/oidc", token=None,
                                  body={"identity": "nobody", "token": jwt()}).status, 404)

    def test_rate_limit(self):
        self.configure(rate_limit=1, tokens={"dp.st.prd.limited": {}})
        first = self.ask("GET", DOWNLOAD, token="dp.st.prd.limited")
        self.assertEqual(first.headers["X-RateLimit-Remaining"], "0")
        second = self.ask("GET", DOWNLOAD, token="dp.st.prd.limited")
        self.assertEqual(second.status, 429)
        self.assertLessEqual(int(second.headers["Retry-After"]), 60)

    def test_faults(self):
        rule = {"match": {"server": "doppler", "path": "download"}, "count": 1}
        with self.sim.faults(dict(rule, action="status", code=503, reason="Service Unavailable")):
            reply = self.ask("GET", DOWNLOAD)
            self.assertEqual((reply.status, reply.headers["Content-Type"]), (503, "text/html"))
            self.assertEqual(self.ask("GET", DOWNLOAD).status, 200)
        with self.sim.faults(dict(rule, action="status", code=429, reason="slow down",
                                  headers={"Retry-After": "2"})):
            self.assertEqual(self.ask("GET", DOWNLOAD).headers["Retry-After"], "2")
        with self.sim.faults(dict(rule, action="reset")):
            with self.assertRaises(ConnectionError):
                self.ask("GET", DOWNLOAD)

    def test_log_names_no_token(self):
        self.ask("GET", DOWNLOAD)
        rows = [r for r in self.sim.log() if r["host"] == "doppler"]
        self.assertEqual(rows[-1]["status"], 200)
        self.assertNotIn(TOKEN, json.dumps(rows))
        for secret in self.store["secrets"].values():
            if secret["visibility"] == "masked":
                self.assertNotIn(secret["value"], json.dumps(rows))


if __name__ == "__main__":
    unittest.main()
