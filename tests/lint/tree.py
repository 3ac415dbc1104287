#!/usr/bin/python3
"""The rules of the house, read off the source text (and the objects, for data).

usage: tree.py [--objects DIR]     one line per finding: file:line: what
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

FILE_MAX, FUNCTION_MAX = 1000, 80

# Functions that may be longer, each with its own ceiling and the reason. At most five, never raised.
LONG = {}

BANNED = "strcpy strcat sprintf vsprintf gets strtok atoi atol strncpy system popen".split()
# abort() is no exit: it says that the program itself is wrong.
PRINTS = r"\b(printf|vprintf|puts|putchar|perror|exit)\s*\(|\bv?fprintf\s*\(\s*std(out|err)|\bf(puts|putc|write)\s*\([^;]*\bstd(out|err)\s*\)"
MAY_PRINT = {"main.c", "report.c", "base/log.c"}
MAY_HOLD_STATE = {"main.c", "base/log.c"}
DOMAIN = r"(?i)postgres|patroni|\betcd"
LIBRARIES = {"jansson.h": "jansson", "curl/": "curl", "yaml.h": "yaml", "pcre2.h": "pcre2", "libssh2": "ssh2",
             "archive": "archive", "openssl/": "crypto"}

findings = []
HEADERS = {}  # header: [(line, what it includes)]
DOORS = set()  # headers included from another folder


def found(path, line, what):
    findings.append(f"{path}:{line}: {what}")


def blank(text):
    """The text with comments and literals blanked, line breaks kept."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)


def layers():
    rows = {}
    for n, line in enumerate(Path("src/LAYERS").read_text().splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        folder, _, includes, libraries = (column.strip() for column in line.split("|"))
        rows[folder] = (includes.split(), libraries.split())
        # A row may name only rows above it, so the order of the file proves there is no cycle.
        for name in includes.split():
            if name != "*" and name.split("/")[0] not in rows or name == folder:
                found("src/LAYERS", n, f"{folder} includes {name}, which is not a row above it")
    return rows


def check_includes(path, folder, text, rows):
    includes, libraries = rows.get(folder, ([], []))
    for n, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s*(["<])([^">]+)', line)
        if not m:
            continue
        name = m.group(2)
        if m.group(1) == "<":
            library = next((lib for start, lib in LIBRARIES.items() if name.startswith(start)), None)
            if library and library not in libraries and "*" not in libraries:
                found(path, n, f"{folder}/ may not use {library} (src/LAYERS)")
            continue
        target = name.split("/")[0] if "/" in name else folder
        if target != folder and "*" not in includes and target not in includes and name not in includes:
            found(path, n, f"{folder}/ may not include {name} (src/LAYERS)")
        if path.suffix == ".h":
            HEADERS.setdefault(str(path), []).append((n, "src/" + (name if "/" in name else f"{folder}/{name}")))
        if target != folder:
            DOORS.add("src/" + name)


def check_doors():
    """A header that other folders include leads to base/ and its own folder only: nobody gets a third one with it.
    Headers that stay inside a folder may include whatever the folder may."""
    todo = [door for door in DOORS if not door.startswith("src/base/")]
    seen = set()
    while todo:
        door = todo.pop()
        if door in seen:
            continue
        seen.add(door)
        for line, name in HEADERS.get(door, []):
            if Path(name).parent == Path(door).parent:
                todo.append(name)
            elif not name.startswith("src/base/"):
                found(door, line, f"others include this header, so it may include base/ and its own folder, not {name}")


def check_words(path, short, code, text):
    for n, line in enumerate(code.splitlines(), 1):
        for m in re.finditer(rf"(?<![\w.>])({'|'.join(BANNED)})\s*\(", line):
            found(path, n, f"{m.group(1)} is banned")
        m = re.search(PRINTS, line)
        if m and short not in MAY_PRINT:
            found(path, n, f"library code neither prints nor exits: {m.group().strip()}")
    # A module may know what it manages; elsewhere its name is all that may be said.
    knows = short.startswith("modules/postgresql_")
    for n, line in enumerate(text.splitlines(), 1):
        if not knows and re.search(DOMAIN, re.sub(r"\bpostgresql_\w+", "", line)):
            found(path, n, "domain knowledge lives in roles/, not in src/")


def functions(code):
    """(name, first line, length) of every function; relies on the brace style clang-format keeps."""
    lines = code.splitlines()
    start = None
    for n, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = n
        elif line.startswith("}") and start:
            head = start - 1
            while head > 1 and lines[head - 2].strip() and not re.search(r"[;}]\s*$|^#", lines[head - 2]):
                head -= 1
            m = re.search(r"(\w+)\s*\(", " ".join(lines[head - 1:start]))
            if m:
                yield m.group(1), head, n - head + 1
            start = None


def check_objects(directory):
    for obj in sorted(Path(directory).rglob("*.o")):
        short = str(obj.relative_to(directory))[:-2] + ".c"
        if short in MAY_HOLD_STATE or not Path("src", short).exists():
            continue
        table = subprocess.run(["objdump", "-t", obj], capture_output=True, text=True, check=True).stdout
        for line in table.splitlines():
            m = re.search(r"\sO\s+(\S+)\s+\S+\s+(?:\.hidden )?(\S+)$", line)
            if m and re.match(r"\.data(?!\.rel\.ro)|\.bss|\.t(data|bss)|\*COM\*", m.group(1)):
                found(f"src/{short}", 0, f"mutable file-scope variable {m.group(2)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects")
    options = parser.parse_args()
    os.chdir(Path(__file__).resolve().parents[2])
    rows = layers()
    files, lengths = [], []
    for path in sorted(p for p in Path("src").rglob("*.[ch]")):
        short = str(path.relative_to("src"))
        folder = short.split("/")[0] if "/" in short else "."
        text = path.read_text()
        code = blank(text)
        if folder not in rows:
            found(path, 1, f"folder {folder}/ has no row in src/LAYERS")
        check_includes(path, folder, text, rows)
        check_words(path, short, code, text)
        count = text.count("\n")
        files.append(count)
        if count > FILE_MAX:
            found(path, 1, f"{count} lines, more than {FILE_MAX}")
        for name, line, length in functions(code):
            lengths.append(length)
            if length > LONG.get(name, FUNCTION_MAX):
                found(path, line, f"{name} has {length} lines, more than {LONG.get(name, FUNCTION_MAX)}")
    check_doors()
    if options.objects:
        check_objects(options.objects)
    print("\n".join(findings) or "the tree keeps its rules", end="\n")
    for what, numbers in (("files", files), ("functions", lengths)):
        if numbers:
            at95 = sorted(numbers)[int(len(numbers) * 0.95)]
            print(f"# {what}: {len(numbers)}, median {statistics.median(numbers):.0f}, p95 {at95}, max {max(numbers)} lines")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
