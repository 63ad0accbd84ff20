"""Instructions per request, counted by callgrind: a figure that hardly varies, for later changes to compare with.

A warmed proxy runs under callgrind with counting off, then counts N requests, then 2N. The difference over N is the
cost of one request, without what starting, connecting and closing cost. Only user space is counted.
"""

import json
import os
import re
import subprocess

from . import load, process
from .process import BenchError, Process
from .setup import Setup

REQUESTS = 4_000
TOLERANCE = 0.03
PEERS = ("weft", "haproxy", "nghttpx", "envoy")  # those that do all their work in the process that is started
# name -> (h2load's protocol, upstream's protocol, connections, streams)
FLOWS = {"h1": ("h1", "h1", 8, 1), "h2": ("h2", "h2", 2, 8)}


def parse_dump(text):
    """The instructions of one callgrind dump."""
    found = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
    if not found:
        raise BenchError("callgrind's dump has no total")
    return int(found.group(1))


def per_request(once, twice, requests):
    return (twice - once) / requests


def compare(measured, committed):
    """(lines to print, worse): the figures beside the committed ones, and whether one has grown past the tolerance."""
    lines = []
    worse = False
    for name, value in measured.items():
        before = committed.get(name)
        if before is None:
            lines.append("%-12s %8.0f instructions/request (nothing committed to compare with)" % (name, value))
            continue
        change = value / before - 1
        grew = change > TOLERANCE
        worse |= grew
        lines.append("%-12s %8.0f instructions/request, committed %.0f: %+.1f%%%s"
                     % (name, value, before, 100 * change, "  GREW" if grew else ""))
    return lines, worse


def _control(pid, *words):
    run = subprocess.run(["callgrind_control", *words, str(pid)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=60)
    if run.returncode != 0 or "Error" in run.stdout:
        raise BenchError("callgrind_control %s:\n%s" % (" ".join(words), run.stdout))


def count(peer, flow, folder, backend_port, options):
    """Instructions per request of a peer in a flow of FLOWS."""
    downstream, upstream, clients, streams = FLOWS[flow]
    setup = Setup(folder=os.path.join(folder, "callgrind-%s-%s" % (peer.name, flow)), upstream_port=backend_port,
                  upstream=upstream, log=options.log)
    out = setup.path("callgrind.out")
    proxy = Process(["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=" + out] +
                    peer.command(setup), options.proxy_core, setup.path("output"))

    def send(requests):
        result = load.h2load(["http://127.0.0.1:%d/" % setup.port], options.load_core, setup.path("load"), downstream,
                             clients, streams, requests, 100)
        if result.failed:
            raise BenchError("%s under callgrind: %s" % (peer.name, result.complaint))

    def dumped(number):
        path = "%s.%d" % (out, number)
        process.wait_for(lambda: "totals:" in process.read_file(path), "callgrind dumps", proxy)
        return parse_dump(process.read_file(path))

    try:
        process.wait_for(lambda: process.listens(setup.port), "%s under valgrind starts" % peer.name, proxy, 60)
        send(REQUESTS // 4)
        _control(proxy.pid, "-i", "on")
        send(REQUESTS // 4)
        _control(proxy.pid, "-z")
        send(REQUESTS)
        _control(proxy.pid, "-d")
        once = dumped(1)
        send(2 * REQUESTS)
        _control(proxy.pid, "-d")
        return per_request(once, dumped(2), REQUESTS)
    finally:
        proxy.stop()


def read_committed(path):
    text = process.read_file(path)
    return json.loads(text) if text else {}


def write_committed(path, figures):
    with open(path, "w") as file:
        json.dump({name: round(value) for name, value in sorted(figures.items())}, file, indent=1)
        file.write("\n")
