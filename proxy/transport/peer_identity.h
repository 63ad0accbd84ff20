#pragma once

#include "proxy/transport/byte_stream.h"

// Who the peer of a connection is, by its certificate. Any thread that may look at the stream.

namespace weft::transport {

inline constexpr std::string_view kSpiffeScheme = "spiffe://";

// The peer's SPIFFE ID, as "spiffe://cluster.local/ns/shop/sa/cart". Empty: the connection is plain, the peer showed no
// certificate or one that was not verified, or its certificate is none of a workload's: that has exactly one URI as
// name (X509-SVID, 2). Lives as long as the stream.
inline std::string_view peer_identity(const ConnectionInfo& info) {
  if (info.tls == nullptr || !info.tls->peer_verified || info.tls->peer_uri_sans.size() != 1) return {};
  std::string_view name = info.tls->peer_uri_sans.front();
  return name.starts_with(kSpiffeScheme) ? name : std::string_view();
}

}  // namespace weft::transport
