#include "control-plane/server/admission.h"

#include <algorithm>
#include <string>
#include <utility>

#include "api/text/cat.h"
#include "api/token/join_token.h"
#include "control-plane/base/log.h"
#include "control-plane/ca/origin.h"
#include "control-plane/registry/visibility.h"

namespace weft::control::server {

using text::cat;
using xds::Credential;

namespace {

constexpr int64_t kTellEveryMs = 1'000;

}  // namespace

void Admission::tell(const absl::Status& refusal) {
  const std::lock_guard lock(mutex_);
  const int64_t now_ms = clock_.monotonic_ms();
  if (now_ms - told_ms_ < kTellEveryMs) {
    ++untold_;
    return;
  }
  const std::string others = untold_ == 0 ? "" : cat(" (and ", untold_, " others since the last that was told)");
  base::log_warning(cat("a node is refused", others, ": ", refusal.message()));
  told_ms_ = now_ms;
  untold_ = 0;
}

absl::Status Admission::refuse(Reason reason, absl::StatusCode code, const std::string& message) {
  const std::lock_guard lock(mutex_);
  ++refused_[static_cast<size_t>(reason)];
  return {code, message};
}

void Admission::set_model(registry::ModelPointer model) {
  const std::lock_guard lock(mutex_);
  model_ = std::move(model);
}

bool Admission::is_account_of(const std::string& account, const registry::ServiceName& service) const {
  registry::ModelPointer model;
  {
    const std::lock_guard lock(mutex_);
    model = model_;
  }
  const auto known = model == nullptr ? nullptr : model->services.find(service);
  if (known == nullptr) return account == service.name;
  return std::find(known->service_accounts.begin(), known->service_accounts.end(), account) !=
         known->service_accounts.end();
}

absl::StatusOr<Credential> Admission::authenticate_certificate(const xds::Shown& shown) {
  const auto unauthenticated = [this](const std::string& message) {
    return refuse(Reason::kCertificate, absl::StatusCode::kUnauthenticated, message);
  };
  absl::StatusOr<ca::Authority::Peer> peer = authority_.verify(shown.certificate_pem, shown.chain_pem);
  if (!peer.ok()) return unauthenticated(std::string(peer.status().message()));
  const std::string who = ca::spiffe_id(authority_.trust_domain(), peer->identity);
  if (peer->origin == ca::kSecretOrigin) {
    return unauthenticated(cat("the certificate of ", who,
                               " was sent by discovery together with its key; such a node comes in by what it came in "
                               "with first"));
  }
  const std::optional<std::string> token = ca::token_of_origin(peer->origin);
  if (token.has_value() && tokens_.is_revoked(*token)) {
    return unauthenticated(cat("the certificate of ", who, " is from the join token ", *token, ", which was revoked"));
  }
  return Credential{.kind = Credential::Kind::kCertificate,
                    .origin = std::move(peer->origin),
                    .namespace_name = std::move(peer->identity.namespace_name),
                    .service_account = std::move(peer->identity.service_account),
                    .ends_ms = peer->not_after_ms};
}

absl::StatusOr<Credential> Admission::authenticate_account(std::string_view token) {
  absl::StatusOr<ca::Identity> identity = accounts_->authenticate(token);
  if (!identity.ok()) {
    return refuse(Reason::kServiceAccount, identity.status().code(), std::string(identity.status().message()));
  }
  return Credential{.kind = Credential::Kind::kServiceAccount,
                    .origin = std::string(ca::kKubernetesOrigin),
                    .namespace_name = std::move(identity->namespace_name),
                    .service_account = std::move(identity->service_account)};
}

absl::StatusOr<Credential> Admission::authenticate_header(const xds::Shown& shown) {
  const std::optional<std::string_view> bearer = ca::bearer_of(shown.authorization);
  if (accounts_ != nullptr && bearer.has_value() && !bearer->starts_with(token::kPrefix)) {
    return authenticate_account(*bearer);
  }
  absl::StatusOr<std::string> token = tokens_.authenticate(shown.authorization);
  if (!token.ok()) return token.status();
  return Credential{.kind = Credential::Kind::kToken,
                    .origin = ca::token_origin(*token),
                    .namespace_name = {},
                    .service_account = {}};
}

absl::StatusOr<Credential> Admission::authenticate(const xds::Shown& shown) {
  absl::StatusOr<Credential> credential = absl::UnauthenticatedError("");
  if (!shown.certificate_pem.empty()) credential = authenticate_certificate(shown);
  const bool is_left = shown.certificate_pem.empty() || !shown.authorization.empty();
  if (!credential.ok() && is_left) credential = authenticate_header(shown);
  if (!credential.ok()) tell(credential.status());
  return credential;
}

absl::Status Admission::admit(const Credential& credential, const compile::NodeClaims& claims) {
  const std::string& space = claims.audience.namespace_name;
  if (credential.kind == Credential::Kind::kToken) {
    if (claims.service_account != claims.service) {
      return refuse(Reason::kIdentity, absl::StatusCode::kPermissionDenied,
                    cat("node.metadata.service_account: ", claims.service_account,
                        "; who joins by a token runs as his service's account, \"", claims.service, "\""));
    }
    return tokens_.admit(*ca::token_of_origin(credential.origin), {space, claims.service, claims.id});
  }
  const auto denied = [&](const std::string& says) {
    const std::string who =
        ca::spiffe_id(authority_.trust_domain(), {credential.namespace_name, credential.service_account});
    return refuse(Reason::kIdentity, absl::StatusCode::kPermissionDenied,
                  cat("node \"", claims.id, "\" is ", who, ", and says that it ", says));
  };
  if (space != credential.namespace_name) return denied(cat("belongs to the namespace ", space));
  if (!claims.service_account.empty() && claims.service_account != credential.service_account) {
    return denied(cat("runs as the service account ", claims.service_account));
  }
  // Else whoever has an account of the namespace could take the traffic of each of its services.
  if (!claims.service.empty() && !is_account_of(credential.service_account, {space, claims.service})) {
    return denied(cat("belongs to the service ", claims.service, ", whose accounts (its own name, or its annotation ",
                      std::string(registry::kServiceAccountsAnnotation), ") are others"));
  }
  return absl::OkStatus();
}

absl::Status Admission::admit(const Credential& credential, const envoy::config::core::v3::Node& node) {
  const absl::StatusOr<compile::NodeClaims> claims = compile::read_node(node);
  if (!claims.ok()) return claims.status();
  absl::Status admitted = admit(credential, *claims);
  if (!admitted.ok()) tell(admitted);
  return admitted;
}

absl::StatusOr<ca::Identity> Admission::identify(const Credential& credential,
                                                 const envoy::config::core::v3::Node& node) {
  const absl::StatusOr<compile::NodeClaims> claims = compile::read_node(node);
  if (!claims.ok()) return claims.status();
  if (credential.kind == Credential::Kind::kToken && claims->service.empty()) {
    return absl::InvalidArgumentError(
        "node.metadata.service: is missing; expected the workload's service, whose name is its service account");
  }
  absl::Status admitted = admit(credential, *claims);
  if (!admitted.ok()) {
    tell(admitted);
    return admitted;
  }
  if (credential.kind == Credential::Kind::kToken) {
    return ca::Identity{claims->audience.namespace_name, claims->service};
  }
  return ca::Identity{credential.namespace_name, credential.service_account};
}

std::vector<std::pair<std::string_view, uint64_t>> Admission::refused() const {
  std::vector<std::pair<std::string_view, uint64_t>> out;
  const auto of_tokens = tokens_.refused();
  for (size_t i = 0; i < of_tokens.size(); ++i) out.emplace_back(ca::kRefusalNames[i], of_tokens[i]);
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < refused_.size(); ++i) out.emplace_back(kReasonNames[i], refused_[i]);
  return out;
}

}  // namespace weft::control::server
