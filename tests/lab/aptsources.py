"""Reads apt's sources lists: which archives does a tree use?"""

import glob
import os
import re


def _one_line(text):
    """Yields (uri, suite) of each deb line."""
    for line in text.splitlines():
        m = re.match(r'\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)', line)
        if m:
            yield m.group(1), m.group(2)


def _deb822(text):
    """Yields (uri, suite) of each binary stanza."""
    text = re.sub(r'(?m)^#.*\n?', '', text)
    for stanza in re.split(r'\n\s*\n', text):
        unfolded = re.sub(r'\n[ \t]+', ' ', stanza)
        fields = dict(re.findall(r'(?m)^([A-Za-z-]+):[ \t]*(.*)$', unfolded))
        fields = {k.lower(): v.split() for k, v in fields.items()}
        if 'deb' not in fields.get('types', []) or fields.get('enabled') == ['no']:
            continue
        for uri in fields.get('uris', []):
            for suite in fields.get('suites', []):
                yield uri, suite


def read(root='/'):
    """All (uri, suite) pairs of the tree's apt sources, in the order apt reads them."""
    apt = os.path.join(root, 'etc/apt')
    pairs = []
    for path in [os.path.join(apt, 'sources.list')] + sorted(glob.glob(apt + '/sources.list.d/*')):
        parse = _deb822 if path.endswith('.sources') else _one_line
        if not os.path.isfile(path) or not path.endswith(('.list', '.sources')):
            continue
        with open(path, encoding='utf-8') as f:
            pairs += [(uri.rstrip('/'), suite) for uri, suite in parse(f.read())]
    return pairs


def debian_lines(suite, root='/'):
    """deb lines for a Debian suite from the archives this machine uses; [] when it uses none."""
    uris = [uri for uri, _ in read(root)]
    main = next((u for u in uris if u.endswith('/debian')), None)
    if main is None:
        return []
    lines = [f'deb {main} {suite} main', f'deb {main} {suite}-updates main']
    security = next((u for u in uris if u.endswith('/debian-security')), None)
    if security:
        lines.append(f'deb {security} {suite}-security main')
    return lines
