"""Finds Ansible's modules and packs them for kopsrun. One JSON request a line comes in, one JSON answer a line goes out.

The first argument is JSON: {"collections": [directories that hold ansible_collections]}.
"""

import json
import os
import sys

# What Ansible prints must not get between the answers.
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def answer(value):
    answers.write(json.dumps(value) + "\n")
    answers.flush()


try:
    from ansible.release import __version__
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader(json.loads(sys.argv[1])["collections"])

    from ansible.executor.module_common import modify_module
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import action_loader, module_loader, module_utils_loader
    from ansible.template import Templar
except Exception as error:
    answer({"error": str(error)})
    sys.exit(0)

TEMPLAR = Templar(loader=DataLoader(), variables={})
# Stands where the arguments go; no module holds it.
ARGUMENTS = {"kopsrun": "the arguments of the task"}


def find(request):
    for directory in request["library"]:
        module_loader.add_directory(directory)
    collections = request["collections"]
    # As for every task that names collections: Ansible's own modules are found all the same.
    if collections and not {"ansible.builtin", "ansible.legacy"}.intersection(collections):
        collections.append("ansible.legacy")
    context = module_loader.find_plugin_with_context(
        request["find"], mod_type="", collection_list=collections
    )
    if not context.resolved or not context.plugin_resolved_path:
        return {"found": None}
    name = context.resolved_fqcn or request["find"]
    short = name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
    return {
        "found": {
            "name": name,
            "path": context.plugin_resolved_path,
            "action": bool(action_loader.find_plugin(short)),
        }
    }


def pack(request):
    for directory in request["module_utils"]:
        module_utils_loader.add_directory(directory, with_subdir=False)
    data, style, _ = modify_module(
        request["pack"],
        request["path"],
        dict(ARGUMENTS),
        TEMPLAR,
        task_vars={"ansible_python_interpreter": "/usr/bin/python3"},
        module_compression="ZIP_DEFLATED",
    )
    text = data.decode("utf-8")
    literal = repr(json.dumps({"ANSIBLE_MODULE_ARGS": ARGUMENTS}))
    if style != "new" or text.count(literal) != 1:
        return {"error": "it isn't packed as modules of ansible-core 2.18 are"}
    before, after = text.split(literal)
    return {"before": before, "after": after}


answer({"version": __version__})
for line in sys.stdin:
    try:
        request = json.loads(line)
        answer(find(request) if "find" in request else pack(request))
    except Exception as error:
        answer({"error": str(error)})
