#include "control-plane/server/token_gate.h"

#include "api/text/cat.h"
#include "control-plane/base/log.h"
#include "control-plane/compile/node.h"

namespace weft::control::server {

namespace {

constexpr int64_t kTellEveryMs = 1'000;

}  // namespace

void TokenGate::tell(const absl::Status& refusal) {
  const std::lock_guard lock(mutex_);
  const int64_t now_ms = clock_.monotonic_ms();
  if (now_ms - told_ms_ < kTellEveryMs) {
    ++untold_;
    return;
  }
  const std::string others = untold_ == 0 ? "" : text::cat(" (and ", untold_, " others since the last that was told)");
  base::log_warning(text::cat("a stream is refused", others, ": ", refusal.message()));
  told_ms_ = now_ms;
  untold_ = 0;
}

absl::StatusOr<std::string> TokenGate::authenticate(std::string_view authorization) {
  absl::StatusOr<std::string> token = tokens_.authenticate(authorization);
  if (!token.ok()) tell(token.status());
  return token;
}

absl::Status TokenGate::admit(const std::string& token, const envoy::config::core::v3::Node& node) {
  const absl::StatusOr<compile::NodeClaims> claims = compile::read_node(node);
  if (!claims.ok()) return claims.status();
  absl::Status admitted = tokens_.admit(token, {claims->audience.namespace_name, claims->service, claims->id});
  if (!admitted.ok()) tell(admitted);
  return admitted;
}

}  // namespace weft::control::server
