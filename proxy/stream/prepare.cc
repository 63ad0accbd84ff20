#include "proxy/stream/prepare.h"

#include <algorithm>
#include <cstring>

#include "proxy/stream/canonical_path.h"

namespace weft::stream {
namespace {

using http::HeaderId;

void strip_port(http::RequestHead& request, bool is_tls, bool any) {
  std::string_view authority = request.authority;
  size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) return;
  std::string_view port = authority.substr(colon + 1);
  if (any || port == (is_tls ? "443" : "80")) request.authority = authority.substr(0, colon);
}

std::string_view make_request_id(base::Random& random, base::Arena& arena) {
  // A random UUID (RFC 9562, version 4).
  char* out = static_cast<char*>(arena.allocate(36, 1));
  constexpr char kHex[] = "0123456789abcdef";
  uint64_t words[2] = {random.next(), random.next()};
  unsigned char bytes[16];
  std::memcpy(bytes, words, sizeof(bytes));
  bytes[6] = static_cast<unsigned char>(0x40 | (bytes[6] & 0x0f));
  bytes[8] = static_cast<unsigned char>(0x80 | (bytes[8] & 0x3f));
  char* at = out;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
    *at++ = kHex[bytes[i] >> 4];
    *at++ = kHex[bytes[i] & 15];
  }
  return {out, 36};
}

// The address `hops` from the right end of x-forwarded-for (0: the last); empty if there are not so many.
std::string_view forwarded_address(std::string_view list, uint32_t hops) {
  while (true) {
    size_t comma = list.rfind(',');
    std::string_view last = comma == std::string_view::npos ? list : list.substr(comma + 1);
    while (!last.empty() && last.front() == ' ') last.remove_prefix(1);
    while (!last.empty() && last.back() == ' ') last.remove_suffix(1);
    if (hops == 0) return last;
    if (comma == std::string_view::npos) return {};
    list = list.substr(0, comma);
    --hops;
  }
}

// Whether the client counts as one of ours. `own`: the address is that of the connection's peer, and if it is no IP
// address then a Unix socket's; what a header says is never believed to be one.
bool is_internal(const snapshot::HttpConnectionManager& http, std::string_view client, bool own) {
  if (http.internal_ranges.empty() && !http.internal_unix_sockets) return false;
  transport::Address address = transport::Address::parse_ip(client, 0);
  if (address.family == transport::Address::Family::kNone) return http.internal_unix_sockets && own;
  return std::any_of(http.internal_ranges.begin(), http.internal_ranges.end(),
                     [&](const auto& range) { return address.is_within(range.address, range.prefix_bits); });
}

void sanitize(const snapshot::HttpConnectionManager& http, bool internal, http::HeaderMap& headers) {
  headers.remove(HeaderId::kXEnvoyAttemptCount);
  // At the edge outsiders do not steer the router (forward/caller).
  if (http.use_remote_address && !internal) {
    for (HeaderId id : {HeaderId::kXEnvoyRetryOn, HeaderId::kXEnvoyRetryGrpcOn, HeaderId::kXEnvoyMaxRetries,
                        HeaderId::kXEnvoyUpstreamRqTimeoutMs, HeaderId::kXEnvoyUpstreamRqPerTryTimeoutMs}) {
      headers.remove(id);
    }
    headers.remove("x-envoy-retriable-status-codes");
  }
  if (internal) {
    headers.set(HeaderId::kXEnvoyInternal, "true");
  } else {
    // What only a proxy of ours may say.
    for (HeaderId id : {HeaderId::kXEnvoyInternal, HeaderId::kXEnvoyDecoratorOperation,
                        HeaderId::kXEnvoyExternalAddress, HeaderId::kXEnvoyOriginalPath}) {
      headers.remove(id);
    }
  }
  if (!http.respect_expected_rq_timeout) headers.remove(HeaderId::kXEnvoyExpectedRqTimeoutMs);
}

void forward_client_certificate(const PrepareInput& input, http::HeaderMap& headers) {
  using Mode = snapshot::ForwardClientCert;
  Mode mode = input.http.forward_client_cert;
  if (mode == Mode::kAlwaysForwardOnly) return;
  if (mode == Mode::kSanitize || input.peer.peer_fingerprint_256.empty()) {
    headers.remove(HeaderId::kXForwardedClientCert);
    return;
  }
  if (mode == Mode::kForwardOnly) return;
  std::string_view element = input.client_certificate;
  std::string_view before = headers.value(HeaderId::kXForwardedClientCert);
  if (mode == Mode::kAppendForward && !before.empty()) element = headers.arena().concat(before, ",", element);
  headers.set(HeaderId::kXForwardedClientCert, element);
}

}  // namespace

Prepared prepare_request(const PrepareInput& input, http::RequestHead& request) {
  const auto& http = input.http;
  http::HeaderMap& headers = request.headers;
  base::Arena& arena = headers.arena();
  Prepared prepared;
  auto refuse = [&](std::string_view detail) {
    prepared.refused = http::Cause::kBadRequest;
    prepared.detail = detail;
    return prepared;
  };

  if (request.authority.empty()) return refuse("the request has no host");
  if (http.strip_trailing_host_dot && request.authority.ends_with('.')) request.authority.remove_suffix(1);
  if (http.strip_any_host_port || http.strip_matching_host_port) {
    strip_port(request, input.is_tls, http.strip_any_host_port);
  }

  bool has_path = !request.path.empty() && request.path[0] == '/';
  if (has_path) {
    const PathRules rules = {http.normalize_path, http.merge_slashes, http.escaped_slashes};
    CanonicalPath canonical = canonical_path(request.path, rules, arena);
    if (!canonical.refused.empty()) return refuse(canonical.refused);
    request.path = canonical.path;
    if (canonical.redirects) prepared.redirect_to = canonical.path;
  }

  std::string_view forwarded_for;
  headers.joined_value(HeaderId::kXForwardedFor, &forwarded_for);
  prepared.remote_ip = input.peer.remote_ip;
  bool from_header = !forwarded_for.empty() && (!http.use_remote_address || http.xff_trusted_hops > 0);
  if (from_header) {
    uint32_t hops = http.xff_trusted_hops - (http.use_remote_address ? 1 : 0);
    std::string_view trusted = forwarded_address(forwarded_for, hops);
    if (!trusted.empty()) prepared.remote_ip = trusted;
  }
  // One address alone can be a client of ours: that of the connection, or the only one that a proxy before us has told.
  bool only_address = http.use_remote_address ? forwarded_for.empty()
                                              : from_header && forwarded_for.find(',') == std::string_view::npos;
  bool internal = only_address && is_internal(http, prepared.remote_ip, !from_header);
  sanitize(http, internal, headers);
  if (http.use_remote_address) {
    if (!http.skip_xff_append && !input.peer.remote_ip.empty()) {
      headers.set(HeaderId::kXForwardedFor, forwarded_for.empty()
                                                ? input.peer.remote_ip
                                                : arena.concat(forwarded_for, ",", input.peer.remote_ip));
    }
    if (!internal) headers.set(HeaderId::kXEnvoyExternalAddress, prepared.remote_ip);
  }
  if (!http.user_agent.empty()) {
    headers.set("x-envoy-downstream-service-cluster", http.user_agent);
    if (headers.value(HeaderId::kUserAgent).empty()) headers.set(HeaderId::kUserAgent, http.user_agent);
    if (!http.node_name.empty()) headers.set("x-envoy-downstream-service-node", http.node_name);
  }

  std::string_view scheme = input.is_tls ? "https" : "http";
  bool keep_proto = headers.has(HeaderId::kXForwardedProto) && !(http.use_remote_address && http.xff_trusted_hops == 0);
  if (!keep_proto) headers.set(HeaderId::kXForwardedProto, scheme);
  if (!http.scheme_overwrite.empty()) {
    request.scheme = http.scheme_overwrite;
  } else if (request.scheme.empty()) {
    std::string_view proto = headers.value(HeaderId::kXForwardedProto);
    request.scheme = proto == "https" || proto == "http" ? proto : scheme;
  }

  if (http.generate_request_id) {
    bool keep = headers.has(HeaderId::kXRequestId) && (!http.use_remote_address || http.preserve_external_request_id);
    if (!keep) headers.set(HeaderId::kXRequestId, make_request_id(input.random, arena));
  }
  forward_client_certificate(input, headers);
  if (!http.via.empty()) {
    std::string_view via = headers.value(HeaderId::kVia);
    headers.set(HeaderId::kVia, via.empty() ? std::string_view(http.via) : arena.concat(via, ", ", http.via));
  }
  return prepared;
}

}  // namespace weft::stream
