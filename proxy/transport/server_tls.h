#pragma once

#include <memory>

#include "proxy/transport/byte_stream.h"

// The TLS side of a filter chain: certificates, what is asked of clients, ALPN. Immutable, shared by all workers.

namespace weft::transport {

class ServerTls {
 public:
  virtual ~ServerTls() = default;
  // Wraps an accepted plain stream; bytes already read from it (by protocol detection) are in `early`. The result is
  // connected() after the handshake.
  virtual std::unique_ptr<ByteStream> accept(std::unique_ptr<ByteStream> plain, base::Buffer early) const = 0;
  // Its certificates and trusted CAs, for /certs.
  virtual std::vector<CertificateInfo> certificates() const { return {}; }
};

}  // namespace weft::transport
