#pragma once

// Who comes in, to discovery and to have a certificate signed, by what he shows: a join token, a certificate of the
// mesh, or a Kubernetes service account's token. What a node says of itself must fit it. Safe to call from any thread.

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "control-plane/ca/authority.h"
#include "control-plane/ca/service_accounts.h"
#include "control-plane/ca/tokens.h"
#include "control-plane/compile/node.h"
#include "control-plane/registry/model.h"
#include "control-plane/xds/gate.h"

namespace weft::control::server {

class Admission : public xds::Gate {
 public:
  // All outlive it; without service accounts (null) none is taken.
  Admission(ca::Tokens& tokens, ca::Authority& authority, ca::ServiceAccounts* accounts, base::Clock& clock)
      : tokens_(tokens), authority_(authority), accounts_(accounts), clock_(clock) {}

  // The services of the newest model, which say whose accounts are theirs.
  void set_model(registry::ModelPointer model);

  // A certificate counts before a token; one that is none of the mesh, or has ended, is as if there were none where
  // there is a token.
  absl::StatusOr<xds::Credential> authenticate(const xds::Shown& shown) override;
  // Namespace, service and service account of the node's metadata must be what the credential is for.
  absl::Status admit(const xds::Credential& credential, const envoy::config::core::v3::Node& node) override;
  // Admits the node, and says for whom a certificate is signed. A node that comes by a join token is its service's
  // account, and must name the service.
  absl::StatusOr<ca::Identity> identify(const xds::Credential& credential, const envoy::config::core::v3::Node& node);

  // How many were refused since the start, by reason.
  std::vector<std::pair<std::string_view, uint64_t>> refused() const;

 private:
  enum class Reason : uint8_t { kCertificate, kServiceAccount, kIdentity };
  static constexpr std::array<std::string_view, 3> kReasonNames = {"certificate", "service account", "identity"};

  absl::StatusOr<xds::Credential> authenticate_certificate(const xds::Shown& shown);
  absl::StatusOr<xds::Credential> authenticate_account(std::string_view token);
  absl::StatusOr<xds::Credential> authenticate_header(const xds::Shown& shown);
  absl::Status admit(const xds::Credential& credential, const compile::NodeClaims& claims);
  // Whether workloads of the service run as the account.
  bool is_account_of(const std::string& account, const registry::ServiceName& service) const;
  absl::Status refuse(Reason reason, absl::StatusCode code, const std::string& message);
  // Says it in the log, but for one who knocks again and again not each time.
  void tell(const absl::Status& refusal);

  ca::Tokens& tokens_;
  ca::Authority& authority_;
  ca::ServiceAccounts* const accounts_;
  base::Clock& clock_;
  mutable std::mutex mutex_;
  std::array<uint64_t, kReasonNames.size()> refused_{};
  // Null until there is one.
  registry::ModelPointer model_;
  int64_t told_ms_ = INT64_MIN / 2;
  uint64_t untold_ = 0;
};

}  // namespace weft::control::server
