#pragma once

#include <compare>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

// A TLS context that is made of secrets which come, and change, while the process runs, as who brings the secrets sees
// it. Part of the ServerTls or Connector that shows the context; the main thread's alone.

namespace weft::transport {

// A secret as it came: a serialised envoy.extensions.transport_sockets.tls.v3.Secret, and by path what the files held
// that it names.
struct SecretText {
  std::string secret;
  std::map<std::string, std::string> files;
};

// Where a secret comes from: a serialised ConfigSource, and its name there. With an empty source the name is the secret
// itself, serialised: it is known, and the files that it names are watched.
struct SecretName {
  std::string source;
  std::string name;
  auto operator<=>(const SecretName&) const = default;
  bool is_local() const { return source.empty(); }
};

class SecretUse {
 public:
  virtual ~SecretUse() = default;
  virtual const std::vector<SecretName>& secret_names() const = 0;
  // Makes a context of the secrets, in the order of secret_names(), which commit() puts in force. An error says what of
  // them does not fit; nothing has changed then.
  virtual absl::Status prepare(const std::vector<const SecretText*>& secrets) = 0;
  // New handshakes, of all workers, use what was prepared; connections that are there go on. Once after each prepare()
  // that is to count.
  virtual void commit() = 0;
  // A context is in force.
  virtual bool has_context() const = 0;
};

}  // namespace weft::transport
