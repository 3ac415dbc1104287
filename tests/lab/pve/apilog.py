"""The log of every request and answer: one JSON object per line, appended to STATE/api.log, secrets masked.

    {t, host, method, path, params, user, status, reason, ms, data, [errors], [fault]}
"""

import json
import os
import time

MASKED = ("cipassword", "password", "content", "input-data", "token", "secret")
LONGEST = 300


def shorten(value, key=""):
    if key in MASKED and isinstance(value, str):
        return "***"
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[:LONGEST] + "…(%d)" % len(value)
    if isinstance(value, dict):
        return {k: shorten(v, k) for k, v in value.items()}
    if isinstance(value, list):
        short = [shorten(v) for v in value[:20]]
        return short + ["…(%d)" % len(value)] if len(value) > 20 else short
    return value


class ApiLog:
    def __init__(self, state_dir, host):
        self._host = host
        path = os.path.join(state_dir, "api.log")
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, started, **fields):
        row = {"t": round(started, 3), "host": self._host}
        row.update((k, shorten(v, k)) for k, v in fields.items() if v is not None)
        row["ms"] = round((time.time() - started) * 1000, 1)
        os.write(self._fd, json.dumps(row, ensure_ascii=False).encode() + b"\n")
