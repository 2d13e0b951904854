"""What is measured: playbooks for kopsrun, Ansible and mitogen, and the same operations for pyinfra."""

import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent

# Where everything goes on hosts; removed before a work's first step.
ON_HOSTS = ["tmp/bench", "tmp/bench-tree", "tmp/bench-file"]
# What shows that a tool did the same as the others.
COMPARED = ON_HOSTS

HEAD = "- hosts: all\n  gather_facts: false\n"


class Step:
    """One run of a tool. `pyinfra` is None where it has nothing equal."""

    def __init__(self, key, title, playbook, pyinfra):
        self.key, self.title, self.playbook, self.pyinfra = key, title, playbook, pyinfra


class Work:
    """Steps that follow each other on hosts that were cleaned before the first."""

    def __init__(self, key, steps):
        self.key, self.steps = key, steps


def skipped(count):
    tasks = "".join(
        f"    - name: skipped {n}\n      command: /bin/false\n      when: wanted | bool\n" for n in range(count)
    )
    deploy = "from pyinfra.operations import server\n" + "".join(
        f'server.shell(name="skipped {n}", commands=["/bin/false"], _if=lambda: False)\n' for n in range(count)
    )
    return HEAD + "  vars: {wanted: false}\n  tasks:\n" + tasks, deploy


def templates(count):
    tasks = "".join(
        f"    - name: template {n}\n      template: {{src: small.j2, dest: /tmp/bench/t{n}}}\n      vars: {{n: {n}}}\n"
        for n in range(count)
    )
    first = "    - name: directory\n      file: {path: /tmp/bench, state: directory}\n"
    deploy = (
        "from pyinfra import host\nfrom pyinfra.operations import files\n"
        'files.directory(name="directory", path="/tmp/bench")\n'
    ) + "".join(
        f'files.template(name="template {n}", src="small.j2", dest="/tmp/bench/t{n}", inventory_hostname=host.name, n={n})\n'
        for n in range(count)
    )
    return HEAD + "  tasks:\n" + first + tasks, deploy


def write(into, tasks):
    """Writes the works below `into`; returns them by key. `tasks`: how many tasks (c) and (d) have."""
    into.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "tasks.yml", into / "a.yml")
    shutil.copy(HERE / "tasks_pyinfra.py", into / "a.py")
    shutil.copy(HERE / "bench-template.j2", into)
    (into / "small.j2").write_text("host={{ inventory_hostname }}\nnumber={{ n }}\n")
    for key, (playbook, deploy) in {"c": skipped(tasks * 2), "d": templates(tasks)}.items():
        (into / f"{key}.yml").write_text(playbook)
        (into / f"{key}.py").write_text(deploy)
    simple = {
        "e": ("copy: {src: tree/, dest: /tmp/bench-tree/}", 'files.sync(src="tree", dest="/tmp/bench-tree")'),
        "f": ("copy: {src: large, dest: /tmp/bench-file}", 'files.put(src="large", dest="/tmp/bench-file")'),
        "g": ("setup:", None),
        "h": ('raw: "true"', 'server.shell(commands=["true"])'),
    }
    for key, (task, deploy) in simple.items():
        (into / f"{key}.yml").write_text(HEAD + f"  tasks:\n    - {task}\n")
        if deploy:
            (into / f"{key}.py").write_text(f"from pyinfra.operations import files, server\n{deploy}\n")
    return {
        "a": Work("a", [step("a", "16 tasks", "a"), step("b", "16 tasks again, nothing changes", "a")]),
        "c": Work("c", [step("c", f"{tasks * 2} skipped tasks", "c")]),
        "d": Work("d", [step("d", f"{tasks} small templates", "d")]),
        "e": Work("e", [step("e", "directory of 500 files", "e"), step("e2", "the same again", "e")]),
        "f": Work("f", [step("f", "file of 100 MB", "f")]),
        "g": Work("g", [step("g", "facts", "g", pyinfra=False)]),
        "h": Work("h", [step("h", "only connecting", "h")]),
    }


def step(key, title, name, pyinfra=True):
    return Step(key, title, f"{name}.yml", f"{name}.py" if pyinfra else None)


def large_files(into, works):
    """The files that (e) and (f) copy, the same bytes each time: half of them text, which can be compressed."""
    import random

    noise = random.Random(7)
    tree = into / "tree"
    if "e" in works and not tree.exists():
        for n in range(500):
            path = tree / f"d{n % 20}" / f"f{n}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"line of file {n}\n".encode() * 100 + noise.randbytes(2048))
    if "f" in works and not (into / "large").exists():
        with open(into / "large", "wb") as out:
            for n in range(100):
                out.write(f"line of block {n}\n".encode() * 30000 if n % 2 else noise.randbytes(1 << 20))
