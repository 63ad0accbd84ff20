"""What a run of `tools/bench control` has shown: table, verdicts, JSON and SVG. Pure functions of the rows."""

import dataclasses
import json
from types import SimpleNamespace

from . import report

SCENARIOS = ("first sync", "endpoint", "route", "service", "storm", "reconnect")
STORM_LIMIT_MS = 500
STORM_PROXIES = 3000
MEMORY_LIMIT_KIB = 120
MEMORY_AIM_KIB = 60


def _find(rows, scenario, variant, peer):
    for row in rows:
        if (row.scenario, row.variant, row.peer) == (scenario, variant, peer):
            return row
    return None


def _figure(row, name, form="%.1f", scale=1):
    value = row.median(name) if row else None
    return "-" if value is None else form % (value / scale)


def table(variant, rows):
    """One variant (form and number of proxies): each scenario and peer."""
    lines = [["scenario", "server", "CPU ms", "recv p50", "recv p99", "last", "ack p50", "ack p99", "kB", "commit p99", ""]]
    peers = list(dict.fromkeys(row.peer for row in rows if row.variant == variant))
    for scenario in SCENARIOS:
        for peer in peers:
            row = _find(rows, scenario, variant, peer)
            if row is None:
                continue
            lines.append([scenario, peer, _figure(row, "cpu_ms"), _figure(row, "received_p50_ms"), _figure(row, "received_p99_ms"),
                          _figure(row, "received_max_ms"), _figure(row, "acknowledged_p50_ms"),
                          _figure(row, "acknowledged_p99_ms"), _figure(row, "bytes", "%.0f", 1000),
                          _figure(row, "commit_p99_ms"), "FAILED: " + "; ".join(row.complaints) if row.complaints else ""])
    text = ["%s (times in ms from the commit; CPU and kB of one change, of the storm as a whole)" % variant, report.align(lines)]
    memory = [["memory", "before MiB", "KiB/proxy", "at the end", ""]]
    for peer in peers:
        row = _find(rows, "memory", variant, peer)
        memory.append([peer, _figure(row, "rss_before_kib", "%.1f", 1024), _figure(row, "rss_per_proxy_kib"),
                       _figure(row, "rss_after_per_proxy_kib"), ""])
    text.append(report.align(memory))
    for row in rows:
        if row.variant == variant and row.scenario == "run":
            text.append("%s did not run to its end: %s" % (row.peer, "; ".join(row.complaints)))
    return "\n".join(text)


def verdicts(rows):
    """What weft-control must reach and aims at: (text, measured, limit, aim)."""
    found = []
    variants = list(dict.fromkeys(row.variant for row in rows))

    def of(scenario, variant, peer, figure):
        row = _find(rows, scenario, variant, peer)
        return row.median(figure) if row and not row.complaints else None

    def ratio(scenario, variant, figure, text):
        ours = of(scenario, variant, "weft", figure)
        for peer, must, aim in (("go-control-plane", 1.0, 0.5), ("go-control-plane-shared", None, 1.0)):
            theirs = of(scenario, variant, peer, figure)
            if ours is not None and theirs:
                found.append(("%s: %s: %s over %s's" % (variant, scenario, text, peer), ours / theirs, must, aim))

    for variant in variants:
        for scenario in SCENARIOS:
            ratio(scenario, variant, "cpu_ms", "CPU")
        ratio("memory", variant, "rss_per_proxy_kib", "KiB per proxy")
        memory = of("memory", variant, "weft", "rss_per_proxy_kib")
        if memory is not None:
            # By TLS a connection has its buffers and keys as well, which the limit leaves out.
            limit = None if variant.endswith(", TLS") else MEMORY_LIMIT_KIB
            found.append(("%s: KiB per proxy" % variant, memory, limit, MEMORY_AIM_KIB))
        storm = of("storm", variant, "weft", "received_p99_ms")
        if storm is not None:
            must = STORM_LIMIT_MS if int(variant.split()[1]) <= STORM_PROXIES else None
            found.append(("%s: storm, p99 in ms" % variant, storm, must, STORM_LIMIT_MS / 2))
    return found


def verdict_table(rows):
    lines = [["what weft-control must reach", "measured", "must", "aim", ""]]
    for text, measured, limit, aim in verdicts(rows):
        lines.append([text, "%.2f" % measured, "-" if limit is None else "%.1f" % limit, "%.1f" % aim,
                      report.verdict_of(measured, limit, aim)])
    return report.align(lines)


def to_json(rows, plan):
    return json.dumps({
        "plan": dataclasses.asdict(plan),
        "rows": [{"scenario": row.scenario, "variant": row.variant, "server": row.peer, "complaints": row.complaints,
                  "samples": row.samples, "median": {name: row.median(name) for name in row.samples}} for row in rows],
        "verdicts": [{"what": text, "measured": measured, "must": limit, "aim": aim,
                      "verdict": report.verdict_of(measured, limit, aim)} for text, measured, limit, aim in verdicts(rows)],
    }, indent=1) + "\n"


def to_svg(rows):
    """A panel for each scenario: the server's CPU time, and the memory of a proxy."""
    panels = [SimpleNamespace(name=name, kind="control") for name in SCENARIOS] + [SimpleNamespace(name="memory", kind="control-memory")]
    return report.to_svg(panels, rows)
