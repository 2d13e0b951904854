# The operations of tasks.yml that pyinfra has, in the same order.
from io import StringIO

from pyinfra import host
from pyinfra.operations import files, server

files.directory(name="dir", path="/tmp/bench", mode="755")
files.put(name="copy content", src=StringIO(f"hello {host.name}\n"), dest="/tmp/bench/hello", mode="644")
files.template(
    name="template",
    src="bench-template.j2",
    dest="/tmp/bench/t.conf",
    items_=["a", "b", "c"],
    inventory_hostname=host.name,
)
files.line(name="lineinfile", path="/tmp/bench/hello", line="x=1")
server.shell(name="command", commands=["/bin/true"])
server.shell(name="shell", commands=["echo hi | cat"])
for name in ["a", "b", "c"]:
    files.file(name=f"touch {name}", path=f"/tmp/bench/{name}", touch=False, mode="600")
files.block(name="blockinfile", path="/tmp/bench/hello", content="b1\nb2")
files.replace(name="replace", path="/tmp/bench/hello", text="b1", replace="b9")
server.shell(name="user check", commands=["id -u"])
