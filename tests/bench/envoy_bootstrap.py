"""The Envoy v3 bootstrap that Weft and Envoy are both given, byte for byte the same but for ports and log path."""

import json

from .certificates import CLIENT_NAME, SERVER_NAME, spiffe_id
from .setup import route_prefix

LIMIT = 15_000  # connections, for every peer alike


def _address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _typed(name, fields):
    return {"@type": "type.googleapis.com/" + name, **fields}


TLS = "envoy.extensions.transport_sockets.tls.v3."


def _tls_common(setup, who, alpn, verify_name):
    certificates = setup.certificates
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [{
            "certificate_chain": {"filename": certificates.certificate(who)},
            "private_key": {"filename": certificates.key(who)},
        }],
        "alpn_protocols": alpn,
    }
    if verify_name:
        common["validation_context"] = {
            "trusted_ca": {"filename": certificates.ca},
            "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": verify_name}}],
        }
    return common


def _downstream_tls(setup):
    mutual = setup.downstream_tls == "mutual"
    fields = {"common_tls_context": _tls_common(setup, "server", ["h2", "http/1.1"], CLIENT_NAME if mutual else "")}
    if mutual:
        fields["require_client_certificate"] = True
    return {"name": "envoy.transport_sockets.tls", "typed_config": _typed(TLS + "DownstreamTlsContext", fields)}


def _upstream_tls(setup):
    fields = {"sni": SERVER_NAME, "common_tls_context": _tls_common(setup, "client", ["h2"], SERVER_NAME)}
    return {"name": "envoy.transport_sockets.tls", "typed_config": _typed(TLS + "UpstreamTlsContext", fields)}


def _cluster(setup, name):
    breaker = {"max_connections": LIMIT, "max_pending_requests": LIMIT, "max_requests": LIMIT, "max_retries": 3}
    cluster = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [breaker]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(setup.upstream_port)}}]}],
        },
    }
    if setup.upstream == "h2":
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _typed(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                {"explicit_http_config": {"http2_protocol_options": {}}}),
        }
    if setup.upstream_tls:
        cluster["transport_socket"] = _upstream_tls(setup)
    if setup.policies:
        cluster["metadata"] = {"filter_metadata": {"weft": {"host": SERVER_NAME, "service": "server", "namespace": "bench"}}}
    return cluster


def _routes(setup):
    if setup.routes == 1:
        return [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]
    return [{"match": {"prefix": route_prefix(number)}, "route": {"cluster": "app"}}
            for number in range(setup.routes)]


def _policy(account, path):
    """One rule of an AuthorizationPolicy, as weft-control compiles it."""
    either = lambda kind, one: {"and_" + kind: {kind: [{"or_" + kind: {kind: [one]}}]}}
    return {"principals": [either("ids", {"authenticated": {"principal_name": {"exact": spiffe_id(account)}}})],
            "permissions": [either("rules", {"url_path": {"path": {"prefix": path}}})]}


def _rbac(setup):
    """Of all but the last every other one is for the client, and for paths that it does not ask for."""
    policies = {"AuthorizationPolicy/bench/policy-%04d/0" % n: _policy("client" if n % 2 else "other-%d" % n, "/policy-%04d/" % n)
                for n in range(setup.policies - 1)}
    policies["AuthorizationPolicy/bench/the-last/0"] = _policy("client", "/")
    return {"name": "weft.authorization.allow", "typed_config": _typed("envoy.extensions.filters.http.rbac.v3.RBAC", {
        "rules": {"action": "ALLOW", "policies": policies}})}


def _mesh_filters(setup):
    if not setup.policies:
        return []
    callee = setup.downstream_tls == "mutual"
    measured = {"name": "weft.filters.http.hop_metrics",
                "typed_config": _typed("weft.v1.HopMetrics", {"reporter": "DESTINATION" if callee else "SOURCE"})}
    return [_rbac(setup), measured] if callee else [measured]


def _http(setup):
    manager = {
        "stat_prefix": "ingress",
        "codec_type": "AUTO",
        "route_config": {
            "name": "local",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _routes(setup)}],
        },
        "http_filters": _mesh_filters(setup) + [{
            "name": "envoy.filters.http.router",
            "typed_config": _typed("envoy.extensions.filters.http.router.v3.Router", {}),
        }],
    }
    if setup.log:
        manager["access_log"] = [{
            "name": "envoy.access_loggers.file",
            "typed_config": _typed("envoy.extensions.access_loggers.file.v3.FileAccessLog",
                                   {"path": setup.path("access.log")}),
        }]
    return _typed("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", manager)


def bootstrap(setup):
    """The bootstrap for a setup, as JSON text (which is YAML too)."""
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": _http(setup)}]}
    if setup.downstream_tls:
        chain["transport_socket"] = _downstream_tls(setup)
    clusters = [_cluster(setup, "app")] + [_cluster(setup, "idle-%04d" % number) for number in range(1, setup.clusters)]
    return json.dumps({
        "node": {"id": "bench", "cluster": "bench", "metadata": {"namespace": "bench", "service": "server"}},
        "admin": {"address": _address(setup.admin_port)},
        "static_resources": {
            "listeners": [{"name": "ingress", "address": _address(setup.port), "filter_chains": [chain]}],
            "clusters": clusters,
        },
        "layered_runtime": {"layers": [{
            "name": "limits",
            "static_layer": {"envoy.resource_limits.listener.ingress.connection_limit": LIMIT},
        }]},
    }, indent=1)
