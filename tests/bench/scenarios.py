"""What is measured: each scenario's traffic, its load and who takes part. Pure data."""

from dataclasses import dataclass

PEERS = ("weft", "envoy", "haproxy", "nginx", "nghttpx", "relay")
DEFAULT_BODY_BYTES = 100


@dataclass(frozen=True)
class Scenario:
    """One scenario. `requests` is what one closed-loop round sends; `rate_per_s` is what the fixed-rate run offers."""

    name: str
    title: str
    peers: tuple
    kind: str = "load"  # load, churn, policies, routes, clusters, idle, conns
    downstream: str = "h1"  # h1, h2
    upstream: str = "h1"  # h1, h2
    tls: bool = False  # the client speaks TLS to the proxy
    mesh: bool = False  # two proxies with mTLS and HTTP/2 between them
    clients: int = 64
    streams: int = 1
    requests: int = 0
    rate_per_s: int = 0
    body_bytes: int = DEFAULT_BODY_BYTES

    @property
    def path(self):
        return "/b/%d" % self.body_bytes


H2_PEERS = ("weft", "envoy", "haproxy", "nghttpx")
NO_RELAY = ("weft", "envoy", "haproxy", "nginx", "nghttpx")

SCENARIOS = (
    Scenario("h1", "HTTP/1.1 to HTTP/1.1, 64 keep-alive connections, 100 B bodies", PEERS,
             requests=48_000, rate_per_s=8_000),
    Scenario("h1-10k", "HTTP/1.1 to HTTP/1.1, 64 keep-alive connections, 10 kB bodies", PEERS,
             requests=30_000, rate_per_s=4_000, body_bytes=10_240),
    Scenario("h1-1m", "HTTP/1.1 to HTTP/1.1, 16 keep-alive connections, 1 MB bodies", PEERS,
             clients=16, requests=1_200, rate_per_s=160, body_bytes=1_048_576),
    Scenario("churn", "HTTP/1.1, a new connection for each request, 32 at a time", PEERS,
             kind="churn", clients=32),
    Scenario("h2", "HTTP/2 to HTTP/2 (prior knowledge), 16 connections of 16 streams", H2_PEERS,
             downstream="h2", upstream="h2", clients=16, streams=16, requests=64_000, rate_per_s=8_000),
    Scenario("h1h2", "HTTP/1.1 to HTTP/2, 64 keep-alive connections", H2_PEERS,
             upstream="h2", requests=40_000, rate_per_s=6_400),
    Scenario("tls-h1", "HTTP/1.1 over TLS 1.3 to HTTP/1.1, 64 keep-alive connections", NO_RELAY,
             tls=True, requests=40_000, rate_per_s=6_400),
    Scenario("mesh", "a mesh hop: client, proxy A, mTLS and HTTP/2, proxy B, application; both proxies counted",
             H2_PEERS, mesh=True, requests=24_000, rate_per_s=3_200),
    Scenario("mesh-policies", "the mesh hop with identity metrics and 100 policies of access, against the bare one",
             ("weft", "haproxy"), kind="policies", mesh=True, requests=24_000),
    Scenario("routes-1000", "1,000 routes in one virtual host, against one", NO_RELAY[:4],
             kind="routes", requests=32_000),
    Scenario("clusters-1000", "1,000 idle clusters, against one", NO_RELAY, kind="clusters"),
    Scenario("idle", "memory at rest: just started, and after 100 requests", PEERS, kind="idle"),
    Scenario("conns-10k", "10,000 idle connections", NO_RELAY, kind="conns", clients=10_000),
)


def by_name(names):
    """The scenarios named, in the order of SCENARIOS; all when none is named. Raises KeyError for an unknown name."""
    known = {scenario.name for scenario in SCENARIOS}
    for name in names:
        if name not in known:
            raise KeyError(name)
    return [scenario for scenario in SCENARIOS if not names or scenario.name in names]
