#pragma once

// Whether a certificate hangs from trusted roots, and by which path. Pure; any thread.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/ca/x509.h"

namespace weft::control::ca {

struct Anchors {
  std::vector<X509*> roots;
  // That may lead to them.
  std::vector<X509*> intermediates;
};

// The path, `leaf` first and a root last, all valid at `now_ms` and for OpenSSL's `purpose` (X509_PURPOSE_...).
// Unauthenticated says why there is none, in OpenSSL's words.
absl::StatusOr<std::vector<Certificate>> build_chain(X509& leaf, const Anchors& anchors, int purpose, int64_t now_ms);

}  // namespace weft::control::ca
