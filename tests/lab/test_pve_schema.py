#!/usr/bin/python3
"""The simulator's parameter tables against the published API schema, where that file is at hand.

It is looked for in $PVE_APIDOC_DIR, and in ../shared/reference beside a checkout; never copied into the project.
"""

import json
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from pve import formats, schema  # noqa: E402
from pve.routes import Routes  # noqa: E402

TYPES = schema.TYPE_NAMES


def apidoc(version):
    """'VERB /path' -> description of the call, or None when the schema is not here."""
    roots = [os.environ.get("PVE_APIDOC_DIR", "")]
    top = HERE
    while top != os.path.dirname(top):
        top = os.path.dirname(top)
        roots += [os.path.join(top, "shared", "reference"), os.path.join(top, "..", "shared", "reference")]
    for root in roots:
        path = os.path.join(root, "pve-apidoc-%s.json" % version)
        if root and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                return _calls(json.load(f))
    return None


def _calls(nodes):
    found = {}
    for node in nodes:
        for verb, info in node.get("info", {}).items():
            found[verb + " " + node["path"]] = info
        found.update(_calls(node.get("children", [])))
    return found


def number(value):
    return None if value is None else float(value)


def theirs(doc):
    """A parameter of the published schema in a form that can be compared."""
    fmt = doc.get("format")
    out = {"type": doc.get("type"), "optional": bool(doc.get("optional")), "low": number(doc.get("minimum")),
           "high": number(doc.get("maximum")), "shortest": doc.get("minLength"), "longest": doc.get("maxLength"),
           "enum": sorted(map(str, doc["enum"])) if "enum" in doc else None, "needs": doc.get("requires"),
           "pattern": doc["pattern"].replace("(?^:", "(?:") if "pattern" in doc else None,
           "default_key": bool(doc.get("default_key")), "alias": doc.get("alias"),
           "key_alias": doc.get("keyAlias"), "format": fmt}
    if isinstance(fmt, dict):
        out["format"] = {k: theirs(v) for k, v in fmt.items()}
    if out["alias"]:
        out["optional"] = False
    return out


def ours(checker, spec):
    out = {k: getattr(spec, k) for k in ("optional", "low", "high", "shortest", "longest", "needs", "pattern",
                                         "default_key", "alias", "key_alias", "format")}
    out["type"] = TYPES.get(spec.type)
    out["enum"] = sorted(spec.enum) if spec.enum else None
    if spec.inline:
        table = checker.table(formats.PROPERTIES[spec.format])
        out["format"] = {k: ours(checker, s) for k, s in table.by_name.items()}
    return out


class Tables(unittest.TestCase):
    maxDiff = None

    def compare(self, version):
        published = apidoc(version)
        if published is None:
            self.skipTest("no pve-apidoc-%s.json here" % version)
        checker = schema.Checker(int(version[0]))
        for route in Routes(checker).all:
            name = "%s %s" % (route.method, route.path)
            with self.subTest(call=name, version=version):
                self.assertIn(name, published)
                self.compare_call(checker, route, published[name])

    def compare_call(self, checker, route, doc):
        want = {k: theirs(v) for k, v in doc["parameters"].get("properties", {}).items()}
        mine = {k: ours(checker, s) for k, s in route.table.by_name.items()}
        mine.update((k + "[n]", ours(checker, s)) for k, (s, _) in route.table.families.items())
        self.assertEqual(sorted(want), sorted(mine))
        for name in want:
            self.assertEqual(want[name], mine[name], name)
        rights = doc.get("permissions", {})
        self.assertEqual(rights.get("check", rights.get("user")), route.rule)
        self.assertEqual(bool(doc.get("proxyto")), route.on_node)

    def test_8(self):
        self.compare("8.4")

    def test_9(self):
        self.compare("9.2")

    def test_the_comparison_sees_a_difference(self):
        """A changed limit, a missing and a surplus parameter must each be found."""
        checker = schema.Checker(9)
        spec = ours(checker, schema.Spec("cores int? 1.."))
        self.assertEqual(spec, theirs({"type": "integer", "optional": 1, "minimum": 1}))
        self.assertNotEqual(spec, theirs({"type": "integer", "optional": 1, "minimum": 2}))
        self.assertNotEqual(spec, theirs({"type": "integer", "minimum": 1}))

    def test_every_format_named_is_known(self):
        for release in (8, 9):
            checker = schema.Checker(release)
            for route in Routes(checker).all:
                for spec in list(route.table.by_name.values()) + [s for s, _ in route.table.families.values()]:
                    if spec.format and spec.format not in formats.PROPERTIES:
                        formats.refuse(spec.format, "x")   # KeyError: undefined

    def test_patterns_compile(self):
        for text in formats.PROPERTIES.values():
            for spec in schema.Checker(9).table(text).by_name.values():
                re.compile(spec.pattern or "")


if __name__ == "__main__":
    unittest.main()
