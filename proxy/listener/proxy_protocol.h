#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "proxy/transport/byte_stream.h"

// The PROXY protocol, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt): the line or header with which
// a proxy before us says for whom it connected. A pure function of the bytes; strict: what is not exactly such a header
// is refused, for else a client could choose its own address.

namespace weft::listener {

// Version 2 says its own length; with its TLVs it may be no longer than this.
inline constexpr size_t kMaxProxyHeaderBytes = 16 * 1024;

struct ProxyHeader {
  // Family kNone: the header says that the connection is the proxy's own, or of no known kind; addresses stay as they
  // are.
  transport::Address source;
  transport::Address destination;
};

enum class ProxyState { kNeedMore, kDone, kInvalid };

struct ProxyResult {
  ProxyState state;
  size_t bytes = 0;        // kDone: how long the header is.
  const char* error = "";  // kInvalid: what is wrong.
};

ProxyResult parse_proxy_header(std::string_view bytes, ProxyHeader* header);

}  // namespace weft::listener
