"""Asks ansible-core what templates give: one probe a line of JSON in, its answer as a line of JSON out.

With `--record` every answer repeats its probe: that is how tests/vectors/templates.jsonl is made.

A probe: `kind` (render: text or structure of a playbook; file: a template's file; expr: a bare expression;
when: a condition; lookup: what `with_NAME` loops over), `template`, `vars` (`{"__unsafe": x}` is x as it comes from
a host, `{"__pairs": [[k, v]…]}` a dictionary with any keys, `{"__tuple": […]}` a tuple, `{"__int": text}` a number of any size), `dir` where files are
searched, `environment`, `native` (jinja2_native), `in` a scope, which a line with `scope` and `vars` has defined.
An answer: `value` as Python prints it, `unsafe` when any text in it is; or `error` (undefined or error) and `message`.
"""
import json
import os
import sys

os.environ.setdefault('ANSIBLE_LOCALHOST_WARNING', '0')
os.environ.setdefault('ANSIBLE_DEPRECATION_WARNINGS', '0')
os.environ.setdefault('ANSIBLE_COMMAND_WARNINGS', '0')

from collections.abc import Iterator, MappingView

import ansible.constants as C
from ansible.errors import AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.conditional import Conditional
from ansible.plugins.loader import init_plugin_loader, lookup_loader
from ansible.template import Templar
from ansible.utils.listify import listify_lookup_plugin_terms
from ansible.utils.unsafe_proxy import AnsibleUnsafe, NativeJinjaText, wrap_var
from jinja2.exceptions import UndefinedError
from jinja2.runtime import Undefined

init_plugin_loader([])
LOADER = DataLoader()
answers = os.dup(1)
os.dup2(2, 1)


def unwrap(value):
    if isinstance(value, dict):
        if set(value) == {'__unsafe'}:
            return wrap_var(unwrap(value['__unsafe']))
        if set(value) == {'__int'}:
            return int(value['__int'])
        if set(value) == {'__pairs'}:
            return {unwrap(k): unwrap(v) for k, v in value['__pairs']}
        if set(value) == {'__tuple'}:
            return tuple(unwrap(v) for v in value['__tuple'])
        return {k: unwrap(v) for k, v in value.items()}
    if isinstance(value, list):
        return [unwrap(v) for v in value]
    return value


def plain(value, above=()):
    """repr() in which subclasses of Python's types print like them."""
    if isinstance(value, (list, tuple, dict)):
        if any(value is outer for outer in above):
            return '[...]' if isinstance(value, list) else '{...}'
        above = (*above, value)
    if isinstance(value, tuple):
        return '(' + ', '.join(plain(v, above) for v in value) + (',)' if len(value) == 1 else ')')
    if isinstance(value, list):
        return '[' + ', '.join(plain(v, above) for v in value) + ']'
    if isinstance(value, dict):
        return '{' + ', '.join(plain(k, above) + ': ' + plain(v, above) for k, v in value.items()) + '}'
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return int.__repr__(int(value))
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, str):
        return str.__repr__(value._strip_unsafe() if isinstance(value, AnsibleUnsafe) else str.__str__(value))
    if isinstance(value, Undefined):
        return 'Undefined'
    if isinstance(value, (Iterator, MappingView, range)):
        return plain(list(value), above)
    return repr(value)


def is_unsafe(value):
    if isinstance(value, (list, tuple)):
        return any(map(is_unsafe, value))
    if isinstance(value, dict):
        return any(is_unsafe(v) for v in value.values())
    return isinstance(value, AnsibleUnsafe)


SCOPES = {}


def define(entry):
    SCOPES[entry['scope']] = unwrap(entry['vars'])


def templar(probe):
    LOADER.set_basedir(probe.get('dir', '/tmp'))
    variables = {**SCOPES.get(probe.get('in'), {}), **unwrap(probe.get('vars', {}))}
    variables['omit'] = '__omit_place_holder__'
    if 'dir' in probe:
        variables['ansible_search_path'] = [probe['dir']]
        variables['playbook_dir'] = probe['dir']
    os.environ.update(probe.get('environment', {}))
    C.DEFAULT_JINJA2_NATIVE = bool(probe.get('native'))
    return Templar(LOADER, variables=variables), variables


def bare(found, variables, expression):
    """The value of an expression itself, without classic conversion."""
    kept = {}

    def keep(value):
        kept['value'] = value
        return ''

    variables['__keep'] = keep
    found.template('{{ __keep(' + expression + ') }}', escape_backslashes=False)
    if 'value' not in kept:
        raise AnsibleUndefinedVariable('?')
    return kept['value']


def answer(probe):
    found, variables = templar(probe)
    kind = probe.get('kind', 'render')
    template = probe.get('template')
    try:
        if kind == 'render':
            result = found.template(unwrap(template))
        elif kind == 'file':
            result = found.template(template, escape_backslashes=False, convert_data=False,
                                    preserve_trailing_newlines=True, overrides={})
            result = result if isinstance(result, str) else str(result)
        elif kind == 'when':
            condition = Conditional(loader=LOADER)
            condition.when = template if isinstance(template, list) else [template]
            result = condition.evaluate_conditional(found, variables)
        elif kind == 'lookup':
            terms = listify_lookup_plugin_terms(terms=unwrap(probe['terms']), templar=found, fail_on_undefined=True)
            plugin = lookup_loader.get(template, loader=LOADER, templar=found)
            result = wrap_var(plugin.run(terms, variables=variables, wantlist=True))
        else:
            result = bare(found, variables, template)
        return {'value': plain(result), **({'unsafe': True} if is_unsafe(result) else {})}
    except (AnsibleUndefinedVariable, UndefinedError) as error:
        return {'error': 'undefined', 'message': str(error)}
    except RecursionError as error:
        return {'error': 'error', 'message': str(error)}
    except Exception as error:
        message = str(error)
        kind = 'undefined' if 'is undefined' in message and 'AnsibleUndefined' in message else 'error'
        return {'error': kind, 'message': message}


def main():
    record = '--record' in sys.argv
    with os.fdopen(answers, 'w') as out:
        for line in sys.stdin:
            if not line.strip():
                continue
            probe = json.loads(line)
            if 'scope' in probe:
                define(probe)
                continue
            reply = answer(probe)
            if record:
                reply = {**probe, **reply}
            out.write(json.dumps(reply, ensure_ascii=not record) + '\n')
        out.flush()


main()
