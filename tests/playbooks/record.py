"""A callback plugin of Ansible that writes what happened in the form that tests/playbooks.rs compares."""

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: stdout
short_description: writes results for comparison
description: writes results for comparison
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "record"

    def __init__(self):
        super().__init__()
        self.lines = []
        self.pending = []
        self.seen = set()

    def flush(self):
        self.lines += [line for _, line in sorted(self.pending, key=lambda pair: pair[0])]
        self.pending = []
        self.seen = set()

    def add(self, result, status, item=None):
        host = result._host.get_name()
        data = result._result
        line = f"{host} {status}"
        if item is not None:
            line += f" item={item}"
        if result._task.action in ("debug", "ansible.builtin.debug") and status == "ok":
            shown = {
                key: value
                for key, value in data.items()
                if not key.startswith("_ansible") and key not in ("changed", "failed", "skipped", "failed_when_result")
            }
            for key in (data.get("ansible_loop_var"), "ansible_loop_var", data.get("ansible_index_var"), "ansible_index_var"):
                shown.pop(key, None)
            line += " " + json.dumps(shown, sort_keys=True)
        self.pending.append((host, line))
        if item is not None:
            self.seen.add(host)

    def one(self, result, status):
        # A loop was told item by item.
        if result._task.loop and result._host.get_name() in self.seen:
            return
        self.add(result, status)

    @staticmethod
    def meta(task):
        """What the runner is told; Ansible reports it once a host, kopsrun doesn't."""
        return task.action.split(".")[-1] == "meta"

    @staticmethod
    def ok(result):
        return "changed" if result._result.get("changed") else "ok"

    def label(self, result):
        return self._get_item_label(result._result)

    def v2_playbook_on_play_start(self, play):
        self.flush()
        self.lines.append(f"PLAY {play.get_name().strip()}")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.flush()
        if self.meta(task):
            return
        self.lines.append(f"TASK {task.name or task.action}")

    def v2_playbook_on_handler_task_start(self, task):
        self.flush()
        self.lines.append(f"HANDLER {task.name}")

    def v2_runner_on_ok(self, result):
        if result._task.action.split(".")[-1] not in ("include_tasks", "include_role"):
            self.one(result, self.ok(result))

    def v2_runner_on_skipped(self, result):
        if self.meta(result._task):
            return
        self.one(result, "skipped")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.one(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result):
        self.one(result, "ignored" if result._task.ignore_unreachable else "unreachable")

    def v2_runner_item_on_ok(self, result):
        if result._task.action.split(".")[-1] not in ("include_tasks", "include_role"):
            self.add(result, self.ok(result), self.label(result))

    def v2_runner_item_on_failed(self, result):
        self.add(result, "failed", self.label(result))

    def v2_runner_item_on_skipped(self, result):
        self.add(result, "skipped", self.label(result))

    def v2_playbook_on_stats(self, stats):
        self.flush()
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            # Ansible counts a host that was ignored as unreachable; the recap is compared as it prints it.
            self.lines.append(
                f"RECAP {host} ok={counts['ok']} changed={counts['changed']} unreachable={counts['unreachable']} "
                f"failed={counts['failures']} skipped={counts['skipped']} rescued={counts['rescued']} "
                f"ignored={counts['ignored']}"
            )
        with open(os.environ["RECORD_TO"], "w") as out:
            out.write("\n".join(self.lines) + "\n")
