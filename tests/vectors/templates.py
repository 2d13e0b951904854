"""Asks ansible-core what templates give: one probe a line in, the same line with its answer out."""
import sys, json, os
os.environ['ANSIBLE_LOCALHOST_WARNING']='0'
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.unsafe_proxy import wrap_var, AnsibleUnsafe
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from jinja2.exceptions import UndefinedError
from ansible.plugins.loader import init_plugin_loader
from ansible.utils.display import Display
init_plugin_loader([])
import logging
def unwrap(v):
    if isinstance(v, dict):
        if set(v)=={'__unsafe'}: return wrap_var(unwrap(v['__unsafe']))
        return {k: unwrap(x) for k,x in v.items()}
    if isinstance(v, list): return [unwrap(x) for x in v]
    return v
def plain(v):
    if isinstance(v, tuple): return '('+', '.join(map(plain,v))+(',)' if len(v)==1 else ')')
    if isinstance(v, list): return '['+', '.join(map(plain,v))+']'
    if isinstance(v, dict): return '{'+', '.join(plain(k)+': '+plain(x) for k,x in v.items())+'}'
    if isinstance(v, bool) or v is None: return repr(v)
    if isinstance(v, int): return int.__repr__(int(v))
    if isinstance(v, float): return float.__repr__(v)
    if isinstance(v, str): return str.__repr__(str.__str__(v) if not isinstance(v, AnsibleUnsafe) else v._strip_unsafe())
    return repr(v)
def isunsafe(v):
    if isinstance(v,(list,tuple)): return any(map(isunsafe,v))
    if isinstance(v,dict): return any(isunsafe(x) for x in v.values())
    return isinstance(v, AnsibleUnsafe)
from ansible.playbook.conditional import Conditional
def run(p):
    dl=DataLoader(); dl.set_basedir(p.get('dir','/tmp'))
    vars=unwrap(p.get('vars',{}))
    vars['omit']='__omit_place_holder__'
    if 'dir' in p: vars['ansible_search_path']=[p['dir']]
    t=Templar(dl, variables=vars)
    kind=p.get('kind','render')
    try:
        if kind=='render':
            r=t.template(unwrap(p["template"]))
        elif kind=='file':
            r=t.template(p['template'], escape_backslashes=False, convert_data=False, preserve_trailing_newlines=True, overrides={})
        elif kind=='when':
            class C(Conditional): pass
            c=C(loader=dl); c.when=p['template'] if isinstance(p['template'],list) else [p['template']]
            r=c.evaluate_conditional(t, vars)
        elif kind=='expr':
            # the value itself, without classic conversion
            env=t.environment
            out={}
            def keep(x): out['v']=x; return ''
            vars['__keep']=keep
            t.template('{{ __keep('+p['template']+') }}', escape_backslashes=False)
            if 'v' not in out: raise AnsibleUndefinedVariable('?')
            r=out['v']
            from jinja2.runtime import Undefined
            if isinstance(r, Undefined): return {'value':'Undefined'}
            from collections.abc import Iterator, MappingView
            if isinstance(r,(Iterator,MappingView,range)): r=list(r)
        return {'value': plain(r), **({'unsafe':True} if isunsafe(r) else {})}
    except (AnsibleUndefinedVariable, UndefinedError) as e:
        return {'error':'undefined','message':str(e)}
    except Exception as e:
        m=str(e)
        k='undefined' if 'is undefined' in m and 'AnsibleUndefined' in m else 'error'
        return {'error':k,'message':m}
for line in open(sys.argv[1]):
    line=line.strip()
    if not line: continue
    p=json.loads(line)
    r=run(p)
    print(json.dumps({**p, **r}, ensure_ascii=False))
