"""What a run has shown: the table, the verdicts, JSON, and the SVG plot. Pure functions of the rows."""

import json
from xml.sax.saxutils import escape

REFERENCES = ("relay", "haproxy", "envoy")
# Of the proxies' core: what the kernel books to nobody (interrupts, the idle loop's ends) alone comes to a tenth.
QUIET_SHARE = 0.15


def find(rows, scenario, peer, variant=None):
    for row in rows:
        if row.scenario == scenario and row.peer == peer and variant in (None, row.variant):
            return row
    return None


def reference_of(rows):
    """The row that the others of its variant are compared with: the relay, or HAProxy, or Envoy."""
    for name in REFERENCES:
        for row in rows:
            if row.peer == name and row.median("cpu_us") is not None:
                return row
    return None


# - Table


def _number(value, form="%.1f"):
    return "-" if value is None else form % value


def _time(value_us):
    if value_us is None:
        return "-"
    return "%.0f us" % value_us if value_us < 1000 else "%.2f ms" % (value_us / 1000)


def _mib(value_kib):
    return "-" if value_kib is None else "%.1f" % (value_kib / 1024)


def _kb(value_bytes):
    return "-" if value_bytes is None else "%.2f" % (value_bytes / 1000)


def _range(row):
    samples = row.samples.get("cpu_us")
    return "%.1f-%.1f" % (min(samples), max(samples)) if samples else "-"


def _ratio(row, reference):
    ours, theirs = row.median("cpu_us"), reference.median("cpu_us") if reference else None
    return "%.2f" % (ours / theirs) if ours is not None and theirs else "-"


COLUMNS = {
    "load": (("CPU us/req", lambda row, _: _number(row.median("cpu_us"))),
             ("least-most", lambda row, _: _range(row)),
             ("ratio", _ratio),
             ("req/s", lambda row, _: _number(row.median("requests_per_s"), "%.0f")),
             ("p50", lambda row, _: _time(row.median("p50_us"))),
             ("p99", lambda row, _: _time(row.median("p99_us"))),
             ("CPU@rate", lambda row, _: _number(row.median("rate_cpu_us"))),
             ("p50@rate", lambda row, _: _time(row.median("rate_p50_us"))),
             ("p99@rate", lambda row, _: _time(row.median("rate_p99_us"))),
             ("idle MiB", lambda row, _: _mib(row.median("rss_idle_kib"))),
             ("loaded MiB", lambda row, _: _mib(row.median("rss_loaded_kib")))),
    "clusters": (("1 cluster MiB", lambda row, _: _mib(row.median("rss_idle_kib"))),
                 ("1,000 MiB", lambda row, _: _mib(row.median("rss_clusters_kib"))),
                 ("kB/cluster", lambda row, _: _kb(row.median("bytes_per_cluster")))),
    "idle": (("RSS MiB", lambda row, _: _mib(row.median("rss_idle_kib"))),
             ("PSS MiB", lambda row, _: _mib(row.median("pss_idle_kib"))),
             ("after 100 requests", lambda row, _: _mib(row.median("rss_loaded_kib")))),
    "conns": (("before MiB", lambda row, _: _mib(row.median("rss_idle_kib"))),
              ("with all MiB", lambda row, _: _mib(row.median("rss_loaded_kib"))),
              ("kB/conn, new", lambda row, _: _kb(row.median("bytes_per_new_connection"))),
              ("kB/conn, used", lambda row, _: _kb(row.median("bytes_per_used_connection")))),
}
COLUMNS["churn"] = COLUMNS["load"]
COLUMNS["routes"] = COLUMNS["policies"] = COLUMNS["load"]


def align(lines):
    """Lines of cells as text: the first column to the left, the last as it is, the others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    out = []
    for line in lines:
        cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1])]
        out.append(("  ".join(cells + [line[-1]])).rstrip())
    return "\n".join(out)


def scenario_table(scenario, rows):
    """The table of one scenario, with its title. Columns that nobody has are left out."""
    text = ["%s: %s" % (scenario.name, scenario.title)]
    if scenario.rate_per_s:
        text[0] += " (fixed rate: %s requests/s)" % format(scenario.rate_per_s, ",")
    columns = COLUMNS[scenario.kind]
    for variant in dict.fromkeys(row.variant for row in rows):
        group = [row for row in rows if row.variant == variant]
        reference = reference_of(group)
        lines = [[variant or "proxy"] + [title for title, _ in columns] + [""]]
        for row in group:
            lines.append([row.peer] + [cell(row, reference) for _, cell in columns] +
                         ["FAILED: " + "; ".join(row.complaints) if row.complaints else ""])
        keep = [0] + [i for i in range(1, len(columns) + 1) if any(line[i] != "-" for line in lines[1:])]
        lines = [[line[i] for i in keep] + [line[-1]] for line in lines]
        text.append(align(lines))
    others = [share for row in rows for share in row.samples.get("others_share", [])]
    if others and max(others) > QUIET_SHARE:
        text.append("Beware: up to %.0f%% of the proxies' core went to others than the proxies." % (100 * max(others)))
    return "\n".join(text)


def features_table(peers):
    return "What was on:\n" + align([[name, "", peer.features] for name, peer in peers.items()])


# - Verdicts


def verdicts(rows):
    """What Weft must reach and aims at, from the rows at hand: (text, measured, limit, aim), the last None if none."""
    found = []

    def of(scenario, peer, figure, variant=None):
        row = find(rows, scenario, peer, variant)
        return row.median(figure) if row and not row.complaints else None

    def ratio(scenario, peer, limit, aim, figure="cpu_us", text="CPU per request"):
        ours, theirs = of(scenario, "weft", figure), of(scenario, peer, figure)
        if ours is not None and theirs:
            found.append(("%s: %s over %s's" % (scenario, text, peer), ours / theirs, limit, aim))

    ratio("h1", "haproxy", 1.0, None)
    ratio("h1", "envoy", 1 / 3.5, 1 / 4.5)
    ratio("h1", "relay", None, 1.25)
    ratio("h2", "haproxy", 1.1, 0.9)
    ratio("churn", "nginx", 1.1, None)
    ratio("mesh", "haproxy", 1.0, None)
    ratio("mesh", "envoy", 1 / 3.5, 1 / 4.5)
    for scenario in dict.fromkeys(row.scenario for row in rows):
        ratio(scenario, "haproxy", 1.0, None, "rate_p99_us", "p99 at the fixed rate")
    bare = of("mesh-policies", "weft", "cpu_us", "bare")
    for variant in dict.fromkeys(row.variant for row in rows if row.scenario == "mesh-policies"):
        governed, haproxy = of("mesh-policies", "weft", "cpu_us", variant), of("mesh-policies", "haproxy", "cpu_us", "bare")
        if bare and governed is not None and haproxy and variant != "bare":
            found.append(("mesh-policies: CPU of a hop, %s, over the bare one's" % variant, governed / bare, 1.1, None))
            found.append(("mesh-policies: CPU of a hop, %s, over haproxy's bare one" % variant, governed / haproxy, 1.0, None))
    idle = of("idle", "weft", "rss_idle_kib")
    if idle is not None:
        found.append(("idle: RSS in MiB", idle / 1024, 15.0, 12.0))
    cluster = of("clusters-1000", "weft", "bytes_per_cluster")
    if cluster is not None:
        found.append(("clusters-1000: kB per idle cluster", cluster / 1000, 4.0, 2.0))
    one = of("routes-1000", "weft", "cpu_us", "one route")
    for variant in dict.fromkeys(row.variant for row in rows if row.scenario == "routes-1000"):
        many = of("routes-1000", "weft", "cpu_us", variant)
        if one and many is not None and variant != "one route":
            found.append(("routes-1000: CPU of %s over one route's" % variant, many / one, None, 1.05))
    return found


def verdict_of(measured, limit, aim):
    if limit is not None and measured > limit:
        return "MISSED"
    if aim is not None and measured > aim:
        return "met, short of the aim" if limit is not None else "short of the aim"
    return "met"


def verdict_table(rows):
    lines = [["what Weft must reach", "measured", "must", "aim", ""]]
    for text, measured, limit, aim in verdicts(rows):
        lines.append([text, "%.2f" % measured, _number(limit, "%.2f"), _number(aim, "%.2f"),
                      verdict_of(measured, limit, aim)])
    return align(lines) if len(lines) > 1 else ""


# - JSON


def to_json(rows, machine, peers, options):
    """Everything that was measured: medians, and every sample."""
    return json.dumps({
        "machine": machine,
        "options": options,
        "peers": {name: {"version": machine["versions"].get(name, ""), "on": peer.features}
                  for name, peer in peers.items()},
        "rows": [{"scenario": row.scenario, "variant": row.variant, "peer": row.peer, "failed": row.failed,
                  "complaints": row.complaints, "samples": row.samples,
                  "median": {name: row.median(name) for name in row.samples}} for row in rows],
        "verdicts": [{"what": text, "measured": measured, "must": limit, "aim": aim,
                      "verdict": verdict_of(measured, limit, aim)} for text, measured, limit, aim in verdicts(rows)],
    }, indent=1) + "\n"


# - SVG

COLORS = {"weft": "#0b7a75", "envoy": "#b23a77", "haproxy": "#3b6ea5", "nginx": "#4d8a3d", "nghttpx": "#c07a2c",
          "relay": "#8a8a8a", "go-control-plane": "#3b6ea5"}
PLOTS = {"load": ("cpu_us", "CPU us per request"), "churn": ("cpu_us", "CPU us per request"),
         "routes": ("cpu_us", "CPU us per request"), "policies": ("cpu_us", "CPU us per request"), "clusters": ("bytes_per_cluster", "bytes per cluster"),
         "control": ("cpu_ms", "server CPU, ms"), "control-memory": ("rss_per_proxy_kib", "KiB per proxy"),
         "idle": ("rss_idle_kib", "RSS, KiB"), "conns": ("bytes_per_used_connection", "bytes per connection")}
PANEL_WIDTH, BAR_HEIGHT, LABEL_WIDTH = 460, 18, 150


def _panel(scenario, rows, x, y):
    """One scenario's bars at (x, y). Returns (elements, height)."""
    figure, unit = PLOTS[scenario.kind]
    bars = [(row, row.median(figure)) for row in rows if row.median(figure) is not None]
    most = max([value for _, value in bars] + [1e-9])
    out = ['<text x="%d" y="%d" font-weight="bold">%s</text>' % (x, y + 14, escape(scenario.name)),
           '<text x="%d" y="%d" text-anchor="end" fill="#666">%s</text>' % (x + PANEL_WIDTH, y + 14, escape(unit))]
    room = PANEL_WIDTH - LABEL_WIDTH - 60
    top = y + 24
    for row, value in bars:
        label = row.peer + (" " + row.variant if row.variant else "")
        width = max(1.0, room * max(0.0, value) / most)
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>'
                   % (x + LABEL_WIDTH - 6, top + BAR_HEIGHT - 5, escape(label[:26])))
        out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>'
                   % (x + LABEL_WIDTH, top, width, BAR_HEIGHT - 4, COLORS.get(row.peer, "#444")))
        out.append('<text x="%.1f" y="%d">%s</text>' % (x + LABEL_WIDTH + width + 5, top + BAR_HEIGHT - 5,
                                                        "%.1f" % value if value < 1000 else format(int(value), ",")))
        top += BAR_HEIGHT
    return out, top - y + 20


def to_svg(scenarios, rows):
    """A plot with one panel of bars per scenario, in two columns."""
    elements = []
    heights = [10, 10]
    for scenario in scenarios:
        group = [row for row in rows if row.scenario == scenario.name]
        if not group:
            continue
        column = 0 if heights[0] <= heights[1] else 1
        panel, height = _panel(scenario, group, 20 + column * (PANEL_WIDTH + 40), heights[column])
        elements += panel
        heights[column] += height
    width, height = 2 * PANEL_WIDTH + 80, max(heights) + 10
    return "\n".join(
        ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" '
         'font-family="sans-serif" font-size="12">' % (width, height, width, height),
         '<rect width="%d" height="%d" fill="white"/>' % (width, height)] + elements + ["</svg>"]) + "\n"
