"""What two programs print, as far as they must agree: banners, statuses, debug output, recap."""
import re

BANNER = r"(PLAY|TASK|RUNNING HANDLER|NO MORE)"
STATUS = r"(ok|changed|fatal|failed|skipping|included|FAILED|\S+ +: ok=|\.\.\.|---|error)"
AFTER_WARNING = r"(ok|changed|fatal|failed|skipping|included|PLAY|TASK|RUNNING|FAILED)\b"


def _line(line):
    """LINE as it is compared, or None."""
    line = re.sub(r"(FAILED!|UNREACHABLE!) => .*", r"\1", line)
    line = re.sub(r"^(failed: \[.*\] \(item=.*?\)) => .*", r"\1", line)
    line = re.sub(r"^  at \S+:\d+:\d+$", "", line)
    line = re.sub(r" \*{3,}$", " ***", line)
    line = re.sub(r"( -> [^\s(\]]+)\([^)]*\)\]", r"\1]", line)  # the address of a delegate
    line = line.replace("(item=(censored due to no_log))", "(item=None)")
    if re.match(r"included: [^/@].* for |\s+\"false_condition\": ", line):  # newer than the recording ansible-core
        return None
    line = re.sub(r"^(--- before|\+\+\+ after).*", r"\1", line)
    if line.startswith(("An exception occurred during task execution", "ASYNC ", "(ctrl+C then")):
        return None
    return line.rstrip() or None


def _blocks(text):
    """Lists of lines, each headed by its banner."""
    blocks, lines, skip = [], [], False
    for line in text.split("\n"):
        if line.startswith(("[WARNING]", "[DEPRECATION WARNING]")):
            skip = True
            continue
        if skip and line and not re.match(AFTER_WARNING, line):
            continue
        skip = False
        line = _line(line)
        if line is None or line == "NO MORE HOSTS LEFT ***" == (lines or [""])[0]:
            continue
        if re.match(BANNER, line):
            blocks.append(lines)
            lines = [line]
        else:
            lines.append(line)
    return [b for b in blocks + [lines] if b]


def _entries(lines):
    """The lines of one host or item belong together."""
    entries = []
    for line in lines:
        if line == "...ignoring" and entries:
            entries[-1].append(line)
        elif re.match(STATUS, line) or not entries:
            entries.append([line])
        else:
            entries[-1].append(line)
    return entries


def _host(entry):
    return (re.search(r"\[(\S+?)[\] ]", entry[0]) or re.search(r"(\S+)", entry[0])).group(1)


def normalise(text, scratch):
    """The hosts of one task come in any order. SCRATCH: the spellings of the directory that is @DIR@."""
    for spelling in scratch:
        text = text.replace(spelling, "@DIR@")
    out = []
    for block in _blocks(re.sub(r"\x1b\[[0-9;]*m", "", text)):
        head = block[:1] if re.match(BANNER, block[0]) else []
        entries = _entries(block[len(head):])
        hosts = {m.group(1) for e in entries for m in [re.match(r"\w+: \[(\S+?)[\] ]", e[0])] if m}
        if len(hosts) > 1:
            entries.sort(key=_host)
        out += head + [line for e in entries for line in e]
    return "\n".join(out) + "\n"
