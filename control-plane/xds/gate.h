#pragma once

// Who may open a stream. Implementations are safe to call from any thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace envoy::config::core::v3 {
class Node;
}  // namespace envoy::config::core::v3

namespace weft::control::xds {

// What a caller shows of himself; what he does not is empty.
struct Shown {
  std::string_view authorization;
  // The certificate of his end of the connection, which he has shown to have the key of, and those he sent after it;
  // PEM.
  std::string_view certificate_pem;
  std::string_view chain_pem;
};

// What was found good of it.
struct Credential {
  enum class Kind : uint8_t { kNone, kToken, kCertificate, kServiceAccount };
  Kind kind = Kind::kNone;
  // By what the caller came in first (control-plane/ca/origin.h). Streams of one origin can be ended together.
  std::string origin;
  // Whom it names; of a join token both are empty, and what the node says of itself is checked against the token.
  std::string namespace_name;
  std::string service_account;
  // Since the epoch: a stream lives no longer by it. 0: it does not end.
  int64_t ends_ms = 0;
};

class Gate {
 public:
  virtual ~Gate() = default;
  // On an error, which says what is wrong, the stream is ended with it.
  virtual absl::StatusOr<Credential> authenticate(const Shown& shown) = 0;
  // Whether the node of the stream's first message may come in by it.
  virtual absl::Status admit(const Credential& credential, const envoy::config::core::v3::Node& node) = 0;
};

}  // namespace weft::control::xds
