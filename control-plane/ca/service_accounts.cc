#include "control-plane/ca/service_accounts.h"

#include <utility>

#include "api/text/cat.h"
#include "control-plane/base/log.h"
#include "control-plane/registry/format.h"

namespace weft::control::ca {

using text::cat;

namespace {

constexpr std::string_view kSubject = "system:serviceaccount:";

absl::Status refused(std::string_view what) {
  return absl::UnauthenticatedError(cat("the service account's token is refused: ", what));
}

}  // namespace

absl::Status ServiceAccounts::load() {
  const absl::StatusOr<std::string> json = fetch_();
  auto read = json.ok() ? read_jwks(*json, where_) : absl::StatusOr<std::vector<JsonWebKey>>(json.status());
  const std::lock_guard lock(mutex_);
  loaded_ms_ = clock_.monotonic_ms();
  if (!read.ok()) return read.status();
  keys_ = std::make_shared<const std::vector<JsonWebKey>>(*std::move(read));
  return absl::OkStatus();
}

ServiceAccounts::Keys ServiceAccounts::keys(int64_t* loaded_ms) const {
  const std::lock_guard lock(mutex_);
  *loaded_ms = loaded_ms_;
  return keys_;
}

absl::StatusOr<Identity> ServiceAccounts::verify(std::string_view token, const std::vector<JsonWebKey>& keys) const {
  const absl::StatusOr<JwtClaims> claims =
      verify_jwt(token, keys, {.issuer = issuer_, .audience = audience_, .now_ms = clock_.wall_ms()});
  if (!claims.ok()) return claims.status();
  std::string_view subject = claims->subject;
  if (!subject.starts_with(kSubject)) return refused("its subject (sub) is no service account");
  subject.remove_prefix(kSubject.size());
  const size_t colon = subject.find(':');
  if (colon == std::string_view::npos) return refused("its subject (sub) is no service account");
  Identity identity{.namespace_name = std::string(subject.substr(0, colon)),
                    .service_account = std::string(subject.substr(colon + 1))};
  if (!registry::is_dns_label(identity.namespace_name) || !is_service_account(identity.service_account)) {
    return refused("its subject (sub) is no service account");
  }
  const auto differs = [](const std::string& said, const std::string& is) { return !said.empty() && said != is; };
  if (differs(claims->kubernetes_namespace, identity.namespace_name) ||
      differs(claims->kubernetes_service_account, identity.service_account)) {
    return refused("its subject (sub) and its claim kubernetes.io name two");
  }
  return identity;
}

absl::StatusOr<Identity> ServiceAccounts::authenticate(std::string_view token) {
  int64_t loaded_ms = 0;
  Keys known = keys(&loaded_ms);
  absl::StatusOr<Identity> identity = verify(token, *known);
  const int64_t age_ms = clock_.monotonic_ms() - loaded_ms;
  const bool is_unknown = identity.status().code() == absl::StatusCode::kNotFound;
  const bool is_due = age_ms >= kFreshMs || (is_unknown && age_ms >= kLeastMs);
  std::unique_lock loading(loading_, std::try_to_lock);
  if (is_due && loading.owns_lock()) {
    const absl::Status loaded = load();
    if (!loaded.ok()) base::log_warning(cat("keys of service accounts stay as they were: ", loaded.message()));
    // What is known goes on being good while the issuer is away.
    if (!loaded.ok() && is_unknown)
      return absl::UnavailableError(cat("cannot verify service accounts: ", loaded.message()));
    known = keys(&loaded_ms);
    identity = verify(token, *known);
  } else if (is_due && is_unknown) {
    return absl::UnavailableError("the keys of service accounts are being fetched; try again");
  }
  if (identity.status().code() == absl::StatusCode::kNotFound) {
    return absl::UnauthenticatedError(identity.status().message());
  }
  return identity;
}

}  // namespace weft::control::ca
