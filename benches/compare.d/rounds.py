"""Rounds of all programs at all works, what they did compared, and the table."""

import hashlib
import json
import shutil
import statistics
import subprocess
import sys

import measure
import tools
import work


def address(first, number):
    """Addresses of the rig's hosts; `first` is 1 for the hosts, 2 for the delaying proxies in front of them."""
    return f"127.{first}.{number // 250}.{1 + number % 250}"


def tell(text):
    print(text, file=sys.stderr, flush=True)


class Proxy:
    """The delaying proxies of all hosts: one process, which counts round trips."""

    def __init__(self, program, milliseconds, count):
        pairs = [f"{address(2, n)}:22={address(1, n)}:22" for n in range(count)]
        self.process = subprocess.Popen(
            [program, "delay", str(milliseconds), *pairs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.report()

    def report(self):
        """What was counted since the last report."""
        self.process.stdin.write("report\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        self.store, self.count = options.inside, options.count
        self.floor = None
        self.proxy = None

    def tools(self, first=1):
        rig = tools.Rig(self.store, self.count, lambda number: address(first, number))
        scratch = (self.options.out / "scratch").resolve()
        return [tools.TOOLS[name](rig, scratch, self.options.venvs) for name in self.options.tools]

    def all(self, works):
        works = sorted(works, key=lambda one: one.key != "h")
        records = []
        for one in works:
            records += self.work(one, self.tools())
        return records

    def delayed(self, one, program):
        """Work (a) and (b) again with each of the round-trip times."""
        records = []
        for milliseconds in self.options.delay:
            self.proxy = Proxy(program, milliseconds, self.count)
            try:
                chosen = [tool for tool in self.tools(first=2) if tool.name != "floor"]
                for record in self.work(one, chosen):
                    record["delay_ms"] = milliseconds
                    records.append(record)
            finally:
                self.proxy.end()
                self.proxy = None
        return records

    def roots(self):
        return [self.store / f"hosts/r{n}/root" for n in range(1 if self.options.one else self.count)]

    def clean(self, tool):
        paths = list(work.ON_HOSTS)
        if tool.name == "kopsrun-cold":
            paths.append("root/.cache")
        for root in self.roots():
            for path in paths:
                place = root / path
                if place.is_dir():
                    shutil.rmtree(place)
                else:
                    place.unlink(missing_ok=True)

    def digest(self):
        """One digest of names, modes and contents of what the works leave on all hosts."""
        whole = hashlib.sha256()
        for root in self.roots():
            for top in work.COMPARED:
                paths = [root / top, *sorted((root / top).rglob("*"))]
                for path in paths:
                    if path.exists():
                        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"
                        whole.update(f"{path.relative_to(root)} {path.stat().st_mode:o} {content}\n".encode())
        return whole.hexdigest()

    def once(self, tool, step, watch_memory=False):
        """One run; None when the program can't do this step."""
        if not tool.can(step):
            return None
        besides = [self.proxy.process.pid] if self.proxy else []
        if self.proxy:
            self.proxy.report()
        out = tool.scratch / f"{step.key}.out"
        found = measure.run(tool.command(step), tool.environment(), self.directory, out, besides, watch_memory)
        found.trips = self.proxy.report() if self.proxy else None
        return found

    def work(self, one, chosen):
        runs = {(tool.name, step.key): [] for tool in chosen for step in one.steps}
        first, wrong = self.check(one, chosen)
        for turn in range(self.options.rounds):
            for tool in chosen:
                known = [found for found in (first.get((tool.name, step.key)) for step in one.steps) if found]
                if any(found.wall > self.options.slow for found in known) and turn >= self.options.slow_rounds:
                    continue
                self.clean(tool)
                for step in one.steps:
                    found = self.once(tool, step)
                    if found:
                        runs[tool.name, step.key].append(found)
                        tell(f"  {self.count} hosts  {step.key}  {tool.name:13} {found.wall:8.3f} s  load {found.load:.1f}")
        records = []
        for step in one.steps:
            rows = []
            for tool in chosen:
                before = first.get((tool.name, step.key))
                if before:
                    found = runs[tool.name, step.key] or [before]
                    rows.append(self.record(step, tool, before, found, wrong.get((tool.name, step.key))))
            self.ratios(step, rows)
            self.table(step, rows)
            records += rows
        return records

    def check(self, one, chosen):
        """The round before the timed ones: peak memory, and whether all did the same."""
        first, wrong, files, recaps = {}, {}, {}, {}
        for tool in chosen:
            self.clean(tool)
            for step in one.steps:
                found = self.once(tool, step, watch_memory=not self.options.no_memory)
                if not found:
                    continue
                name = tool.name, step.key
                first[name] = found
                recap = tool.recap(found.output)
                if found.status != 0:
                    wrong[name] = f"ended with {found.status}: {found.output[-300:]}"
                elif tool.name == "floor" or recap is None:
                    continue
                elif tool.reached(found.output) != self.count:
                    wrong[name] = f"reached {tool.reached(found.output)} of {self.count} hosts"
                elif recaps.setdefault(step.key, recap) != recap:
                    wrong[name] = f"another recap: {recap} instead of {recaps[step.key]}"
                elif files.setdefault(step.key, digest := self.digest()) != digest:
                    wrong[name] = "left other files on the hosts"
        for (tool, step), reason in wrong.items():
            tell(f"  WRONG {tool} {step}: {reason}")
        return first, wrong

    def record(self, step, tool, before, found, wrong):
        middle = lambda values: statistics.median(list(values))  # noqa: E731
        trips = [one.trips for one in found if one.trips]
        return {
            "hosts": self.count,
            "one_machine": self.options.one,
            "work": step.key,
            "title": step.title,
            "tool": tool.name,
            "rounds": len(found),
            "wall_s": round(middle(one.wall for one in found), 4),
            "wall_all_s": [round(one.wall, 4) for one in found],
            "cpu_s": round(middle(one.cpu for one in found), 4),
            "memory_kib": before.memory,
            "wire_bytes": int(middle(one.wire for one in found)),
            "load": round(middle(one.load for one in found), 2),
            "round_trips_per_host": middle(one["most"] for one in trips) if trips else None,
            "connections": middle(one["connections"] for one in trips) if trips else None,
            "wrong": wrong,
        }

    def ratios(self, step, rows):
        by_tool = {row["tool"]: row["wall_s"] for row in rows}
        if "floor" in by_tool:
            self.floor = by_tool["floor"]
        for row in rows:
            row["to_floor"] = round(row["wall_s"] / self.floor, 3) if self.floor and not self.proxy else None
            ours = by_tool.get("kopsrun")
            row["to_kopsrun"] = round(row["wall_s"] / ours, 2) if ours else None

    def table(self, step, rows):
        if not rows:
            return
        through = " through the delaying proxy" if self.proxy else ""
        print(f"\n({step.key}) {step.title}, {self.count} hosts{through}, load {rows[0]['load']}")
        print(f"{'':14} {'wall s':>9} {'/floor':>7} {'/kopsrun':>9} {'cpu s':>8} {'MiB':>7} {'wire KiB':>10} {'trips':>6}  rounds")
        for row in rows:
            shown = lambda value, text: format(value, text) if value is not None else "-"  # noqa: E731
            print(
                f"{row['tool']:14} {row['wall_s']:9.3f} {shown(row['to_floor'], '.2f'):>7} {shown(row['to_kopsrun'], '.1f'):>9} "
                f"{row['cpu_s']:8.3f} {row['memory_kib'] / 1024:7.1f} {row['wire_bytes'] / 1024:10.0f} "
                f"{shown(row['round_trips_per_host'], '.0f'):>6}  {row['rounds']}{'  WRONG: ' + row['wrong'] if row['wrong'] else ''}",
                flush=True,
            )
