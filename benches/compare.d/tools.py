"""The programs that are compared, and how each is told to do its best."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import venv

# Versions as PyPI has them. mitogen runs inside Ansible.
PACKAGES = {
    "ansible": ["ansible-core==2.18.*"],
    "mitogen": ["ansible-core==2.18.*", "mitogen"],
    "pyinfra": ["pyinfra==3.*"],
}
RECAP = re.compile(r"^(\S+)\s*: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.M)


class Rig:
    """What a tool needs to know of the hosts. `address` gives one's address by its number."""

    def __init__(self, store, count, address):
        self.store, self.count, self.address = store, count, address

    def hosts(self):
        return [(f"r{n}", self.address(n)) for n in range(self.count)]


def install(names, where):
    """Makes a virtualenv for each peer that has none yet; the versions that were installed."""
    versions = {}
    for name in names:
        if name not in PACKAGES:
            continue
        place = where / name
        if not (place / ".done").exists():
            shutil.rmtree(place, ignore_errors=True)
            print(f"compare: installing {' '.join(PACKAGES[name])}", file=sys.stderr)
            venv.create(place, with_pip=True)
            subprocess.run([place / "bin/pip", "install", "--quiet", *PACKAGES[name]], check=True)
            (place / ".done").touch()
        listed = subprocess.run([place / "bin/pip", "list", "--format=freeze"], check=True, capture_output=True, text=True)
        wanted = re.findall(r"^(ansible-core|mitogen|pyinfra)==(\S+)", listed.stdout, re.M)
        versions[name] = " with ".join(f"{package} {version}" for package, version in reversed(wanted))
    return versions


class Tool:
    """`recap` of a run is a line per host, without its name; None when the tool has no such lines."""

    name = ""

    def __init__(self, rig, scratch, venvs):
        self.rig, self.scratch, self.bin = rig, scratch / self.name, venvs / self.name / "bin"
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        self.home = self.scratch / "home"
        self.home.mkdir()
        self.prepare()

    def prepare(self):
        pass

    def environment(self):
        # Nothing of the person who measures decides: no settings, no keys, no caches.
        return {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}

    def command(self, step):
        raise NotImplementedError

    def can(self, step):
        return True

    def recap(self, output):
        rows = {tuple(map(int, row[1:])) for row in RECAP.findall(output)}
        return sorted(rows)

    def reached(self, output):
        return len(RECAP.findall(output))


def known_hosts(rig, into):
    key = (rig.store / "hostkey.pub").read_text().split()[:2]
    into.write_text("".join(f"{address} {' '.join(key)}\n" for _, address in rig.hosts()))
    return into


def ssh_config(rig, scratch):
    known = known_hosts(rig, scratch / "known_hosts")
    config = scratch / "ssh_config"
    config.write_text(
        f"UserKnownHostsFile {known}\nStrictHostKeyChecking yes\nIdentityFile {rig.store}/id\nIdentitiesOnly yes\n"
        "User root\nLogLevel ERROR\n"
    )
    return config


def inventory(rig, into, options):
    lines = ["[all]"] + [f"{name} ansible_host={address}" for name, address in rig.hosts()]
    lines += ["", "[all:vars]", "ansible_user=root", f"ansible_ssh_private_key_file={rig.store}/id"]
    lines += ["ansible_python_interpreter=/usr/bin/python3", f"ansible_ssh_common_args={options}"]
    into.write_text("\n".join(lines) + "\n")
    return into


class Floor(Tool):
    """`ssh HOST true` on all hosts at once, and nothing else: beside every work, so that ratios are of the same minutes."""

    name = "floor"

    def prepare(self):
        self.config = ssh_config(self.rig, self.scratch)
        # Above a few hundred at once OpenSSH's own processes fill the machine: 100 at a time.
        self.script = (
            "for host; do ssh -F \"$0\" \"$host\" true & pids=\"${pids:-} $!\"; n=$((${n:-0} + 1)); "
            "[ $((n % 100)) != 0 ] || { for p in $pids; do wait $p || exit 1; done; pids=; }; done; "
            "for p in ${pids:-}; do wait $p || exit 1; done"
        )

    def command(self, step):
        return ["bash", "-c", self.script, str(self.config), *[address for _, address in self.rig.hosts()]]

    def can(self, step):
        return step.key not in ("b", "e2")


class Kopsrun(Tool):
    name = "kopsrun"
    program = None

    def prepare(self):
        known = known_hosts(self.rig, self.scratch / "known_hosts")
        options = f"-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes"
        self.inventory = inventory(self.rig, self.scratch / "inventory.ini", options)

    def command(self, step):
        return [str(self.program), "play", "-i", str(self.inventory), step.playbook]


class Cold(Kopsrun):
    """kopsrun on hosts that don't have its agent yet."""

    name = "kopsrun-cold"

    def can(self, step):
        return step.key == "a"


class Ansible(Tool):
    name = "ansible"

    def prepare(self):
        config = ssh_config(self.rig, self.scratch)
        self.inventory = inventory(self.rig, self.scratch / "inventory.ini", f"-F {config}")
        self.settings = self.scratch / "ansible.cfg"
        self.settings.write_text(
            f"[defaults]\nforks={self.rig.count}\ngathering=explicit\n{self.strategy()}"
            "[ssh_connection]\npipelining=True\nssh_args=-o ControlMaster=auto -o ControlPersist=120s\n"
            f"control_path_dir={self.scratch}/cp\n"
        )

    def strategy(self):
        return ""

    def environment(self):
        return {**super().environment(), "ANSIBLE_CONFIG": str(self.settings), "ANSIBLE_LOCAL_TEMP": str(self.scratch / "tmp")}

    def command(self, step):
        return [str(self.bin / "ansible-playbook"), "-i", str(self.inventory), step.playbook]


class Mitogen(Ansible):
    name = "mitogen"

    def strategy(self):
        plugins = next(pathlib.Path(self.bin.parent).glob("lib/python*/site-packages/ansible_mitogen/plugins/strategy"))
        return f"strategy_plugins={plugins}\nstrategy=mitogen_linear\n"


class Pyinfra(Tool):
    name = "pyinfra"

    def prepare(self):
        known = known_hosts(self.rig, self.scratch / "known_hosts")
        rows = [
            (address, {"ssh_user": "root", "ssh_key": f"{self.rig.store}/id", "ssh_known_hosts_file": str(known)})
            for _, address in self.rig.hosts()
        ]
        self.inventory = self.scratch / "inventory.py"
        self.inventory.write_text(f"hosts = {rows!r}\n")

    def can(self, step):
        return step.pyinfra is not None

    def command(self, step):
        return [str(self.bin / "pyinfra"), "-y", str(self.inventory), step.pyinfra]

    def recap(self, output):
        return None

    def reached(self, output):
        return self.rig.count


TOOLS = {tool.name: tool for tool in (Floor, Kopsrun, Cold, Ansible, Mitogen, Pyinfra)}
