#include "control-plane/server/node_secrets.h"

#include <algorithm>

#include "api/text/cat.h"
#include "control-plane/base/log.h"
#include "control-plane/ca/origin.h"
#include "control-plane/compile/node.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"

namespace weft::control::server {

namespace {

namespace tls = envoy::extensions::transport_sockets::tls::v3;

// Until what could not be made is tried again.
constexpr int64_t kRetryMs = 10'000;

snapshot::ResourcePointer roots_resource(const std::string& roots_pem) {
  tls::Secret secret;
  secret.set_name(kRootsSecret);
  secret.mutable_validation_context()->mutable_trusted_ca()->set_inline_string(roots_pem);
  return snapshot::make_resource(snapshot::Type::kSecret, kRootsSecret, secret);
}

snapshot::ResourcePointer pair_resource(const ca::Authority::MadePair& pair) {
  tls::Secret secret;
  secret.set_name(kOwnSecret);
  tls::TlsCertificate* certificate = secret.mutable_tls_certificate();
  certificate->mutable_certificate_chain()->set_inline_string(pair.chain_pem);
  certificate->mutable_private_key()->set_inline_string(pair.key_pem);
  return snapshot::make_resource(snapshot::Type::kSecret, kOwnSecret, secret);
}

}  // namespace

void NodeSecrets::set_roots(const std::string& roots_pem) { mesh_.set_roots(roots_resource(roots_pem)); }

absl::StatusOr<const snapshot::View*> NodeSecrets::acquire(const envoy::config::core::v3::Node& node) {
  absl::StatusOr<const snapshot::View*> view = views_.acquire(node);
  if (!view.ok() || authority_ == nullptr) return view;
  const absl::StatusOr<compile::NodeClaims> claims = compile::read_node(node);
  // gRPC's clients share views, and ask for no secrets.
  if (!claims.ok() || claims->audience.is_grpc_client || claims->service_account.empty()) return view;
  owners_[*view] = {.identity = {claims->audience.namespace_name, claims->service_account}, .node = claims->id};
  return view;
}

void NodeSecrets::release(const snapshot::View& view) {
  if (const auto owner = owners_.find(&view); owner != owners_.end()) {
    renewals_.erase({owner->second.renew_at_ms, &view});
    owners_.erase(owner);
  }
  views_.release(view);
}

void NodeSecrets::heard(const snapshot::View& view, snapshot::Type type, const xds::Subscription& subscription) {
  views_.heard(view, type, subscription);
  if (type != snapshot::Type::kSecret || !subscription.names().contains(kOwnSecret)) return;
  const auto owner = owners_.find(&view);
  if (owner != owners_.end() && owner->second.renew_at_ms == 0) give(view, owner->second);
}

void NodeSecrets::running(const snapshot::View& view, snapshot::Type type, const xds::Running& running) {
  views_.running(view, type, running);
}

void NodeSecrets::reported(const snapshot::View& view, const v1::ReportRequest& report) {
  views_.reported(view, report);
}

void NodeSecrets::give(const snapshot::View& view, Owner& owner) {
  renewals_.erase({owner.renew_at_ms, &view});
  const absl::StatusOr<ca::Authority::MadePair> pair = authority_->make_pair({.identity = owner.identity,
                                                                              .node = owner.node,
                                                                              .peer = "",
                                                                              .origin = std::string(ca::kSecretOrigin),
                                                                              .shown = "secret"});
  if (pair.ok()) {
    mesh_.set_secret(view, pair_resource(*pair));
    owner.renew_at_ms = pair->signed_.renew_at_ms;
  } else {
    base::log_error(text::cat("node \"", owner.node, "\" gets no certificate: ", pair.status().message()));
    owner.renew_at_ms = clock_.wall_ms() + kRetryMs;
  }
  renewals_.insert({owner.renew_at_ms, &view});
}

void NodeSecrets::advance() {
  const int64_t now_ms = clock_.wall_ms();
  while (!renewals_.empty() && renewals_.begin()->first <= now_ms) {
    const snapshot::View* view = renewals_.begin()->second;
    give(*view, owners_.at(view));
  }
}

std::optional<int64_t> NodeSecrets::due_ms() const {
  if (renewals_.empty()) return std::nullopt;
  return clock_.monotonic_ms() + std::max<int64_t>(0, renewals_.begin()->first - clock_.wall_ms());
}

}  // namespace weft::control::server
