#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/proxy/transport/test_certificates.h"

// An authority of tests that certifies the keys of signing requests.

namespace weft::transport::testing {

class TestAuthority {
 public:
  // The chain, DER, for the key of a request (DER), valid between these seconds since 1970. `sans` as TestCertificate.
  std::vector<std::string> issue(const std::string& csr, const std::string& sans, int64_t not_before_s,
                                 int64_t not_after_s) const;
  const TestCertificate& root() const { return root_; }

 private:
  TestCertificate root_{"Test CA", "", nullptr, KeyKind::kEcdsa, true};
};

}  // namespace weft::transport::testing
