"""Speaks the agent's frames over a pair of pipes: what the tests drive modules with."""
import hashlib
import json
import struct
import subprocess

HELLO, TASK, NEED, BLOB, PROGRESS, RESULT, CANCEL, ADOPT, ERROR, LOST = range(1, 11)


class Agent:
    def __init__(self, argv, env=None, cwd=None):
        self.proc = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, cwd=cwd)
        self.id = 0
        self.progress = []
        kind, _, body = self.recv()
        if kind != HELLO:
            raise RuntimeError("the agent did not say hello")
        self.hello = json.loads(body)

    def send(self, kind, ident, body=b""):
        self.proc.stdin.write(struct.pack(">IBI", len(body) + 5, kind, ident) + body)
        self.proc.stdin.flush()

    def recv(self):
        head = self.proc.stdout.read(9)
        if len(head) < 9:
            raise EOFError("the agent is gone (status %s)" % self.proc.wait())
        length, kind, ident = struct.unpack(">IBI", head)
        return kind, ident, self.proc.stdout.read(length - 5)

    def submit(self, task):
        self.id += 1
        self.send(TASK, self.id, json.dumps(task).encode())
        return self.id

    def answer(self, ident, contents):
        """Frames until the result of IDENT; CONTENTS maps hex sha256 to bytes."""
        while True:
            kind, got, body = self.recv()
            if kind == RESULT and got == ident:
                return json.loads(body)
            if kind == PROGRESS:
                self.progress.append(json.loads(body))
            elif kind == NEED:
                sha = json.loads(body)["sha256"]
                data = contents.get(sha, b"")
                for at in range(0, len(data), 1 << 20):
                    self.send(BLOB, got, bytes.fromhex(sha) + data[at:at + (1 << 20)])
                self.send(BLOB, got, bytes.fromhex(sha))
            elif kind in (ERROR, LOST):
                return {"frame": kind, **json.loads(body)}

    def run(self, module, args=None, content=None, **more):
        """CONTENT: (name, bytes), sent when the agent asks for it."""
        task = {"module": module, "args": args or {}, **more}
        contents = {}
        if content:
            sha = hashlib.sha256(content[1]).hexdigest()
            contents[sha] = content[1]
            task["content"] = {"sha256": sha, "name": content[0]}
        return self.answer(self.submit(task), contents)

    def close(self):
        self.send(CANCEL, 0)
        self.proc.stdin.close()
        return self.proc.wait(timeout=30)
