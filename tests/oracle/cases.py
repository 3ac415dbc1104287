"""The cases of the oracle, as files.

A case is cases/NAME.case (or cases/FOLDER/NAME.case), sections headed "=== PATH", what stands before the first
is for the reader:
    === play.yml            the playbook, and any other file below the scratch directory
    === args                further command line arguments, in shell words
    === env                 NAME=value lines
    === answers             lines typed at a terminal, for what asks there
    === inventory           default: the one host "h1", or the hosts of `hosts`
    === once                why a second run would show nothing; without this section there is one
    === noise               members of results that are not compared: "TASK MEMBER reason" lines, TASK and MEMBER
                            patterns of fnmatch, TASK without spaces ("*" for any)
    === expect              only where 2.18 and the recorded ansible-core differ, the reader's lines say how: the
                            text and files of each run, by hand; results are not compared then
    === hosts               makes it a case on booted hosts over SSH: one inventory name per line
    === setup               with hosts: shell, as root on each host, before the first picture of it is taken
    === roots               with hosts: further directories that belong to the picture
Local cases run in a scratch directory with "-c local"; {{ out }} is the folder whose files are compared.

The expectation is cases/NAME.expect, written by `make oracle`: for each of the two runs the exit code, the
normalised output, each task's result on each host, and what is there afterwards: for local cases the files
below out/, for hosts what changed against the picture (files, packages, users, groups, units).
"""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.environ.get("ORACLE_CASES", os.path.join(HERE, "cases"))
CONTROL = ("args", "env", "answers", "once", "noise", "expect", "hosts", "setup", "roots")


class Case:
    def __init__(self, name):
        self.name = name
        self.sections = {}
        at = None
        with open(os.path.join(CASES, name + ".case"), encoding="utf-8") as f:
            for line in f:
                if line.startswith("=== "):
                    at = line[4:].strip()
                    self.sections[at] = ""
                elif at is not None:
                    self.sections[at] += line

    def get(self, name, default=""):
        return self.sections.get(name, default)

    @property
    def twice(self):
        return "once" not in self.sections

    @property
    def hosts(self):
        return self.get("hosts").split()

    @property
    def noise(self):
        return [tuple(line.split(None, 2)[:2]) for line in self.get("noise").splitlines() if line.strip()]

    def files(self):
        return {name: body for name, body in self.sections.items() if name not in CONTROL}

    @property
    def expect_path(self):
        return os.path.join(CASES, self.name + ".expect")

    def expectation(self):
        with open(self.expect_path, encoding="utf-8", newline="") as f:
            return f.read()

    def write(self, text):
        with open(self.expect_path, "w", encoding="utf-8") as f:
            f.write(text)


def load(patterns):
    found = []
    for folder, _, files in os.walk(CASES):
        for file in files:
            if file.endswith(".case"):
                found.append(os.path.relpath(os.path.join(folder, file), CASES)[:-5])
    return [Case(n) for n in sorted(found) if not patterns or any(p in n for p in patterns)]
