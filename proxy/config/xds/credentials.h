#pragma once

#include <string>

// How calls to control planes show who the process is, where that changes while it runs: by the certificate of their
// connections, or by a token. Main thread.

namespace weft::config::xds {

class Credentials {
 public:
  // Connections that are made now show a certificate, and calls need no token.
  virtual bool certified() const = 0;
  // What takes the place of the token in the calls' metadata; empty: that one stays.
  virtual std::string token() const = 0;
  // A call that was made by these ended with this status of gRPC's before it was answered.
  virtual void failed(int status) = 0;

 protected:
  ~Credentials() = default;
};

}  // namespace weft::config::xds
