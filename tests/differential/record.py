"""A callback plugin of Ansible that writes what happened, one JSON object a line, to the file $RECORD_TO."""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: writes what happened for comparison
description: writes what happened for comparison
"""

# Told by what they bring in.
INCLUDES = ("include_tasks", "include_role")
# Wording of their own, or not of the result.
HIDDEN = ("changed", "failed", "skipped", "failed_when_result", "ansible_loop_var", "ansible_index_var", "exception", "attempts")


def tells(action, status, data):
    """Results that are compared as a whole; of others, only how they ended. Failures of the runner have its own words."""
    if action == "debug":
        return status == "ok"
    if action == "fail":
        return status not in ("skipped", "unreachable")
    return action == "assert" and (status == "ok" or "assertion" in data)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.out = open(os.environ["RECORD_TO"], "a") if "RECORD_TO" in os.environ else None
        self.seen = set()

    def write(self, **what):
        if self.out:
            self.out.write(json.dumps(what, default=str) + "\n")
            self.out.flush()

    def add(self, result, status, item=None):
        data = result._result
        action = result._task.action.split(".")[-1]
        shown = None
        if tells(action, status, data):
            hidden = {*HIDDEN, data.get("ansible_loop_var"), data.get("ansible_index_var")}
            shown = {key: value for key, value in data.items() if not key.startswith("_ansible") and key not in hidden}
            shown.pop("results", None)
        host = result._host.get_name()
        delegate = (data.get("_ansible_delegated_vars") or {}).get("ansible_delegated_vars")
        self.write(
            kind="result",
            host=host,
            task=result._task.get_name().strip(),
            status=status,
            item=item,
            shown=shown,
            delegate=delegate,
        )
        if item is not None:
            self.seen.add((host, result._task._uuid))

    def one(self, result, status):
        # A loop was told item by item; one that ended early has no results.
        whole = not {"results", "censored"} & set(result._result)
        if result._task.loop and not whole and (result._host.get_name(), result._task._uuid) in self.seen:
            return
        self.add(result, status)

    @staticmethod
    def action(result):
        return result._task.action.split(".")[-1]

    @staticmethod
    def ok(result):
        return "changed" if result._result.get("changed") else "ok"

    def label(self, result):
        return str(self._get_item_label(result._result))

    def v2_playbook_on_play_start(self, play):
        self.write(kind="play", name=play.get_name().strip())

    def v2_playbook_on_task_start(self, task, is_conditional):
        if task.action.split(".")[-1] != "meta":
            self.write(kind="task", name=task.get_name().strip(), handler=False)

    def v2_playbook_on_handler_task_start(self, task):
        if task.action.split(".")[-1] != "meta":
            self.write(kind="task", name=task.get_name().strip(), handler=True)

    def v2_playbook_on_no_hosts_matched(self):
        self.write(kind="note", text="no hosts matched")

    def v2_playbook_on_no_hosts_remaining(self):
        self.write(kind="note", text="no hosts remaining")

    def v2_runner_on_ok(self, result):
        if self.action(result) not in INCLUDES and self.action(result) != "meta":
            self.one(result, self.ok(result))

    def v2_runner_on_skipped(self, result):
        if self.action(result) != "meta":
            self.one(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.one(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self.one(result, "ignored" if result._task.ignore_unreachable else "unreachable")

    def v2_runner_item_on_ok(self, result):
        if self.action(result) not in INCLUDES:
            self.add(result, self.ok(result), self.label(result))

    def v2_runner_item_on_failed(self, result):
        self.add(result, "failed", self.label(result))

    def v2_runner_item_on_skipped(self, result):
        self.add(result, "skipped", self.label(result))

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            names = ("ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored")
            self.write(kind="recap", host=host, counts=[counts[name] for name in names])
