"""Parameter tables: their notation, and the checks a request is put through.

A table is text, one parameter per line:

    NAME TYPE[?] [A..B] [len=A..B] [{x|y}] [:FORMAT] [needs=PARAM] [*] [->NAME] [key=NAME] [v8|v9] [re=REGEX]

TYPE is int, num, bool, str or arr; `?` marks it optional. `A..B` bounds a number, `len=` a text. `:FORMAT`
names a format (formats.py); `:=FORMAT` does too, and says that the published schema spells it out in place.
`needs=` names a parameter that must come with it. Inside property strings `*` marks the key that may be left
out, `->NAME` an alias, `key=NAME` the property that receives the alias's own name. `v8`/`v9` limit a line to
that major release. `re=` runs to the end of the line. A NAME ending in `[n]` stands for an indexed family.
"""

import re

from . import formats

INDEX = {
    "qemu": dict(net=32, ipconfig=32, ide=4, scsi=31, virtio=16, sata=6, unused=256, serial=4,
                 parallel=3, usb=14, hostpci=16, numa=8, virtiofs=10),
    "lxc": dict(net=32, mp=256, dev=256, unused=256),
}

UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"
TYPE_NAMES = {"int": "integer", "num": "number", "bool": "boolean", "str": "string", "arr": "array"}
NUMBER = re.compile(r"[+-]?(?=[0-9]|\.[0-9])[0-9]*(\.[0-9]*)?([Ee][+-]?[0-9]+)?")


class Spec:
    """One line of a table."""
    __slots__ = ("name", "type", "optional", "low", "high", "shortest", "longest", "enum", "format",
                 "inline", "needs", "default_key", "alias", "key_alias", "release", "pattern")

    def __init__(self, line):
        for slot in self.__slots__:
            setattr(self, slot, None)
        self.inline = self.default_key = self.optional = False
        if " re=" in line:
            line, self.pattern = line.split(" re=", 1)
        words = line.split()
        self.name = words.pop(0)
        for word in words:
            self._word(word)

    def _word(self, word):
        kind = word.rstrip("?")
        if kind in TYPE_NAMES:
            self.type, self.optional = kind, word.endswith("?")
        elif word.startswith("len="):
            self.shortest, self.longest = _bounds(word[4:], int)
        elif word.startswith("{"):
            self.enum = word[1:-1].split("|")
        elif word.startswith(":="):
            self.format, self.inline = word[2:], True
        elif word.startswith(":"):
            self.format = word[1:]
        elif word.startswith("needs="):
            self.needs = word[6:]
        elif word == "*":
            self.default_key = True
        elif word.startswith("->"):
            self.alias = word[2:]
        elif word.startswith("key="):
            self.key_alias = word[4:]
        elif word in ("v8", "v9"):
            self.release = int(word[1:])
        elif ".." in word:
            self.low, self.high = _bounds(word, float)
        else:
            raise ValueError("bad word %r in table line for %r" % (word, self.name))


def _bounds(word, kind):
    low, high = word.split("..")
    return (kind(low) if low else None, kind(high) if high else None)


class Table:
    """A parsed table for one major release."""

    def __init__(self, text, release, guest=None):
        self.by_name = {}
        self.families = {}
        for line in text.splitlines():
            if not line.strip():
                continue
            spec = Spec(line.strip())
            if spec.release not in (None, release):
                continue
            if spec.name.endswith("[n]"):
                base = spec.name[:-3]
                self.families[base] = (spec, INDEX[guest][base])
            else:
                self.by_name[spec.name] = spec

    def find(self, name):
        spec = self.by_name.get(name)
        if spec:
            return spec
        match = re.fullmatch(r"([a-z]+?)(0|[1-9]\d*)", name)
        if match and match.group(1) in self.families:
            spec, count = self.families[match.group(1)]
            if int(match.group(2)) < count:
                return spec
        return None


class Checker:
    """Checks requests against tables of one release; parses property strings with the same rules."""

    def __init__(self, release):
        self.release = release
        self.tables = {}

    def table(self, text, guest=None):
        key = (text, guest)
        if key not in self.tables:
            self.tables[key] = Table(text, self.release, guest)
        return self.tables[key]

    def check(self, table, params):
        """params: name -> str | list | None. Returns (clean params, errors)."""
        errors = {}
        clean = {}

        def add(name, text):
            errors[name] = errors[name] + "\\n" + text if name in errors else text

        for name, value in params.items():
            spec = table.find(name)
            if not spec:
                add(name, UNKNOWN)
                continue
            if value is None:
                continue
            value = _shape(spec, value)
            for text in self.value_errors(name, spec, value):
                add(name, text)
            if spec.needs and params.get(spec.needs) is None:
                add(spec.needs, "missing property required by '%s'" % name)
            clean[name] = value
        for name, spec in table.by_name.items():
            if not spec.optional and params.get(name) is None:
                add(name, MISSING)
        return clean, errors

    def value_errors(self, path, spec, value, inside=False):
        """The texts by which `value` is refused (none: it is fine)."""
        if isinstance(value, list):
            if spec.type != "arr":
                return ["type check ('%s') failed - got array" % TYPE_NAMES[spec.type]]
            return []
        if not _type_ok(spec.type, value, inside):
            return ["type check ('%s') failed - got '%s'" % (TYPE_NAMES[spec.type], value)]
        return list(self._limit_errors(path, spec, value))

    def _limit_errors(self, path, spec, value):
        if spec.type in ("int", "num"):
            number = float(value)
            if spec.high is not None and number > spec.high:
                yield "value must have a maximum value of %g" % spec.high
            if spec.low is not None and number < spec.low:
                yield "value must have a minimum value of %g" % spec.low
        if spec.longest is not None and len(value) > spec.longest:
            yield "value may only be %d characters long" % spec.longest
        if spec.shortest is not None and len(value) < spec.shortest:
            yield "value must be at least %d characters long" % spec.shortest
        if spec.pattern is not None and not re.fullmatch(spec.pattern, value, re.S):
            yield "value does not match the regex pattern"
        if spec.enum is not None and value not in spec.enum:
            yield ("value '%s' does not have a value in the enumeration '%s'"
                   % (value, ", ".join(spec.enum)))
        if spec.format:
            text = self.format_error(path, spec.format, value)
            if text:
                yield text

    def format_error(self, path, name, value):
        if name in formats.PROPERTIES:
            return self._property_error(path, formats.PROPERTIES[name], value)
        text = formats.refuse(name, value)
        return "invalid format - %s\n" % text if text else None

    def _property_error(self, path, text, value):
        try:
            parts = self.split(text, value)
        except ValueError as err:
            return "invalid format - %s\n" % err
        table = self.table(text)
        found = []
        for key, one in parts.items():
            for err in self.value_errors("%s.%s" % (path, key), table.by_name[key], one, inside=True):
                found.append("%s.%s: %s" % (path, key, err.rstrip("\n")))
        for key, spec in table.by_name.items():
            if spec.type and not spec.optional and key not in parts:
                found.append("%s.%s: %s" % (path, key, MISSING))
            if spec.needs and key in parts and spec.needs not in parts:
                found.append("%s.%s: missing property required by '%s'" % (path, spec.needs, key))
        if found:
            return "invalid format - format error\n%s\n" % "\n".join(found)
        return None

    def split(self, text, value):
        """Splits a property string by the table `text`; ValueError says what is wrong with it."""
        table = self.table(text)
        default = next((s.name for s in table.by_name.values() if s.default_key), None)
        parts = {}
        for part in value.split(","):
            if not part.strip():
                continue
            key, eq, one = part.strip().partition("=")
            if not eq:
                if default is None:
                    raise ValueError("value without key, but schema does not define a default key")
                if default in parts:
                    raise ValueError("duplicate key in comma-separated list property: %s" % default)
                parts[default] = part.strip()
                continue
            spec = table.by_name.get(key)
            if not spec:
                raise ValueError("invalid key in comma-separated list property: %s" % key)
            if spec.alias:
                if spec.key_alias:
                    parts[spec.key_alias] = key
                key = spec.alias
                spec = table.by_name[key]
            if key in parts:
                raise ValueError("duplicate key in comma-separated list property: %s" % key)
            parts[key] = formats.truth(one) if spec.type == "bool" else one
        return parts

    def parse(self, name, value):
        """A checked property string as a dict."""
        return self.split(formats.PROPERTIES[name], value)


def _shape(spec, value):
    """Brings what came over the wire into the shape the table asks for."""
    if spec.type == "arr":
        return value if isinstance(value, list) else [value]
    if isinstance(value, list) and spec.format and spec.format.endswith("-list"):
        return ",".join(value)
    return value


def _type_ok(kind, value, inside):
    if kind == "int":
        return re.fullmatch(r"[+-]?\d+", value, re.A) is not None
    if kind == "num":
        return NUMBER.fullmatch(value) is not None
    if kind == "bool":
        return value in ("0", "1")
    return True
