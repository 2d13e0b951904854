"""Measures a program and all that it starts: wall time, processor time, memory, bytes on the rig's network."""

import ctypes
import os
import pathlib
import resource
import signal
import subprocess
import threading
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """What a program leaves running (ssh masters, daemons) becomes our child, so that its cost is counted too."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def wire_bytes():
    """Bytes that crossed the loopback device of this network; each direction once, with TCP's headers."""
    for line in open("/proc/self/net/dev"):
        name, _, fields = line.partition(":")
        if name.strip() == "lo":
            return int(fields.split()[0])
    return 0


def children_of(parents):
    """Processes below `parents`, by /proc."""
    tree = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = open(f"/proc/{entry}/stat").read()
            except OSError:
                continue
            tree.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, waiting = [], list(parents)
    while waiting:
        for child in tree.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def proportional_memory(pids):
    """KiB; pages that several processes share are counted once in all."""
    total = 0
    for pid in pids:
        try:
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
                    break
        except OSError:
            pass
    return total


class MemoryWatch(threading.Thread):
    """Looks at the memory of our children ten times a second, seldomer where looking takes long: at most a twentieth of
    one processor."""

    def __init__(self, besides):
        super().__init__(daemon=True)
        self.peak, self.over, self.besides = 0, threading.Event(), besides

    def run(self):
        pause = 0.1
        while not self.over.wait(pause):
            began = time.monotonic()
            pids = [pid for pid in children_of([os.getpid()]) if pid not in self.besides]
            self.peak = max(self.peak, proportional_memory(pids))
            pause = max(0.1, 20 * (time.monotonic() - began))


class Measured:
    def __init__(self, wall, cpu, wire, memory, status, output, load):
        self.wall, self.cpu, self.wire, self.memory = wall, cpu, wire, memory
        self.status, self.output, self.load = status, output, load


def end_leftovers(besides):
    """Ends and waits for what the program left behind; its processor time counts from then on."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in children_of([os.getpid()]):
            if pid not in besides:
                try:
                    os.kill(pid, sign)
                except ProcessLookupError:
                    pass
        for _ in range(100):
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            if not [pid for pid in children_of([os.getpid()]) if pid not in besides]:
                return
            time.sleep(0.01)


def run(command, environment, directory, out, besides=(), watch_memory=False, limit=3600):
    """One run. `besides`: children of ours that aren't the program's (the delaying proxy)."""
    load = os.getloadavg()[0]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wire = wire_bytes()
    watch = MemoryWatch(set(besides)) if watch_memory else None
    if watch:
        watch.start()
    with open(out, "wb") as output:
        began = time.monotonic()
        child = subprocess.Popen(
            command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            status = child.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            status = "limit"
        wall = time.monotonic() - began
    if watch:
        watch.over.set()
        watch.join()
    wire = wire_bytes() - wire
    end_leftovers(set(besides))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    text = pathlib.Path(out).read_text(errors="replace")
    return Measured(wall, cpu, wire, watch.peak if watch else 0, status, text, load)
