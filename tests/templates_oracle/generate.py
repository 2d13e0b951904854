"""Writes random probes for oracle.py: `generate.py SEED COUNT`.

The rules below say which expressions have which type; `{type}` in a rule stands for another expression. A quarter of
the templates are whole templates with blocks, the others bare expressions, conditions or text with expressions in it.
The same seed gives the same probes, whatever the version of Python's hashes.
"""
import json
import random
import re
import sys

INT = '''
{i} + {i}|{i} - {i}|{i} * {i}|{i} // {i}|{i} % {i}|{i} ** {small}|-{i}|({i})|{i} | abs|{s} | length|{l} | length|{d} | length
{s} | int|{f} | int|{s} | int({i})|{s} | int(base=16)|{f} | round | int|{li} | sum|{li} | max|{li} | min|{li} | first|{li} | last
{ld} | sum(attribute='size')|{ld} | map(attribute='size') | sum|{s}.count({s})|{s}.find({s})|{l}.index({any})|{ls}.count({s})
{i} if {b} else {i}|{any} | default({i}) | int|{d}.get('a', {i})|({l})[{small}] | default({i})|{b} | int
{i} | pow({small}) | int|{s} | human_to_bytes|{i} | log(2) | int|[{i}, {i}] | max|range({small}) | length
{ld} | selectattr('on') | list | length|{s} | wordcount|{b} | ternary({i}, {i})|{s}.rfind({s})|{s}.index({s})|{any} is {test}|{l} | count
'''
FLOAT = '''
{f} + {i}|{f} * {f}|{i} / {i}|{f} - {f}|{i} | float|{f} | round({small})|{f} | abs|{s} | float|{s} | float({f})|{f} ** {small}
{f} | round(1, 'floor')|{f} | round(method='ceil')|{i} | root|{i} | log|-{f}|{f} // {i}|{f} % {i}|{i} | pow({f})|({li} | sum) / {i}
'''
BOOL = '''
{i} == {i}|{i} < {i}|{i} >= {i}|{s} == {s}|{s} < {s}|{any} == {any}|{any} != {any}|{s} in {s}|{s} in {ls}|{i} in {li}|{s} in {d}
{any} is {test}|{any} is not {test}|not {b}|{b} and {b}|{b} or {b}|{s} | bool|{i} | bool|{ls} is subset({ls})|{l} == {l}|{d} == {d}
{s} is match({re})|{s} is search({re})|{s} is regex({re})|{s} is version({ver}, '>=')|{ver} is version({ver}, '<')|{s}.startswith({s})
{s}.endswith({s})|{s}.isdigit()|{s}.isalpha()|{s}.isupper()|{i} is divisibleby({i})|{i} is odd|{i} < {i} < {i}|{l} is contains({any})
{any} in {l}|{any} not in {l}|{ld} | map(attribute='on') is any|{ls} is superset({ls})|{s} is truthy|{s} is falsy(convert_bool=true)
missing is defined|d.missing is defined|d.missing.more is undefined|{f} > {i}|{f} == {i}|{ip} is ansible.utils.ipv4|{b} == {i}
'''
STR = '''
{s} ~ {any}|{s} + {s}|{s} * {small}|{i} ~ {i}|{any} | string|{s} | upper|{s} | lower|{s} | capitalize|{s} | title|{s} | trim
{s} | replace({s}, {s})|{s} | replace({s}, {s}, {small})|{s}[{small}]|{s}[{small}:]|{s}[:{small}]|{s}[::-1]|{s}[-{small}:]
{ls} | join({s})|{l} | join(',')|{s} | regex_replace({re}, {s})|{s} | regex_replace('([a-z]+)', '<\\\\1>')|{s} | regex_search({re}) | string
{s} | center(12)|{s} | truncate(5)|{s} | truncate(5, true, '')|{s} | indent(2)|{s} | indent(width=3, first=true)|{s} | wordwrap(6)
{s} | b64encode|{s} | b64encode | b64decode|{s} | hash('md5')|{s} | hash('sha1')|{s} | checksum|{s} | quote|{s} | basename|{s} | dirname
{any} | to_json|{any} | to_nice_json|{any} | to_yaml|{any} | to_nice_yaml|{any} | to_nice_json(indent=2)|{any} | to_json(sort_keys=true)
{s}.upper()|{s}.strip()|{s}.strip({s})|{s}.lstrip('a')|{s}.replace({s}, {s})|{s}.zfill(6)|{s}.center(9, '*')|{s}.title()|{s}.swapcase()
{s}.split() | first|{ls} | first|{ls} | last|{s}.join({ls})|{s}.format({any}, {any})|'{{0}}-{{1}}'.format({any}, {any})|'%s' % {any}
'%s-%05d' % ({s}, {i})|'%x' % {i}|'%.2f' % {f}|'%5s/%-5s/' % ({s}, {s})|'{{:>5}}/{{:<5}}/{{:^5}}'.format({s}, {i}, {s})|'{{:05d}}'.format({i})
'{{:.3f}}'.format({f})|'%r' % ({any},)|{any} | type_debug|{s} if {b} else {s}|{s} | default({s}, true)|{d}.get('b') | string
{s} | splitext | first|{s} | comment|{s} | comment('c')|{i} | human_readable|{any} | ternary({s}, {s})|{s} | urlencode|{s} | urldecode
{s} | regex_escape|{l} | pprint|{s} | md5|{s} | sha1|{s} | to_uuid|{s} | expanduser|{s} | striptags|{s} | escape
{s} | format({any}, {any})|'%s %s' | format({any}, {any})|{s}.expandtabs(4)|{s}.removeprefix({s})|{s}.ljust(8, '.')|{l} | string
{ip} | ansible.utils.ipaddr('address') | string|{ip} | ansible.utils.ipwrap|{s} | win_basename|{any} | tojson|{d} | urlencode|{any} ~ {any}
'''
LIST = '''
[{any}, {any}]|[{any}]|{l} + {l}|{l} * {small}|{l}[{small}:]|{l}[:{small}]|{l}[::-1]|{l}[::2]|{l} | reverse | list|{l} | list|{l} | unique
({l} | union({l})) | map('to_json') | sort(case_sensitive=true)|({l} | intersect({l})) | map('to_json') | sort(case_sensitive=true)|({l} | difference({l})) | map('to_json') | sort(case_sensitive=true)|({l} | symmetric_difference({l})) | map('to_json') | sort(case_sensitive=true)|{l} | flatten|{l} | flatten(levels=1)|{l} | shuffle(seed='x')
{l} | batch(2) | list|{l} | batch(2, 'x') | list|{l} | slice(2) | list|{l} | zip({l}) | list|{l} | zip_longest({l}, fillvalue='z') | list
{l} | product({l}) | list|{l} | permutations(2) | list|{l} | combinations(2) | list|{d} | dict2items|{d}.items() | list|{d} | dictsort
{d}.keys() | list|{d}.values() | list|{d} | list|{l} | map('string') | list|{l} | map('type_debug') | list|{l} | select('defined') | list
{l} | select('string') | list|{l} | reject('none') | list|{l} | select | list|{l} | select('number') | list|{ld} | groupby('name')|{l} | subelements('x', skip_missing=True)
{ld} | sort(attribute='size')|{ld} | rejectattr('on') | list|{ld} | selectattr('size', '>', {i}) | list|{ld} | map(attribute='name') | list
{ld} | subelements('tags')|{l} | map('to_json') | list|{l} | map('default', {any}) | list|{l} | random(seed='a')|range({small}) | list|{l} | rekey_on_member('name')
range({small}, {i} % 20) | list|{l} | ansible.builtin.flatten(skip_nulls=False)|{s} | list|({any}, {any})|{l} | select('in', {l}) | list
{ld} | community.general.json_query('[].name')|{ld} | community.general.json_query('[?size > `3`].{{n: name, s: size}}')|{d} | community.general.json_query('*')
'''
LI = '[{i}, {i}]|{li} | sort|{li} | unique|{li} + {li}|{li}[{small}:]|li|{li} | map("int") | list|{li} | sort(reverse=true)|{s} | map("int") | list|{ls} | map("length") | list|range({small}) | list|{li} | select("odd") | list'
LS = '[{s}, {s}]|{s}.split()|{s}.split(",")|{s} | split|{s} | split({s})|{ls} | sort|{ls} | sort(case_sensitive=true)|{ls} | unique|{ls} | map("upper") | list|{ls} | map("regex_replace", "a", "b") | list|ls|{s}.splitlines()|{s} | regex_findall({re})|{s}.rsplit("/", 1)|{s}.partition("/") | list|{s} | path_join | list|{s} | splitext | list|{li} | map("string") | list|{ls} | community.general.version_sort|{ls} | select("match", {re}) | list|{ls} | map("trim") | list|{ls} | reject("equalto", {s}) | list|{d} | dict2items | map(attribute="key") | list'
LD = 'ld|{ld} | sort(attribute="name")|{ld} + {ld}|{ld} | selectattr("on") | list|{ld} | selectattr("name", "match", {re}) | list|[{d}, {d}]|{d} | dict2items|{ld} | map("combine", {d}) | list|{ld} | selectattr("tags", "contains", {s}) | list|{ld} | rejectattr("name", "equalto", {s}) | list'
DICT = '''
d|dd|{{'a': {any}, 'b': {any}}}|{d} | combine({d})|{d} | combine({d}, recursive=true)|{d} | combine({d}, recursive=true, list_merge='append')
{d} | combine({d}, list_merge='prepend_rp', recursive=true)|dict({d}, x={any})|dict(a={any})|{d} | dict2items | items2dict|{l} | groupby(0) | items2dict
{d}.copy()|{ls} | zip({li}) | community.general.dict|dict({ls} | zip({l}))|{s} | community.general.dict_kv('k')|{{{s}: {any}}}|{{{i}: {any}, {s}: {any}}}
{ld} | first|{ld} | items2dict(key_name='name', value_name='size')|{d} | ansible.utils.remove_keys(target=['a'])|{d} | ansible.utils.keep_keys(target=['a', 'b'])
{any} | to_json | from_json|{any} | to_yaml | from_yaml|{d} if {b} else {d}|{s} | urlsplit|{ld} | rekey_on_member('name')|dd.in|{d} | ansible.utils.replace_keys(target=[{{'before': 'a', 'after': 'z'}}])
'''
ANY = '{i}|{i}|{f}|{b}|{s}|{s}|{s}|{l}|{li}|{ls}|{ld}|{d}|none|{l} | first|{l} | last|{d}.a|{d}["b"]|{any} | default({any})|{any} | default({any}, true)|{any} if {b} else {any}|{any} if {b}|{d}.get({s})|{l}[{small}]|{any} and {any}|{any} or {any}|missing|d.missing|d.missing.deep|{d} | dict2items|{s} | from_yaml|{s} | from_json|{b} | ternary({any}, {any})|{d}.missing | default({any})|{d}[{s}]|{s} | regex_search({re})|{s} | regex_search("(a)(b)?", "\\\\1", "\\\\2")|lookup("vars", "s")|lookup("items", {l})|query("dict", {d})|query("nested", {l}, {l})|query("together", {l}, {l})|query("flattened", {l})|query("indexed_items", {l})|query("sequence", "start=1 end={small}")|{ip} | ansible.utils.ipaddr({ipq})|{l} | ansible.utils.ipaddr|{ip} | ansible.utils.ipsubnet(26, 1)|{ip} | ansible.utils.nthhost(2)|{ip} | ansible.utils.ipv4|{ip} | ansible.utils.ipv6|{any} | mandatory|{s} | to_datetime("%Y-%m-%d") | string'

ATOMS = {
    'i': ['0', '1', '2', '7', '-3', '10', '255', 'i', 'big', '1_000', '9223372036854775807', '-1', 'd.a', 'dd.in.n'],
    'f': ['0.5', '1.0', '-2.75', '1e20', '1.5e-7', 'f', '3.14159', '100.0', '0.1', '2.5', '1e16', '123456789.125'],
    'b': ['true', 'false', 'b', 'True', 'False', 'not b'],
    's': ["'a'", "''", "'abc'", "'Hello World'", "'a,b,c'", "'/etc/x/y.conf'", "'12'", "'3.7'", "'yes'", "'True'", "'null'",
          "'a b  c'", "'naïve ü'", "'1.10.2'", "'line1\\nline2\\n'", "'[1, 2]'", "'{}'", "'x: 1'", "'- a\\n- b'", 's', 'url', 'u',
          '"it\'s"', "'\"q\"'", "'tab\\there'", "'%s'", "'0x1f'", "'0644'", "' pad '", "'ABC-def_9'", "'1G'", 'multi', 'tricky'],
    'l': ['[]', 'l', 'li', 'ls', 'ld', "[1, 'a', none]", '[[1, 2], [3, [4]]]', "['b', 'A', 'a']", '[2, 0]'],
    'li': ['li', '[3, 1, 2]', '[]', '[5]', '[1, 1, 2]'], 'ls': ['ls', "['b', 'a', 'C']", '[]', "['x']", "['1.2', '1.10']"],
    'ld': ['ld'], 'd': ['d', 'dd', '{}', "{'a': 1, 'b': [1]}", "{'k': 'v'}"], 'any': ['i', 's', 'l', 'd', 'none', '1', "'a'", 'b', 'f'],
    'small': ['0', '1', '2', '3', '-1', '4'],
    're': ["'a'", "'^[a-z]+$'", "'[0-9]+'", "'b.*'", "'(?i)A'", "'\\\\d'", "'^$'", "'(\\\\w+)'", "'[xb]'"],
    'ver': ["'1.2.3'", "'1.10'", "'v2.0'", "'2.0.0-rc1'", "'1.2'"],
    'ip': ["'10.0.0.5'", "'10.0.0.0/24'", "'192.168.1.7/16'", "'fe80::1/64'", "'::1'", "'nope'", "['10.1.0.1/8', 'x', '2001:db8::1']", 'ip'],
    'ipq': ["'network'", "'address'", "'prefix'", "'netmask'", "'size'", "'host'", "'net'", "'private'", "'public'", "'1'", "'-1'", "'subnet'",
            "'broadcast'", "'ipv4'", "'ipv6'", "'revdns'", "'int'", "'10.0.0.0/8'", "'host/prefix'", "'bool'", "'network/prefix'", "'next_usable'",
            "'last_usable'", "'range_usable'", "'hostmask'", "'type'", "'first_usable'", "'wildcard'", "'link-local'", "'peer'", "'ip/prefix'"],
    'test': ['defined', 'undefined', 'none', 'string', 'number', 'integer', 'float', 'boolean', 'mapping', 'sequence', 'iterable', 'sameas none',
             'odd', 'even', 'upper', 'lower', 'truthy', 'falsy', 'true', 'false', 'callable', 'eq 1', 'in [1, "a"]', 'nan', 'abs', 'all', 'any', 'uri', 'url'],
}
RULES = {'i': INT, 'f': FLOAT, 'b': BOOL, 's': STR, 'l': LIST, 'li': LI, 'ls': LS, 'ld': LD, 'd': DICT, 'any': ANY}


def rules(text):
    """Rules stand on lines, or between bars that have no blank beside them: filters have."""
    return [rule for line in text.strip().splitlines() for rule in re.split(r'(?<! )\|(?! )', line)]


RULES = {name: rules(text) for name, text in RULES.items()}
BLOCKS = [
    '{{% for x in {l} %}}{{{{ loop.index }}}}:{{{{ x }}}}{{% if not loop.last %}},{{% endif %}}{{% endfor %}}',
    '{{% for k, v in {d}.items() %}}{{{{ k }}}}={{{{ v }}}};{{% else %}}none{{% endfor %}}',
    '{{% if {b} %}}\n  {{{{ {any} }}}}\n{{% elif {b} %}}\n  {{{{ {s} }}}}\n{{% else %}}\n  no\n{{% endif %}}\nend\n',
    '{{% set x = {any} %}}{{{{ x }}}}|{{{{ x | type_debug }}}}', '{{% set x %}}{s}{{% endset %}}[{{{{ x }}}}]',
    '{{% set ns = namespace(n=0) %}}{{% for x in {l} %}}{{% set ns.n = ns.n + loop.index0 %}}{{% endfor %}}{{{{ ns.n }}}}',
    '{{% macro m(a, b={any}) %}}({{{{ a }}}},{{{{ b }}}},{{{{ varargs }}}},{{{{ kwargs }}}}){{% endmacro %}}{{{{ m({any}) }}}}{{{{ m({any}, {any}, {i}, z={s}) }}}}',
    '{{% macro w() %}}<{{{{ caller() }}}}>{{% endmacro %}}{{% call w() %}}{{{{ {any} }}}}{{% endcall %}}',
    '{{%- for x in {li} -%}}\n  {{{{ x + 1 }}}}\n{{%- endfor -%}}\n', '{{% filter upper %}}a{{{{ {s} }}}}{{% endfilter %}}',
    '{{% with a = {any}, b = {any} %}}{{{{ a }}}} {{{{ b }}}}{{% endwith %}}', '{{# note #}}{{{{ {any} }}}}\n', '{{{{ {any} }}}}{{{{ {any} }}}}',
    '{{% set x = {l} %}}{{% set y = x.append({any}) %}}{{{{ x }}}}{{{{ y }}}}', '{{% raw %}}{{{{ x }}}}{{% endraw %}}{{{{ {s} }}}}',
    '{{% for x in {ld} if x.on %}}{{{{ x.name }}}}{{{{ loop.length }}}}{{{{ loop.previtem.name | default("-") }}}}{{% endfor %}}',
    '{{% for x in {l} recursive %}}{{{{ loop(x) if x is sequence and x is not string else x }}}}{{% endfor %}}',
    '{{% set x = {{}} %}}{{% set _ = x.update({d}) %}}{{{{ x }}}}', '{{% for g in {ld} | groupby("name") %}}{{{{ g.grouper }}}}:{{{{ g.list | length }}}} {{% endfor %}}',
    'a: {{{{ {any} }}}}\nb: {{{{ {s} }}}}\n', '{{{{ {any} }}}}', '{{{{ {any} }}}}', '{{{{ {any} }}}}\n\n', ' {{{{ {any} }}}} ', '{{% for a, b in {d} | dictsort %}}{{{{ a ~ b }}}}{{% endfor %}}',
    '{{% for x in {l} %}}{{{{ loop.cycle("o", "e") }}}}{{{{ loop.revindex }}}}{{{{ loop.changed(x) }}}}{{% endfor %}}',
]
HOLE = re.compile(r'(?<!\{)\{([a-z]+)\}')


class Writer:
    def __init__(self, rng):
        self.rng = rng

    def expr(self, kind, depth):
        rng = self.rng
        if kind not in RULES or depth <= 0 or rng.random() < 0.25:
            return rng.choice(ATOMS[kind])
        return self.fill(rng.choice(RULES[kind]), depth)

    def fill(self, rule, depth):
        holes = HOLE.split(rule)
        out = []
        for at, part in enumerate(holes):
            if at % 2 == 0:
                out.append(part.replace('{{', '{').replace('}}', '}'))
                continue
            inner = self.expr(part, depth - 1)
            after = holes[at + 1]
            lone = not holes[at - 1].strip() and not after.strip()
            simple = re.fullmatch(r"[\w.]+|'(\\.|[^'\\])*'|\[[^\[\]|]*\]", inner)
            out.append(inner if lone or simple and not inner[0].isdigit() or not re.search(r'[^\w.]', inner) and not after.startswith(('.', '[')) else f'({inner})')
        return ''.join(out)

    def data(self, depth=2):
        rng = self.rng
        roll = rng.random()
        if depth > 0 and roll < 0.15:
            return [self.data(depth - 1) for _ in range(rng.randrange(4))]
        if depth > 0 and roll < 0.3:
            return {rng.choice(['a', 'b', 'c d', 'é', '1', 'name', 'x']): self.data(depth - 1) for _ in range(rng.randrange(4))}
        return rng.choice([None, True, False, 0, 1, -7, 42, 2.5, 1e-5, 1e22, '', 'a', 'text', 'yes', '1', '0x10', 'ünï', 'a: b', '# no', '- x', 'two words',
                           'null', '~', '1e3', '2024-01-02', "it's", '"q"', 'line\nbreak\n', ' lead', 'trail ', '{', '[a]', '@at', '%p', '1:30', '\ttab', 'a' * 90, 'word ' * 20, '=', '<<', '!x', '\u2028', '\x07', '\U0001f600', '0o7', '.5', '-', {'__int': '12345678901234567890'}])

    def variables(self):
        rng = self.rng
        item = lambda: {'name': rng.choice(['x', 'y', 'Z', 'aa']), 'size': rng.randrange(6), 'on': rng.random() < 0.5, 'tags': rng.sample(['a', 'b', 'c'], rng.randrange(3))}
        return {
            'i': rng.choice([0, 3, -5, 17]), 'big': {'__int': str(2 ** 70 + 1)}, 'f': rng.choice([0.5, 2.0, -1.25]), 'b': rng.random() < 0.5,
            's': rng.choice(['text', 'a-b', 'Foo Bar', '']), 'url': 'https://user@ex.org:8080/p/a?q=1#f', 'u': {'__unsafe': rng.choice(['un{{ s }}safe', 'a', '[1]'])},
            'multi': 'one\n  two\n\nthree', 'tricky': self.data(0) if rng.random() < 0.5 else "a'b\"c\\d",
            'l': [self.data() for _ in range(rng.randrange(4))], 'li': [rng.randrange(9) for _ in range(rng.randrange(4))],
            'ls': [rng.choice(['a', 'B', 'b', 'c1', 'a b', '10', '9']) for _ in range(rng.randrange(4))], 'ld': [item() for _ in range(rng.randrange(4))],
            'd': {'a': rng.choice([1, 2, 40]), 'b': self.data(), 'c': '{{ i }}'}, 'dd': {'a': 5, 'in': {'n': 3, 'l': [1, 2]}, 'l': ['x']}, 'ip': '172.16.5.9/20',
        }

    def probe(self):
        rng = self.rng
        depth = rng.choice([1, 1, 2, 2, 3])
        roll = rng.random()
        probe = {'vars': self.variables()}
        if roll < 0.45:
            probe |= {'kind': 'expr', 'template': self.expr(rng.choice(list(RULES)), depth)}
        elif roll < 0.55:
            probe |= {'kind': 'when', 'template': self.expr('b', depth)}
        else:
            kind = 'file' if rng.random() < 0.4 else 'render'
            probe |= {'kind': kind, 'template': self.fill(rng.choice(BLOCKS), depth)}
        return probe


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    writer = Writer(random.Random(seed))
    for _ in range(count):
        sys.stdout.write(json.dumps(writer.probe()) + '\n')


main()
