#pragma once

// The certificate with which the control plane shows proxies that it is the one. Main thread, at the start.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/ca/digest.h"

namespace weft::control::ca {

struct ServerCertificate {
  // The leaf first.
  std::string certificate_pem;
  std::string key_pem;
  // SHA-256 of the leaf (DER).
  Digest fingerprint{};
};

// InvalidArgument if a file is not what it should be, or the key another's; NotFound if one cannot be read.
absl::StatusOr<ServerCertificate> load_certificate(const std::string& certificate_path, const std::string& key_path);

// xds.crt and xds.key in the folder; made, for ten years from `now_ms` (since the epoch), if they are not there: an
// ECDSA P-256 key that only its owner can read, and a certificate signed by itself for localhost and these names, which
// are DNS names or IP addresses. Clients that verify by a CA take the certificate itself for it.
absl::StatusOr<ServerCertificate> load_or_make_certificate(const std::string& folder,
                                                           const std::vector<std::string>& names, int64_t now_ms);

// The same for these names, kept nowhere.
absl::StatusOr<ServerCertificate> make_certificate(const std::vector<std::string>& names, int64_t now_ms);

}  // namespace weft::control::ca
