#include "api/text/print.h"

#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <catch2/catch.hpp>
#include <limits>

#include "api/text/parse.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/load_report.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"

namespace weft::text {
namespace {

using envoy::config::cluster::v3::Cluster;
constexpr PrintOptions kOneLine{.proto_names = true, .indent = false, .redact_secrets = false};

TEST_CASE("each kind of value has its JSON") {
  Cluster cluster;
  cluster.set_name("a\"\\\n\x01é");
  cluster.set_type(Cluster::STRICT_DNS);
  cluster.mutable_connect_timeout()->set_nanos(250'000'000);
  cluster.mutable_per_connection_buffer_limit_bytes()->set_value(7);
  CHECK(print_json(cluster, kOneLine) ==
        "{\"name\":\"a\\\"\\\\\\n\\u0001é\",\"type\":\"STRICT_DNS\",\"connect_timeout\":\"0.25s\","
        "\"per_connection_buffer_limit_bytes\":7}");

  envoy::config::endpoint::v3::UpstreamLocalityStats stats;
  stats.set_total_successful_requests(std::numeric_limits<uint64_t>::max());
  CHECK(print_json(stats, kOneLine) == "{\"total_successful_requests\":\"18446744073709551615\"}");
  CHECK(print_json(stats, {.proto_names = false, .indent = false, .redact_secrets = false}) ==
        "{\"totalSuccessfulRequests\":\"18446744073709551615\"}");

  google::protobuf::DoubleValue number;
  number.set_value(0.1);
  CHECK(print_json(number, kOneLine) == "0.1");
  number.set_value(-0.0);
  CHECK(print_json(number, kOneLine) == "-0.0");
  number.set_value(-std::numeric_limits<double>::infinity());
  CHECK(print_json(number, kOneLine) == "\"-Infinity\"");
  google::protobuf::Timestamp time;
  time.set_seconds(1);
  CHECK(print_json(time, kOneLine) == "\"1970-01-01T00:00:01Z\"");
  time.set_nanos(-1);
  CHECK(print_json(time, kOneLine) == "\"1s\"");
  google::protobuf::FieldMask mask;
  mask.add_paths("load_assignment.cluster_name");
  CHECK(print_json(mask, kOneLine) == "\"loadAssignment.clusterName\"");
}

TEST_CASE("an empty message is an empty object") {
  CHECK(print_json(Cluster()) == "{}\n");
  CHECK(print_yaml(Cluster()) == "{}\n");
}

TEST_CASE("an Any of an unknown type keeps its bytes") {
  Cluster cluster;
  auto& any = (*cluster.mutable_typed_extension_protocol_options())["k"];
  any.set_type_url("x/foo.Bar");
  any.set_value("\x01\x02");
  CHECK(print_json(cluster, kOneLine) ==
        "{\"typed_extension_protocol_options\":{\"k\":{\"@type\":\"x/foo.Bar\",\"value\":\"AQI=\"}}}");
}

TEST_CASE("a map's keys are in order") {
  Cluster cluster;
  for (const char* key : {"c", "a", "b"}) (*cluster.mutable_metadata()->mutable_filter_metadata())[key];
  CHECK(print_json(cluster, kOneLine) == "{\"metadata\":{\"filter_metadata\":{\"a\":{},\"b\":{},\"c\":{}}}}");
}

TEST_CASE("YAML quotes what would otherwise be read as something else") {
  for (const std::string name : {"true", "NO",  "y",  "null", "~",  "5", "0x1",  "1.5",  "",           " a",   "a: b",
                                 "a #b", "- a", "<<", "@x",   "*x", "é", "a\nb", ".inf", "2030-01-01", "null_"}) {
    Cluster cluster;
    cluster.set_name(name);
    Cluster again;
    const std::string yaml = print_yaml(cluster);
    INFO(yaml);
    REQUIRE(parse(yaml, "c.yaml", &again).ok());
    CHECK(again.name() == name);
  }
  Cluster cluster;
  cluster.set_name("app.example-1");
  CHECK(print_yaml(cluster) == "name: app.example-1\n");
}

TEST_CASE("YAML shows lists and maps in blocks") {
  Cluster cluster;
  auto* endpoints = cluster.mutable_load_assignment()->add_endpoints();
  endpoints->add_lb_endpoints()->mutable_endpoint()->set_hostname("a");
  endpoints->add_lb_endpoints();
  CHECK(print_yaml(cluster) ==
        "load_assignment:\n  endpoints:\n    - lb_endpoints:\n        - endpoint:\n            hostname: a\n"
        "        - {}\n");
}

TEST_CASE("secrets are not shown to who should not see them") {
  envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext context;
  auto* certificate = context.mutable_common_tls_context()->add_tls_certificates();
  certificate->mutable_certificate_chain()->set_inline_string("CHAIN");
  certificate->mutable_private_key()->set_inline_string("SECRET1");
  certificate->mutable_password()->set_inline_bytes("SECRET2");
  context.mutable_session_ticket_keys()->add_keys()->set_inline_string("SECRET3");
  const std::string shown = print_json(context, {.proto_names = true, .indent = false, .redact_secrets = true});
  CHECK(shown.find("CHAIN") != std::string::npos);
  CHECK(shown.find("SECRET") == std::string::npos);
  CHECK(shown.find("U0VDUkVUMg==") == std::string::npos);
  CHECK(shown.find("\"private_key\":{\"inline_string\":\"[redacted]\"}") != std::string::npos);
}

}  // namespace
}  // namespace weft::text
