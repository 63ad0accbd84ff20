"""Child processes: start pinned to a core, read their cost from /proc with their children's, and stop them."""

import functools
import os
import resource
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
DESCRIPTORS = 100_000
REAL_TIME_PRIORITY = 10


class BenchError(Exception):
    """What a person reads when the bench cannot go on."""


def raise_descriptor_limit():
    """10,000 connections need more descriptors than the usual limit; children inherit what is set here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), max(hard, DESCRIPTORS)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptor_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def free_port():
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@functools.cache
def real_time():
    """The words before a command that keep the machine's other processes off its core; none where that is not allowed.

    Without them, what else runs for a few milliseconds a second decides the highest percentiles of everyone.
    """
    words = ["chrt", "--rr", str(REAL_TIME_PRIORITY)]
    try:
        allowed = subprocess.run([*words, "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except OSError:
        allowed = False
    return words if allowed else []


def pinned(core, argv):
    return [*real_time(), "taskset", "-c", str(core)] + [str(word) for word in argv]


class Process:
    """A server that runs until stop(). Its output goes to a file."""

    def __init__(self, argv, core, output_path):
        self.argv = [str(word) for word in argv]
        self.output_path = output_path
        self._output = open(output_path, "ab")
        self._child = subprocess.Popen(pinned(core, argv), stdin=subprocess.DEVNULL, stdout=self._output,
                                       stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self._child.pid

    def alive(self):
        return self._child.poll() is None

    def tail(self, lines=8):
        with open(self.output_path, "rb") as file:
            return b"\n".join(file.read()[-8000:].splitlines()[-lines:]).decode(errors="replace")

    def stop(self):
        for sign, patience_s in ((signal.SIGTERM, 1.5), (signal.SIGKILL, 5)):
            if self.alive():
                try:
                    os.killpg(self.pid, sign)
                    self._child.wait(patience_s)
                except (subprocess.TimeoutExpired, ProcessLookupError):
                    pass
        self._output.close()


def wait_for(condition, what, process=None, seconds=20):
    """Polls until `condition()` is true. Raises BenchError when time is up or the process has ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process is not None and not process.alive():
            raise BenchError("%s: the process ended: %s\n%s" % (what, " ".join(process.argv), process.tail()))
        if time.monotonic() > deadline:
            raise BenchError("%s: not within %d s%s" % (what, seconds, "\n" + process.tail() if process else ""))
        time.sleep(0.02)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# - Costs


def read_file(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def tree(pid):
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            threads = os.listdir("/proc/%d/task" % parent)
        except OSError:
            continue
        for thread in threads:
            found += [int(child) for child in read_file("/proc/%d/task/%s/children" % (parent, thread)).split()]
    return found


def parse_stat_ticks(text):
    """utime + stime + cutime + cstime of a /proc/PID/stat line; the name in it may hold blanks and parentheses."""
    fields = text[text.rindex(")") + 2:].split()
    return sum(int(field) for field in fields[11:15])


def parse_status_kib(text, name):
    """A kB line of /proc/PID/status or smaps_rollup, 0 when it is not there."""
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


@dataclass(frozen=True)
class Cpu:
    """CPU time used so far by some processes: by the kernel's tick-sized counters, and by its exact ones."""

    stat_ns: int
    exact_ns: int
    threads: frozenset

    def since(self, earlier):
        """Nanoseconds used since `earlier`. Exact when no thread has ended meanwhile, else to within a tick."""
        if earlier.threads <= self.threads and self.exact_ns > 0:
            return self.exact_ns - earlier.exact_ns
        return self.stat_ns - earlier.stat_ns


def cpu_of(pids):
    """CPU time of the processes and all their descendants (user and system)."""
    stat_ns = 0
    exact_ns = 0
    threads = set()
    for root in pids:
        for pid in tree(root):
            text = read_file("/proc/%d/stat" % pid)
            if not text:
                continue
            stat_ns += parse_stat_ticks(text) * TICK_NS
            for thread in os.listdir("/proc/%d/task" % pid):
                schedstat = read_file("/proc/%d/task/%s/schedstat" % (pid, thread)).split()
                if schedstat:
                    exact_ns += int(schedstat[0])
                    threads.add((pid, thread))
    return Cpu(stat_ns, exact_ns, frozenset(threads))


def rss_kib(pids):
    """Resident memory of the processes and their descendants, what they share counted in each (as `ps` does)."""
    return sum(parse_status_kib(read_file("/proc/%d/status" % pid), "VmRSS") for root in pids for pid in tree(root))


def pss_kib(pids):
    """The same with what is shared divided among those who share it."""
    return sum(parse_status_kib(read_file("/proc/%d/smaps_rollup" % pid), "Pss") for root in pids for pid in tree(root))


def core_busy_ns(core):
    """Time that a core has not idled since boot, for telling how much others used it."""
    for line in read_file("/proc/stat").splitlines():
        fields = line.split()
        if fields and fields[0] == "cpu%d" % core:
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[1:9])
            return (user + nice + system + irq + softirq + steal) * TICK_NS
    return 0
