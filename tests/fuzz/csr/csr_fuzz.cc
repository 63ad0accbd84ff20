#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control-plane/ca/csr.h"

// What a workload sends to have signed. Of whatever is taken, the key can stand in a certificate.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::control::ca;
  const absl::StatusOr<Key> key = read_request({reinterpret_cast<const char*>(data), size});
  if (!key.ok()) return 0;
  static EVP_PKEY* const issuer = make_key()->release();
  const CertificateDraft draft{.subject = {{NID_commonName, "fuzz"}}, .not_after_ms = 1'000'000};
  if (!make_certificate(draft, **key, nullptr, *issuer).ok()) abort();
  return 0;
}
