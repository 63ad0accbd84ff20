"""`--mode validate` against the real Envoy: small bootstraps, most with one mistake. Both accept or both refuse; and what we refuse
we name by file, line, column and path."""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

from tests.integration.harness import bootstrap
from tests.integration.harness.proxy import envoy_binary, weft_binary

LIMIT_S = 60
MANAGER = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config"
HOST = MANAGER + ".route_config.virtual_hosts[0]"
ROUTE = HOST + ".routes[0]"
CLUSTER = "static_resources.clusters[0]"
SECRETS = CLUSTER + ".transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs"
CHECK = {"timeout": "1s", "interval": "1s", "unhealthy_threshold": 1, "healthy_threshold": 1, "tcp_health_check": {}}


def base():
    return bootstrap.bootstrap([bootstrap.http_listener("http", [bootstrap.route("c")])], [bootstrap.cluster("c", [("127.0.0.1", 1)])])


def listener(config):
    return config["static_resources"]["listeners"][0]


def manager(config):
    return listener(config)["filter_chains"][0]["filters"][0]["typed_config"]


def host(config):
    return manager(config)["route_config"]["virtual_hosts"][0]


def route(config):
    return host(config)["routes"][0]


def cluster(config):
    return config["static_resources"]["clusters"][0]


def changed(part, **fields):
    """A change that sets fields of a part."""
    return lambda config: part(config).update(fields)


def twice(kind):
    return lambda config: config["static_resources"][kind].append(config["static_resources"][kind][0])


def log(**format):
    return [{"name": "log", "typed_config": {"@type": bootstrap.STDOUT_LOG, **format}}]


def filtered(log_filter):
    return [{**log()[0], "filter": log_filter}]


def source(cluster="control", **more):
    """A source of its own."""
    services = [{"envoy_grpc": {"cluster_name": cluster}}]
    return {"api_config_source": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": services, **more}, "resource_api_version": "V3"}


def asking(cds_config):
    """A change to a bootstrap that has a control plane, and asks for its clusters so."""
    def change(config):
        config["static_resources"]["clusters"].append(bootstrap.cluster("control", [("127.0.0.1", 1)], http2=True))
        config.update(node={"id": "n", "cluster": "c"}, dynamic_resources={"cds_config": cds_config})
    return change


def secured(*certificates, **common):
    """A change to a cluster whose certificates come while it runs."""
    def change(config):
        asking(source())(config)
        tls = {"common_tls_context": {"tls_certificate_sds_secret_configs": list(certificates), **common}}
        cluster(config)["transport_socket"] = {"name": "tls", "typed_config": {"@type": bootstrap.UPSTREAM_TLS, **tls}}
    return change


SECRET = {"name": "x", "sds_config": source()}

ACCEPTED = {
    "a source of its own": asking(source()),
    "a source of changes": asking(source(api_type="DELTA_GRPC", set_node_on_first_message_only=True, rate_limit_settings={"max_tokens": 5, "fill_rate": 2})),
    "a source that names no version": asking({"api_config_source": {k: v for k, v in source()["api_config_source"].items() if k != "transport_api_version"}}),
    "a certificate that comes": secured(SECRET),
    "a validation that comes": secured(SECRET, validation_context_sds_secret_config={**SECRET, "name": "ca"}),
    "a validation that comes over one that is there": secured(combined_validation_context={
        "default_validation_context": {"match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": "a"}}]},
        "validation_context_sds_secret_config": {**SECRET, "name": "ca"}}),
    "nothing changed": lambda config: None,
    "a retry policy": changed(lambda c: route(c)["route"], retry_policy={"retry_on": "5xx,retriable-headers", "retriable_headers": [{"name": "x"}]}),
    "a mirror": changed(lambda c: route(c)["route"], request_mirror_policies=[{"cluster": "c"}]),
    "a hash policy": changed(lambda c: route(c)["route"], hash_policy=[{"header": {"header_name": "x"}, "terminal": True}]),
    "ring hash": changed(cluster, lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": 100}),
    "maglev": changed(cluster, lb_policy="MAGLEV", maglev_lb_config={"table_size": 101}),
    "inside addresses": changed(manager, internal_address_config={"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}),
    "names from requests": lambda config: cluster(config).update(typed_extension_protocol_options={bootstrap.HTTP_OPTIONS_NAME: {
        "@type": bootstrap.HTTP_OPTIONS, "explicit_http_config": {"http_protocol_options": {}}, "upstream_http_protocol_options": {"auto_sni": True}}}),
    "a decorator": changed(route, decorator={"operation": "x"}),
    "two named health checks": changed(cluster, health_checks=[{**CHECK, "name": "a"}, {**CHECK, "name": "b"}]),
    "an internal listener extension": changed(lambda c: c, bootstrap_extensions=[{
        "name": "x", "typed_config": {"@type": bootstrap.TYPE + "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"}}]),
    "a log filter": changed(manager, access_log=filtered({"response_flag_filter": {"flags": ["UF"]}})),
}

# What is wrong, and where we say that it is.
REFUSED = {
    "text where a number is due": (changed(cluster, per_connection_buffer_limit_bytes="many"), CLUSTER + ".per_connection_buffer_limit_bytes"),
    "a number where a message is due": (changed(lambda c: route(c), match=3), ROUTE + ".match"),
    "a list where one is due": (changed(listener, name=["a", "b"]), "static_resources.listeners[0].name"),
    "one where a list is due": (changed(host, domains={"a": 1}), HOST + ".domains[0]"),
    "a negative size": (changed(cluster, per_connection_buffer_limit_bytes=-1), CLUSTER + ".per_connection_buffer_limit_bytes"),
    "no such field": (changed(cluster, lb_polcy="RANDOM"), CLUSTER),
    "no such enum value": (changed(cluster, lb_policy="ROUND_ROBBIN"), CLUSTER + ".lb_policy"),
    "no duration": (changed(cluster, connect_timeout="soon"), CLUSTER + ".connect_timeout"),
    "a duration without a unit": (changed(cluster, connect_timeout="5"), CLUSTER + ".connect_timeout"),
    "a duration of nothing": (changed(cluster, connect_timeout="0s"), CLUSTER + ".connect_timeout"),
    "a negative duration": (changed(cluster, connect_timeout="-1s"), CLUSTER + ".connect_timeout"),
    "a duration beyond all bounds": (changed(cluster, connect_timeout="400000000000s"), CLUSTER + ".connect_timeout"),
    "a cluster that does not exist": (changed(route, route={"cluster": "none"}), ROUTE + ".route.cluster"),
    "a weighted cluster that does not exist": (changed(route, route={"weighted_clusters": {"clusters": [{"name": "none", "weight": 1}]}}),
                                               ROUTE + ".route.weighted_clusters.clusters[0].name"),
    "weights of nothing": (changed(route, route={"weighted_clusters": {"clusters": [{"name": "c", "weight": 0}]}}), ROUTE + ".route.weighted_clusters"),
    "a shadow that does not exist": (changed(lambda c: route(c)["route"], request_mirror_policies=[{"cluster": "none"}]),
                                     ROUTE + ".route.request_mirror_policies[0].cluster"),
    "two clusters of one name": (twice("clusters"), "static_resources.clusters[1]"),
    "a pattern that is none": (changed(route, match={"safe_regex": {"regex": "(a"}}), ROUTE + ".match.safe_regex.regex"),
    "a pattern of a header": (changed(route, match={"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "["}}}]}),
                              ROUTE + ".match.headers[0].string_match.safe_regex.regex"),
    "a header match without a name": (changed(route, match={"prefix": "/", "headers": [{"present_match": True}]}), ROUTE + ".match.headers[0].name"),
    "a percentage of more than all": (changed(cluster, common_lb_config={"healthy_panic_threshold": {"value": 101}}),
                                      CLUSTER + ".common_lb_config.healthy_panic_threshold"),
    "a negative percentage": (changed(cluster, circuit_breakers={"thresholds": [{"retry_budget": {"budget_percent": {"value": -1}}}]}),
                              CLUSTER + ".circuit_breakers.thresholds[0].retry_budget"),
    "an ejection of more than all": (changed(cluster, outlier_detection={"max_ejection_percent": 101}), CLUSTER + ".outlier_detection.max_ejection_percent"),
    "an ejection in no time": (changed(cluster, outlier_detection={"interval": "0s"}), CLUSTER + ".outlier_detection.interval"),
    "a port beyond all": (changed(listener, address=bootstrap.address("127.0.0.1", 70000)), "static_resources.listeners[0].address.socket_address.port_value"),
    "an address that is none": (changed(listener, address=bootstrap.address("here", 0)), "static_resources.listeners[0].address.socket_address.address"),
    "no address": (lambda config: listener(config).pop("address"), "static_resources.listeners[0].address"),
    "a status that is none": (lambda config: route(config).update(direct_response={"status": 99}) or route(config).pop("route"), ROUTE + ".direct_response.status"),
    "a route without an action": (lambda config: route(config).pop("route"), ROUTE),
    "a route without a match": (lambda config: route(config).pop("match"), ROUTE + ".match"),
    "two actions": (changed(route, redirect={"host_redirect": "a"}), ROUTE + ".redirect"),
    "no domain": (changed(host, domains=[]), HOST + ".domains"),
    "a domain twice": (changed(host, domains=["a", "a"]), MANAGER + ".route_config"),
    "a host without a name": (changed(host, name=""), HOST + ".name"),
    "no stat_prefix": (changed(manager, stat_prefix=""), MANAGER + ".stat_prefix"),
    "a window too small": (changed(manager, http2_protocol_options={"initial_stream_window_size": 100}), MANAGER + ".http2_protocol_options.initial_stream_window_size"),
    "an operator that does not exist": (changed(manager, access_log=log(log_format={"text_format_source": {"inline_string": "%NONE%"}})),
                                        MANAGER + ".access_log[0].typed_config"),
    "a flag that does not exist": (changed(manager, access_log=filtered({"response_flag_filter": {"flags": ["XX"]}})),
                                   MANAGER + ".access_log[0].filter.response_flag_filter.flags[0]"),
    "an and_filter of one": (changed(manager, access_log=filtered({"and_filter": {"filters": [{"not_health_check_filter": {}}]}})),
                             MANAGER + ".access_log[0].filter.and_filter.filters"),
    "a filter of nothing": (changed(manager, access_log=filtered({})), MANAGER + ".access_log[0].filter"),
    "a health check without an interval": (changed(cluster, health_checks=[{k: v for k, v in CHECK.items() if k != "interval"}]),
                                           CLUSTER + ".health_checks[0].interval"),
    "health checks without names": (changed(cluster, health_checks=[CHECK, CHECK]), CLUSTER + ".health_checks[0]"),
    "health checks of one name": (changed(cluster, health_checks=[{**CHECK, "name": "a"}, {**CHECK, "name": "a"}]), CLUSTER + ".health_checks[1].name"),
    "a gRPC check over HTTP/1": (changed(cluster, health_checks=[{**{k: v for k, v in CHECK.items() if k != "tcp_health_check"}, "grpc_health_check": {}}]),
                                 CLUSTER + ".health_checks[0].grpc_health_check"),
    "a table that is no prime": (changed(cluster, lb_policy="MAGLEV", maglev_lb_config={"table_size": 100}), CLUSTER + ".maglev_lb_config.table_size"),
    "a ring of less than nothing": (changed(cluster, lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": 10, "maximum_ring_size": 5}),
                                    CLUSTER + ".ring_hash_lb_config"),
    "a network that is none": (changed(manager, internal_address_config={"cidr_ranges": [{"address_prefix": "ten"}]}),
                               MANAGER + ".internal_address_config.cidr_ranges[0]"),
    "a certificate that is not there": (changed(lambda c: listener(c)["filter_chains"][0], transport_socket={
        "name": "tls", "typed_config": {"@type": bootstrap.DOWNSTREAM_TLS, **bootstrap.server_tls(("/none/a.pem", "/none/a.key"))}}),
        "static_resources.listeners[0].filter_chains[0].transport_socket.typed_config.common_tls_context"),
    "a source by the aggregated stream in its own right": (asking(source(api_type="AGGREGATED_GRPC")), "dynamic_resources.cds_config.api_config_source.api_type"),
    "changes by the aggregated stream in its own right": (asking(source(api_type="AGGREGATED_DELTA_GRPC")), "dynamic_resources.cds_config.api_config_source.api_type"),
    "a source that is where it stands": (asking({"self": {}}), "dynamic_resources.cds_config.self"),
    "a control plane that is no cluster": (asking(source("none")), "dynamic_resources.cds_config.api_config_source.grpc_services[0].envoy_grpc.cluster_name"),
    "no control plane": (asking(source(grpc_services=[])), "dynamic_resources.cds_config.api_config_source.grpc_services"),
    "requests at no rate": (asking(source(rate_limit_settings={"fill_rate": 0})), "dynamic_resources.cds_config.api_config_source.rate_limit_settings"),
    "a secret without a name": (secured({**SECRET, "name": ""}), SECRETS + "[0].name"),
    "a secret that does not exist": (secured({"name": "x"}), SECRETS + "[0].name"),
    "two certificates of a client": (secured(SECRET, {**SECRET, "name": "y"}), CLUSTER + ".transport_socket.typed_config.common_tls_context"),
    "an extension that does not exist": (changed(lambda c: c, bootstrap_extensions=[{"name": "x", "typed_config": {"@type": bootstrap.TYPE + "none.None"}}]),
                                         "bootstrap_extensions[0].typed_config"),
}

# Envoy takes these, and then serves nothing, or one of the two alone, or leaves out of account what was asked for.
STRICTER = {
    "a secret of a control plane that is no cluster": (secured({"name": "x", "sds_config": source("none")}),
                                                       SECRETS + "[0].sds_config.api_config_source.grpc_services[0].envoy_grpc.cluster_name"),
    "a time for REST": (asking(source(request_timeout="1s")), "dynamic_resources.cds_config.api_config_source.request_timeout"),
    "how often REST asks": (asking(source(refresh_delay="1s")), "dynamic_resources.cds_config.api_config_source.refresh_delay"),
    "two listeners of one name": (twice("listeners"), "static_resources.listeners[1]"),
    "no router": (changed(manager, http_filters=[]), MANAGER + ".http_filters"),
}


def validate(binary, path, *arguments):
    """(accepted, what it said)"""
    result = subprocess.run([binary, "--mode", "validate", "-c", str(path), *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)
    return result.returncode == 0, (result.stdout + result.stderr).decode(errors="replace")


class Validate(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def judged(self, change):
        """What Envoy and what we say of the base with one change."""
        config = base()
        change(config)
        path = self.folder / "bootstrap.yaml"
        path.write_text(json.dumps(config, indent=1))
        return validate(envoy_binary(), path, "-l", "error"), validate(weft_binary(), path)

    def test_both_accept(self):
        for name, change in ACCEPTED.items():
            with self.subTest(name):
                theirs, ours = self.judged(change)
                self.assertTrue(theirs[0], theirs[1])
                self.assertTrue(ours[0], ours[1])

    def test_both_refuse_and_we_say_where(self):
        for name, (change, where) in REFUSED.items():
            with self.subTest(name):
                theirs, ours = self.judged(change)
                self.assertFalse(theirs[0], "Envoy accepts it")
                self.refused_at(where, ours)

    def test_where_we_are_stricter(self):
        for name, (change, where) in STRICTER.items():
            with self.subTest(name):
                theirs, ours = self.judged(change)
                self.assertTrue(theirs[0], theirs[1])
                self.refused_at(where, ours)

    def refused_at(self, where, ours):
        accepted, text = ours
        self.assertFalse(accepted, "we accept it")
        self.assertIn(where, re.findall(r"bootstrap\.yaml:\d+:\d+: (\S+?): ", text), text)


if __name__ == "__main__":
    unittest.main()
