"""Local cases: one playbook with -c local in a scratch directory."""
import contextlib
import os
import tempfile

from play import Play


def _files(scratch):
    out = []
    base = os.path.join(scratch, "out")
    for folder, dirs, files in os.walk(base):
        dirs.sort()
        for name in files + [d for d in dirs if os.path.islink(os.path.join(folder, d))]:
            path = os.path.join(folder, name)
            rel = os.path.relpath(path, base)
            if os.path.islink(path):
                out.append(f"--- {rel} -> {os.readlink(path)}\n".replace(scratch, "@DIR@"))
                continue
            with open(path, "rb") as f:
                body = f.read().decode("utf-8", "replace").replace(scratch, "@DIR@")
            end = "" if body.endswith("\n") or not body else "\n"
            out.append(f"--- {rel} {os.stat(path).st_mode & 0o7777:04o}\n{body}{end}")
    return "".join(sorted(out))


class Local:
    """Where local cases are played; nothing to bring up."""

    def close(self):
        pass

    @contextlib.contextmanager
    def place(self, case):
        with tempfile.TemporaryDirectory(prefix="oracle-") as scratch:
            scratch = os.path.realpath(scratch)
            play = Play(case, scratch)
            if "inventory" not in case.sections:
                play.write("inventory", "h1\n")
            os.makedirs(os.path.join(scratch, "out"))
            play.args = ["-i", "inventory", "-c", "local", "-e", "out=" + os.path.join(scratch, "out")]
            play.state = lambda: _files(scratch)
            yield play
