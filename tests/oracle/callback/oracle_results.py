"""Writes every task's result as one line of JSON to $ORACLE_RESULTS: what `nante play --results` writes."""
import json
import os

from ansible.parsing.ajson import AnsibleJSONEncoder
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "oracle_results"

    def __init__(self):
        super().__init__()
        self.out = open(os.environ["ORACLE_RESULTS"], "w", encoding="utf-8")

    def write(self, result, status, ignored=False):
        line = {"task": result._task.get_name(), "host": result._host.get_name(), "action": result._task.action,
                "status": status, "result": result._result}
        if ignored:
            line["ignored"] = True
        self.out.write(json.dumps(line, cls=AnsibleJSONEncoder) + "\n")
        self.out.flush()

    def v2_runner_on_ok(self, result):
        self.write(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.write(result, "failed", ignore_errors)

    def v2_runner_on_skipped(self, result):
        self.write(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self.write(result, "unreachable", bool(result._task.ignore_unreachable))
