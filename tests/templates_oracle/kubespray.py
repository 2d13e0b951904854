"""Probes for oracle.py from a checkout of kubespray: `kubespray.py DIRECTORY [HOST]`.

All default variables and all templates of its roles, for its sample inventory with six hosts, as ansible-core itself
loads them; facts are made up. Names that only tasks set get a text in their place, so that templates go on to their end:
which names those are is found by asking ansible-core again and again.
"""
import glob
import json
import os
import re
import sys
import tempfile

sys.argv, ARGS = sys.argv[:1], sys.argv[1:]
ROOT, HOST = os.path.abspath(ARGS[0]), (ARGS[1:] or ['node1'])[0]
os.environ['ANSIBLE_CONFIG'] = os.path.join(ROOT, 'ansible.cfg')
os.environ['ANSIBLE_CACHE_PLUGIN'] = 'memory'
sys.stdin = open(os.devnull)
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
out = os.fdopen(os.dup(1), 'w')
import oracle  # noqa: E402 (it reads the empty input and is ready to answer)
from ansible.inventory.manager import InventoryManager  # noqa: E402
from ansible.parsing.dataloader import DataLoader  # noqa: E402
from ansible.vars.manager import VariableManager  # noqa: E402

NAMES = [f'node{n}' for n in range(1, 7)]
FACTS = {
    'os_family': 'Debian', 'distribution': 'Ubuntu', 'distribution_version': '24.04', 'distribution_major_version': '24',
    'distribution_release': 'noble', 'architecture': 'x86_64', 'machine': 'x86_64', 'system': 'Linux', 'kernel': '6.8.0-31-generic',
    'service_mgr': 'systemd', 'pkg_mgr': 'apt', 'memtotal_mb': 7953, 'processor_vcpus': 4, 'processor_cores': 4, 'user_id': 'root',
    'selinux': {'status': 'disabled'}, 'env': {'HOME': '/root', 'PATH': '/usr/bin'}, 'python': {'version': {'major': 3}},
    'swaptotal_mb': 0, 'date_time': {'epoch': '1700000000', 'iso8601': '2023-11-14T22:13:20Z', 'year': '2023'}, 'mounts': [],
    'all_ipv6_addresses': [], 'default_ipv6': {}, 'virtualization_type': 'kvm', 'apparmor': {'status': 'enabled'},
    'dns': {'nameservers': ['10.0.0.2'], 'search': ['lan']}, 'interfaces': ['lo', 'eth0'], 'lsb': {'id': 'Ubuntu', 'release': '24.04'},
}


def facts(number):
    address = f'10.3.0.{number}'
    network = {'address': address, 'interface': 'eth0', 'gateway': '10.3.0.254', 'netmask': '255.255.255.0', 'prefix': '24'}
    own = {**FACTS, 'hostname': f'node{number}', 'nodename': f'node{number}', 'fqdn': f'node{number}.lan', 'domain': 'lan',
           'default_ipv4': network, 'all_ipv4_addresses': [address], 'eth0': {'ipv4': network, 'mtu': 1500}}
    return {**{'ansible_' + name: value for name, value in own.items()}, 'ansible_facts': own,
            'main_ip': address, 'main_access_ip': address, 'main_ips': [address], 'node_pod_cidr': f'10.233.6{number}.0/24'}


def plain(value):
    """Only what JSON has; unsafe text keeps its mark."""
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {str(key): plain(inner) for key, inner in value.items()}
        return {'__pairs': [[plain(key), plain(inner)] for key, inner in value.items()]}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, (int, float)):
        return value
    return str(value)


def inventory(directory):
    with open(os.path.join(directory, 'inventory.ini'), 'w') as text:
        text.write('[kube_control_plane]\n')
        text.writelines(f'node{n} ansible_host=95.54.0.1{n} ip=10.3.0.{n} etcd_member_name=etcd{n}\n' for n in (1, 2, 3))
        text.write('[etcd:children]\nkube_control_plane\n[kube_node]\n')
        text.writelines(f'node{n} ansible_host=95.54.0.1{n} ip=10.3.0.{n}\n' for n in (4, 5, 6))
        text.write('[k8s_cluster:children]\nkube_control_plane\nkube_node\n')
    os.symlink(os.path.join(ROOT, 'inventory/sample/group_vars'), os.path.join(directory, 'group_vars'))
    return os.path.join(directory, 'inventory.ini')


def files(role, kind):
    base = os.path.join(role, kind)
    single = [path for path in (base + '/main.yml', base + '/main.yaml') if os.path.isfile(path)]
    return single or sorted(glob.glob(base + '/main/*.yml'))


def loaded(loader, role, kind):
    found = {}
    for path in files(role, kind):
        found.update(loader.load_from_file(path, cache='none') or {})
    return found


def send(entry):
    out.write(json.dumps(entry) + '\n')


def settled(probe):
    """The probe with a text for each name that only tasks set."""
    for _ in range(60):
        reply = oracle.answer(probe)
        missing = re.search(r"'(\w+)' is undefined", reply.get('message', ''))
        if 'error' not in reply or not missing or missing.group(1) in probe['vars']:
            break
        name = missing.group(1)
        probe['vars'][name] = {'name': 'stub', 'value': 'stub', 'stdout': 'stub', 'key': 'stub'} if name == 'item' else f'stub-{name}'
    return probe


def main():
    loader = DataLoader()
    with tempfile.TemporaryDirectory() as directory:
        sources = InventoryManager(loader=loader, sources=[inventory(directory)])
        variables = VariableManager(loader=loader, inventory=sources)
        host = sources.get_host(HOST)
        own = variables.get_vars(host=host, include_hostvars=False)
        known = {name: {**plain(sources.get_host(name).get_vars()), **facts(number + 1)} for number, name in enumerate(NAMES)}
    own.update(facts(NAMES.index(HOST) + 1))
    own.update(hostvars=known, ansible_play_hosts=NAMES, ansible_play_hosts_all=NAMES, play_hosts=NAMES, ansible_play_batch=NAMES,
               playbook_dir=ROOT, ansible_check_mode=False, ansible_managed='Ansible managed', environment=[])
    base = os.path.join(ROOT, 'roles/kubespray_defaults')
    common = {**loaded(loader, base, 'defaults'), **loaded(loader, base, 'vars')}
    roles = sorted({path.rsplit('/' + kind + '/', 1)[0] for kind in ('defaults', 'templates')
                    for path in glob.glob(f'{ROOT}/roles/**/{kind}/**', recursive=True) if f'/{kind}/' in path})
    for role in roles:
        defaults = loaded(loader, role, 'defaults')
        scope = plain({**common, **defaults, **own, **loaded(loader, role, 'vars'), 'role_path': role, 'role_name': os.path.basename(role)})
        name = os.path.relpath(role, ROOT)
        definition = {'scope': name, 'vars': scope}
        send(definition)
        oracle.define(definition)
        at = {'in': name, 'dir': role}
        for variable in sorted(defaults):
            send(settled({**at, 'kind': 'render', 'template': '{{ ' + variable + ' }}', 'what': f'{name}: {variable}', 'vars': {}}))
        for path in sorted(glob.glob(role + '/templates/**/*.j2', recursive=True)):
            with open(path) as text:
                send(settled({**at, 'kind': 'file', 'template': text.read(), 'what': os.path.relpath(path, ROOT), 'vars': {}}))


main()
