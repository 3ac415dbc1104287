"""One case on its way through one of the two programs."""
import contextlib
import fcntl
import json
import os
import pty
import shlex
import subprocess
import termios
import threading

from noise import BACKUP, PYTHON, render
from text import normalise

HERE = os.path.dirname(os.path.abspath(__file__))
ANSIBLE = ["/usr/bin/ansible-playbook"]
LIMIT = 300


@contextlib.contextmanager
def terminal(answers):
    """Where standard input comes from: nowhere, or a terminal of the child's own on which ANSWERS were typed."""
    if not answers:
        yield {"stdin": subprocess.DEVNULL}
        return
    ours, theirs = pty.openpty()
    # A question may throw away what was typed before it (TCSAFLUSH): each line waits for one.
    typist = threading.Thread(target=type_at, args=(ours, answers.splitlines(keepends=True)))
    typist.start()
    try:
        yield {"stdin": theirs, "start_new_session": True, "preexec_fn": lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)}
    finally:
        os.close(theirs)
        typist.join()
        os.close(ours)


def type_at(tty, lines):
    """Types a line whenever something with a colon is asked; ends with the terminal's other side."""
    try:
        for line in lines:
            while b": " not in os.read(tty, 4096):
                pass
            os.write(tty, line.encode())
        while os.read(tty, 4096):
            pass
    except OSError:
        pass


class Play:
    """A scratch directory with the case's files; its owner sets `args`, `state` and, for hosts, `wrap`."""

    def __init__(self, case, scratch):
        self.case, self.scratch = case, scratch
        self.args, self.wrap, self.state = [], (lambda argv: argv), (lambda: "")
        self.raw = ""
        for name, body in case.files().items():
            self.write(name, body)

    def write(self, name, body):
        path = os.path.join(self.scratch, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(body)

    def environment(self, results):
        env = {"PATH": os.environ["PATH"], "HOME": self.scratch, "LANG": "C.UTF-8", "OUT": os.path.join(self.scratch, "out"),
               "ANSIBLE_NOCOWS": "1", "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
               "ANSIBLE_DEPRECATION_WARNINGS": "False", "ANSIBLE_LOCALHOST_WARNING": "False",
               "ANSIBLE_HOME": os.path.join(self.scratch, ".ansible"), "ANSIBLE_PIPELINING": "True",
               "ANSIBLE_TIMEOUT": "60",  # a machine that is busy with other tests may take longer than 10 s to log in
               "ANSIBLE_CALLBACK_PLUGINS": os.path.join(HERE, "callback"),
               "ANSIBLE_CALLBACKS_ENABLED": "oracle_results", "ORACLE_RESULTS": results,
               "PYTHONDONTWRITEBYTECODE": "1", "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=0")}
        env.update(line.split("=", 1) for line in self.case.get("env").splitlines() if "=" in line)
        return env

    def _once(self, command):
        """(exit code, output, lines of the results file)."""
        results = os.path.join(self.scratch, ".results")
        argv = command + ["play.yml"] + self.args + shlex.split(self.case.get("args"))
        if command != ANSIBLE:
            argv += ["--results", results]
        try:
            with terminal(self.case.get("answers")) as stdin:
                done = subprocess.run(self.wrap(argv), cwd=self.scratch, env=self.environment(results), timeout=LIMIT,
                                      capture_output=True, check=False, **stdin)
            rc, out, err = done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            rc, out, err = -1, "", f"no end after {LIMIT} s"
        self.raw += out + err
        lines = []
        if os.path.exists(results):
            with open(results, encoding="utf-8") as f:
                lines = [json.loads(line) for line in f.read().replace(self.scratch, "@DIR@").splitlines()]
            os.unlink(results)
        return rc, out, lines

    def run(self, command):
        """What the expectation must say of COMMAND."""
        by_hand = "expect" in self.case.sections
        parts, runs = [], []
        for _ in range(2 if self.case.twice else 1):
            rc, out, lines = self._once(command)
            sections = {"text": f"exit {rc}\n" + normalise(out, [self.scratch])}
            if not by_hand:
                sections["results"] = render(lines, self.case.noise)
            sections["files"] = self.state()
            runs.append(sections)
        for i, sections in enumerate(runs):
            if i:
                parts.append("== second run\n")
            for name, body in sections.items():
                if i and body == runs[0][name]:
                    parts.append(f"== {name} as before\n" if body else "")
                else:
                    parts.append((f"== {name}\n" if name != "text" else "") + body if body else "")
        text = "".join(parts).encode("utf-8", "backslashreplace").decode()
        for pattern, replacement in (BACKUP, PYTHON):
            text = pattern.sub(replacement, text)
        return text
