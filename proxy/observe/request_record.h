#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/http/cause.h"
#include "proxy/http/message.h"
#include "proxy/http/metadata.h"
#include "proxy/observe/hop_identity.h"

// What an access log line, a metric or a trace can say of one exchange (or, with no heads, of one TCP connection). The
// stream fills it in as it goes; it is read once, at the end, on the worker's thread. Views live as long as the stream.

namespace weft::observe {

// The addresses and TLS facts of a connection, as texts rendered when the connection was made.
struct PeerTexts {
  std::string_view remote_address;  // "10.0.0.1:1234", or a Unix path
  std::string_view remote_ip;
  std::string_view direct_remote_address;
  std::string_view direct_remote_ip;
  std::string_view local_address;
  std::string_view local_ip;
  uint16_t remote_port = 0;
  uint16_t direct_remote_port = 0;
  uint16_t local_port = 0;
  std::string_view sni;
  std::string_view tls_version;
  std::string_view tls_cipher;
  std::string_view tls_session_id;
  std::string_view peer_uri_san;  // Several are joined with ','.
  std::string_view peer_dns_san;
  std::string_view peer_subject;
  std::string_view peer_issuer;
  std::string_view peer_serial;
  std::string_view peer_fingerprint_256;
  std::string_view local_uri_san;
  uint64_t connection_id = 0;
};

// Who is at the two ends of the hop, for the metrics that name them. nullptr and empty: not known.
struct HopEnds {
  const ConnectionPrincipals* downstream = nullptr;  // Of TLS connections alone.
  const ConnectionPrincipals* upstream = nullptr;
  const WorkloadIdentity* workload = nullptr;  // The endpoint that was chosen last.
  const ServiceIdentity* service = nullptr;    // Of the cluster.
  std::string_view peer_names;                 // What the caller's proxy said in kPeerHeader.
  bool connected = false;                      // There was an upstream connection.
};

struct RequestRecord {
  // Monotonic nanoseconds; 0: did not happen.
  int64_t start_ns = 0;
  int64_t start_wall_ns = 0;
  int64_t request_end_ns = 0;          // Last byte of the request received.
  int64_t upstream_first_sent_ns = 0;  // First byte of the request given to the upstream's connection.
  int64_t upstream_last_sent_ns = 0;
  int64_t upstream_first_received_ns = 0;
  int64_t upstream_last_received_ns = 0;
  int64_t downstream_first_sent_ns = 0;
  int64_t end_ns = 0;

  const http::RequestHead* request = nullptr;    // As forwarded (after filters); nullptr for TCP.
  const http::ResponseHead* response = nullptr;  // As sent downstream; nullptr if none was.
  const http::HeaderMap* response_trailers = nullptr;
  const http::Metadata* metadata = nullptr;  // What filters said of it.
  std::string_view original_path;            // As it came, before rewrites; empty: path() of `request`.
  std::string_view protocol;                 // "HTTP/1.1"; empty for TCP.
  uint16_t status = 0;                       // Sent downstream; 0: none.
  uint64_t request_head_bytes = 0;
  uint64_t request_body_bytes = 0;
  uint64_t response_head_bytes = 0;
  uint64_t response_body_bytes = 0;
  uint64_t upstream_sent_bytes = 0;
  uint64_t upstream_received_bytes = 0;

  http::Cause cause = http::Cause::kNone;
  std::string_view cause_detail;  // A sentence with the particulars, or empty.
  bool retried = false;
  bool retry_limit_exceeded = false;  // Flag URX beside the cause's own.
  uint32_t attempts = 0;

  std::string_view route_name;
  std::string_view virtual_host;
  std::string_view upstream_cluster;
  std::string_view upstream_host;  // "10.0.0.2:80"
  std::string_view upstream_local_address;
  std::string_view upstream_protocol;
  std::string_view upstream_transport_failure_reason;
  uint64_t upstream_connection_id = 0;
  PeerTexts downstream;
  PeerTexts upstream;
  std::string_view filter_chain_name;
  HopEnds ends;
};

}  // namespace weft::observe
