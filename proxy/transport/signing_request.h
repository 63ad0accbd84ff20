#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// A key that this process makes for itself, the request to have it certified (RFC 2986), and what an authority answers
// to that. Any thread.

namespace weft::transport {

struct SigningRequest {
  std::string private_key_pem;  // PKCS #8; a secret.
  std::string csr;              // DER
};

// A new ECDSA key on P-256, and a request signed by it that names nobody: who asks is shown otherwise. Errors: the
// library's.
absl::StatusOr<SigningRequest> make_signing_request();

struct IssuedCertificate {
  std::string chain_pem;     // Leaf first.
  std::string uri;           // The leaf's only URI name.
  std::string serial;        // hex
  int64_t not_before_s = 0;  // Since 1970.
  int64_t not_after_s = 0;
};

// `chain`: DER, the leaf first. An error says what of it does not fit the key, or a workload's certificate.
absl::StatusOr<IssuedCertificate> read_issued(const std::vector<std::string>& chain,
                                              const std::string& private_key_pem);

// Overwrites it before it is let go.
void wipe(std::string& secret);

}  // namespace weft::transport
