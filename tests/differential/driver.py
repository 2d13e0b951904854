"""Runs Ansible's programs for many cases from one process that has imported Ansible already.

Standard input: a JSON list of jobs {"dir", "runs": [[program, argument...]], "env": {}, "fresh": bool, "out"}. Every job
runs in a process of its own; `fresh` ones, which bring an ansible.cfg or ANSIBLE_ variables, start Ansible anew because
it reads these when it is imported. `out` gets {"runs": [{"rc", "stdout", "stderr", "records"}]}.
"""

import json
import os
import subprocess
import sys
import tempfile

import ansible.cli.adhoc
import ansible.cli.inventory
import ansible.cli.playbook
import ansible.cli.vault
import ansible.executor.task_queue_manager
import ansible.inventory.manager
import ansible.parsing.dataloader
import ansible.plugins.strategy.linear
import ansible.template
import ansible.vars.manager

PROGRAMS = {
    "ansible": ansible.cli.adhoc.AdHocCLI,
    "ansible-inventory": ansible.cli.inventory.InventoryCLI,
    "ansible-playbook": ansible.cli.playbook.PlaybookCLI,
    "ansible-vault": ansible.cli.vault.VaultCLI,
}


def inside(run, record, stdout, stderr):
    """The forked child: becomes the program, never returns."""
    rc = 250
    try:
        os.setsid()
        for path, descriptor in ((stdout, 1), (stderr, 2)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ["RECORD_TO"] = record
        try:
            PROGRAMS[run[0]].cli_executor(run)
        except SystemExit as end:
            rc = end.code or 0
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # No clean-up at exit: the temporary directory is shared with the parent.
        os._exit(rc)


def perform(run, fresh, record, stdout, stderr):
    if fresh:
        program = os.path.join(os.path.dirname(sys.executable), run[0])
        with open(stdout, "w") as out, open(stderr, "w") as err:
            done = subprocess.run(
                [program, *run[1:]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, "RECORD_TO": record},
                start_new_session=True,
            )
        return done.returncode
    child = os.fork()
    if child == 0:
        inside(run, record, stdout, stderr)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def read(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def work(job):
    """One job from its first run to its last."""
    os.chdir(job["dir"])
    os.environ.update(job["env"])
    runs = []
    with tempfile.TemporaryDirectory() as scratch:
        for run in job["runs"]:
            paths = [os.path.join(scratch, name) for name in ("record", "stdout", "stderr")]
            for path in paths:
                if os.path.exists(path):
                    os.unlink(path)
            rc = perform(run, job["fresh"], *paths)
            runs.append(
                {
                    "rc": rc,
                    "stdout": read(paths[1]),
                    "stderr": read(paths[2]),
                    "records": [json.loads(line) for line in read(paths[0]).splitlines()],
                }
            )
    with open(job["out"] + ".new", "w") as out:
        json.dump({"runs": runs}, out)
    os.rename(job["out"] + ".new", job["out"])


def main():
    jobs = json.load(sys.stdin)
    width = int(sys.argv[1])
    running = 0
    failed = 0
    for job in [*jobs, None]:
        while running and (job is None or running >= width):
            _, status = os.wait()
            failed += status != 0
            running -= 1
        if job is None:
            break
        if os.fork() == 0:
            code = 1
            try:
                work(job)
                code = 0
            finally:
                os._exit(code)
        running += 1
    sys.exit(1 if failed else 0)


main()
