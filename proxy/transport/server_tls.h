#pragma once

#include <memory>

#include "proxy/transport/byte_stream.h"

// The TLS side of a filter chain: certificates, what is asked of clients, ALPN. Immutable, shared by all workers.

namespace weft::transport {

class SecretUse;

class ServerTls {
 public:
  virtual ~ServerTls() = default;
  // Wraps an accepted plain stream; bytes already read from it (by protocol detection) are in `early`. The result is
  // connected() after the handshake.
  virtual std::unique_ptr<ByteStream> accept(std::unique_ptr<ByteStream> plain, base::Buffer early) const = 0;
  // False: its secrets have not come yet, and accept() must not be called. Once true it stays so.
  virtual bool ready() const { return true; }
  // Of what it is made, if that comes and changes while it serves; nullptr otherwise.
  virtual SecretUse* secret_use() const { return nullptr; }
  // Its certificates and trusted CAs, for /certs.
  virtual std::vector<CertificateInfo> certificates() const { return {}; }
};

}  // namespace weft::transport
