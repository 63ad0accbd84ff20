#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/codec/codec.h"
#include "proxy/filter/filter.h"
#include "proxy/observe/access_log.h"
#include "proxy/observe/stats.h"
#include "proxy/rbac/guard.h"
#include "proxy/route/route_table.h"
#include "proxy/route/slot.h"
#include "proxy/transport/server_tls.h"
#include "proxy/transport/socket_options.h"

// The configuration as workers run it: immutable, built by config/compile, published whole. A request keeps the
// pointers with which it began. Times are milliseconds; 0 means none unless said otherwise.

namespace weft::cluster {
class Cluster;
class ClusterSlot;
}  // namespace weft::cluster
namespace weft::observe {
class HopReporter;
}  // namespace weft::observe

namespace weft::snapshot {

enum class CodecType : uint8_t { kAuto, kHttp1, kHttp2 };
enum class ServerHeader : uint8_t { kOverwrite, kAppendIfAbsent, kPassThrough };
enum class ForwardClientCert : uint8_t { kSanitize, kForwardOnly, kAppendForward, kSanitizeSet, kAlwaysForwardOnly };
enum class PathAction : uint8_t { kKeepUnchanged, kReject, kUnescapeAndRedirect, kUnescapeAndForward };

struct Cidr {
  transport::Address address;
  uint8_t prefix_bits = 0;
};

// Envoy's HttpConnectionManager.
struct HttpConnectionManager {
  std::string stat_prefix;
  CodecType codec_type = CodecType::kAuto;
  codec::Limits limits;
  // Exactly one: a table that stays, or the place of one that comes and changes.
  std::shared_ptr<const route::RouteTable> routes;
  route::RouteSlotPtr route_slot;
  std::vector<filter::FilterFactoryPtr> filters;  // Without the router, which is always last.
  std::vector<std::shared_ptr<observe::AccessLog>> access_logs;
  std::shared_ptr<observe::Family<observe::HttpStats>> stats;
  std::shared_ptr<const observe::HopReporter> hops;  // nullptr: hops are not measured.

  std::string server_name = "weft";
  ServerHeader server_header = ServerHeader::kOverwrite;
  bool use_remote_address = false;
  uint32_t xff_trusted_hops = 0;
  bool skip_xff_append = false;
  // Clients who count as inside (internal_address_config); by default none does.
  std::vector<Cidr> internal_ranges;
  bool internal_unix_sockets = false;
  std::string user_agent;  // Of add_user_agent: who we say that we are to the upstream; empty: nobody.
  std::string node_name;   // Said beside it.
  bool generate_request_id = true;
  bool preserve_external_request_id = false;
  bool always_set_request_id_in_response = false;
  ForwardClientCert forward_client_cert = ForwardClientCert::kSanitize;
  bool xfcc_cert = false, xfcc_chain = false, xfcc_subject = false, xfcc_dns = false, xfcc_uri = false;
  std::string via;
  bool normalize_path = false;
  bool merge_slashes = false;
  PathAction escaped_slashes = PathAction::kKeepUnchanged;
  bool strip_matching_host_port = false;
  bool strip_any_host_port = false;
  bool strip_trailing_host_dot = false;
  bool proxy_100_continue = false;
  bool suppress_envoy_headers = false;  // Router's suppress_envoy_headers.
  bool respect_expected_rq_timeout = false;
  std::vector<std::string> upgrades;  // Lower case; enabled for all routes: "websocket", "connect".
  std::string scheme_overwrite;

  int64_t idle_timeout_ms = 3'600'000;  // Of a connection without requests.
  int64_t request_headers_timeout_ms = 0;
  int64_t request_timeout_ms = 0;
  int64_t stream_idle_timeout_ms = 300'000;
  int64_t max_stream_duration_ms = 0;
  int64_t max_connection_duration_ms = 0;
  uint32_t max_requests_per_connection = 0;
  int64_t drain_timeout_ms = 5'000;
  int64_t delayed_close_timeout_ms = 1'000;
  int64_t h2_ping_interval_ms = 0;
  int64_t h2_ping_timeout_ms = 0;
};

// Envoy's TcpProxy.
struct TcpProxy {
  std::string stat_prefix;
  struct Destination {
    std::string name;
    std::shared_ptr<const cluster::ClusterSlot> slot;
    uint32_t weight = 1;
  };
  std::vector<Destination> destinations;
  uint32_t total_weight = 0;
  int64_t idle_timeout_ms = 3'600'000;
  int64_t max_connection_duration_ms = 0;
  uint32_t max_connect_attempts = 1;
  std::vector<std::shared_ptr<observe::AccessLog>> access_logs;
  std::shared_ptr<observe::Family<observe::TcpStats>> stats;
  std::shared_ptr<const observe::HopReporter> hops;  // nullptr: hops are not measured.
};

struct FilterChainMatch {
  bool has_destination_port = false;
  uint16_t destination_port = 0;
  using Cidr = snapshot::Cidr;
  std::vector<Cidr> destination_ranges;
  std::vector<Cidr> source_ranges;
  std::vector<Cidr> direct_source_ranges;
  enum class SourceType : uint8_t { kAny, kSameIpOrLoopback, kExternal } source_type = SourceType::kAny;
  std::vector<uint16_t> source_ports;
  std::vector<std::string> server_names;  // Exact, or "*.example.com" kept as ".example.com" with a leading dot.
  std::string transport_protocol;         // "tls", "raw_buffer" or empty.
  std::vector<std::string> application_protocols;
};

struct FilterChain {
  std::string name;
  // Of all that it was made from: chains with the same one are alike.
  uint64_t content_hash = 0;
  FilterChainMatch match;
  std::shared_ptr<const transport::ServerTls> tls;  // nullptr: plain text.
  int64_t transport_connect_timeout_ms = 15'000;
  bool proxy_protocol = false;  // Deprecated use_proxy_proto.
  rbac::ConnectionGuards guards;
  // Exactly one.
  std::shared_ptr<const HttpConnectionManager> http;
  std::shared_ptr<const TcpProxy> tcp;
};

using PortSet = std::bitset<65536>;

struct Listener {
  std::string name;
  std::vector<transport::Address> addresses;  // `address` and additional_addresses; port 0: any free one.
  bool ipv4_compat = false;
  int unix_mode = 0;
  bool inspect_tls = false;   // tls_inspector
  bool inspect_http = false;  // http_inspector
  // Destination ports on which first bytes are not looked at (filter_disabled); nullptr: none.
  std::shared_ptr<const PortSet> tls_uninspected_ports, http_uninspected_ports;
  bool use_original_destination = false;  // original_dst listener filter
  // use_original_dst: what another listener of the destination's address can take is handed to that one.
  bool hands_off = false;
  bool bind_to_port = true;     // False: connections come only from a listener that hands off.
  bool proxy_protocol = false;  // proxy_protocol listener filter
  int64_t listener_filters_timeout_ms = 15'000;
  bool continue_on_listener_filters_timeout = false;
  std::optional<transport::TcpKeepalive> keepalive;  // Of accepted connections.
  bool reuse_port = true;
  uint32_t backlog = 4096;
  uint32_t max_connections = UINT32_MAX;
  uint32_t max_connections_per_event = 64;
  bool counts_globally = true;  // Its connections are among those that the process's limit bounds.
  uint32_t per_connection_buffer_limit_bytes = 1024 * 1024;
  bool transparent = false;
  bool freebind = false;
  std::vector<std::shared_ptr<const FilterChain>> filter_chains;
  std::shared_ptr<const FilterChain> default_filter_chain;
  std::vector<std::shared_ptr<observe::AccessLog>> access_logs;
  std::shared_ptr<observe::Family<observe::ListenerStats>> stats;
};

struct Snapshot {
  uint64_t version = 0;
  std::vector<std::shared_ptr<const Listener>> listeners;
  std::vector<std::shared_ptr<cluster::Cluster>> clusters;  // Sorted by their names.
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

}  // namespace weft::snapshot
