#pragma once

// Lets streams in by join tokens: what a node says of itself must fit the token that it shows. Safe to call from any
// thread.

#include <mutex>

#include "control-plane/ca/tokens.h"
#include "control-plane/xds/gate.h"

namespace weft::control::server {

class TokenGate : public xds::Gate {
 public:
  // Both outlive it.
  TokenGate(ca::Tokens& tokens, base::Clock& clock) : tokens_(tokens), clock_(clock) {}

  absl::StatusOr<std::string> authenticate(std::string_view authorization) override;
  absl::Status admit(const std::string& token, const envoy::config::core::v3::Node& node) override;

 private:
  // Says it in the log, but for one who knocks again and again not each time.
  void tell(const absl::Status& refusal);

  ca::Tokens& tokens_;
  base::Clock& clock_;
  std::mutex mutex_;
  int64_t told_ms_ = INT64_MIN / 2;
  uint64_t untold_ = 0;
};

}  // namespace weft::control::server
