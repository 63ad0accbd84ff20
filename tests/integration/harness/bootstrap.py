"""Envoy v3 bootstraps as Python dictionaries. Every port is 0: the system chooses, the proxy tells."""

TYPE = "type.googleapis.com/"
HCM = TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = TYPE + "envoy.extensions.filters.http.router.v3.Router"
TCP_PROXY = TYPE + "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
DOWNSTREAM_TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM_TLS = TYPE + "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
HTTP_OPTIONS = TYPE + "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
HTTP_OPTIONS_NAME = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
STDOUT_LOG = TYPE + "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
FILE_LOG = TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog"


def address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def bootstrap(listeners, clusters, **more):
    return {
        "admin": {"address": address("127.0.0.1", 0)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        **more,
    }


def cluster(name, endpoints, http2=False, tls=None, **more):
    """A static cluster; endpoints are (host, port) pairs."""
    result = {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(*endpoint)}} for endpoint in endpoints]}],
        },
    }
    if http2:
        result["typed_extension_protocol_options"] = {
            HTTP_OPTIONS_NAME: {"@type": HTTP_OPTIONS, "explicit_http_config": {"http2_protocol_options": {}}}
        }
    if tls is not None:
        result["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": UPSTREAM_TLS, **tls}}
    return {**result, **more}


def listener(name, filters, tls=None, host="127.0.0.1", port=0, **more):
    chain = {"filters": filters}
    if tls is not None:
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": DOWNSTREAM_TLS, **tls}}
    return {"name": name, "address": address(host, port), "filter_chains": [chain], **more}


def route_configuration(name, routes, domains=("*",), virtual_hosts=None):
    """One virtual host, or those given."""
    return {"name": name, "virtual_hosts": virtual_hosts or [{"name": "all", "domains": list(domains), "routes": routes}]}


def connection_manager(routes, codec="AUTO", domains=("*",), virtual_hosts=None, http_filters=(), **more):
    """The HTTP connection manager filter over `routes` or virtual hosts, or without them (None) where `more` says where they come from."""
    fixed = {} if routes is None and virtual_hosts is None else {"route_config": route_configuration("local", routes, domains, virtual_hosts)}
    config = {
        "@type": HCM,
        "stat_prefix": "ingress",
        "codec_type": codec,
        **fixed,
        "http_filters": [*http_filters, {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": {**config, **more}}


def http_listener(name, routes, tls=None, listener_options=None, **more):
    return listener(name, [connection_manager(routes, **more)], tls=tls, **(listener_options or {}))


def tcp_listener(name, to_cluster, **more):
    config = {"@type": TCP_PROXY, "stat_prefix": "tcp", "cluster": to_cluster, **more}
    return listener(name, [{"name": "envoy.filters.network.tcp_proxy", "typed_config": config}])


def route(to_cluster, prefix="/", **action):
    return {"match": {"prefix": prefix}, "route": {"cluster": to_cluster, **action}}


def server_tls(certificate, alpn=(), **common):
    """certificate: a pair of files, (chain, key)."""
    context = {"tls_certificates": [{"certificate_chain": {"filename": str(certificate[0])}, "private_key": {"filename": str(certificate[1])}}]}
    if alpn:
        context["alpn_protocols"] = list(alpn)
    return {"common_tls_context": {**context, **common}}
