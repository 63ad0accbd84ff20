#include "control-plane/ca/tokens.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/token/join_token.h"
#include "control-plane/ca/authority.h"
#include "control-plane/registry/format.h"

namespace weft::control::ca {

namespace {

constexpr char kScheme[] = "bearer ";

static_assert(Tokens::kRememberedMs > Authority::kMaxTtlMs);

std::string time_text(int64_t ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixMillis(ms), absl::UTCTimeZone());
}

std::string_view secret_of(const token::JoinToken& token) {
  return {reinterpret_cast<const char*>(token.secret.data()), token.secret.size()};
}

absl::Status check(const Tokens::Request& request) {
  if (!registry::is_dns_label(request.namespace_name)) {
    return absl::InvalidArgumentError(absl::StrCat("the namespace is \"", request.namespace_name,
                                                   "\"; expected a name of lower-case letters, digits and '-'"));
  }
  if (!request.service.empty() && !registry::is_dns_label(request.service)) {
    return absl::InvalidArgumentError(absl::StrCat("the service is \"", request.service,
                                                   "\"; expected a name of lower-case letters, digits and '-'"));
  }
  if (request.ttl_ms <= 0 || request.ttl_ms > Tokens::kMaxTtlMs) {
    return absl::InvalidArgumentError("the time to live must be above 0 and at most 87600h, ten years");
  }
  if (request.uses > Tokens::kMaxNodes) {
    return absl::InvalidArgumentError(absl::StrCat("of uses at most ", Tokens::kMaxNodes, " are possible"));
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<std::string_view> bearer_of(std::string_view authorization) {
  const std::string_view scheme(kScheme);
  const bool is_bearer = authorization.size() > scheme.size() &&
                         absl::AsciiStrToLower(std::string(authorization.substr(0, scheme.size()))) == scheme;
  if (!is_bearer) return std::nullopt;
  return authorization.substr(scheme.size());
}

absl::StatusOr<std::unique_ptr<Tokens>> Tokens::create(std::unique_ptr<TokenStore> store, base::Clock& clock,
                                                       base::RandomBytes random) {
  std::unique_ptr<Tokens> tokens(new Tokens(std::move(store), clock, std::move(random)));
  absl::StatusOr<std::vector<TokenRecord>> records = tokens->store_->load_tokens();
  if (!records.ok()) return records.status();
  for (TokenRecord& record : *records) {
    std::string id = record.id;
    tokens->tokens_[std::move(id)].record = std::move(record);
  }
  absl::StatusOr<std::vector<JoinedNode>> nodes = tokens->store_->load_nodes();
  if (!nodes.ok()) return nodes.status();
  for (JoinedNode& node : *nodes) {
    const auto token = tokens->tokens_.find(node.token);
    if (token != tokens->tokens_.end()) token->second.nodes.insert(std::move(node.node));
  }
  if (absl::Status status = tokens->forget_old(); !status.ok()) return status;
  return tokens;
}

absl::Status Tokens::forget_old() {
  const int64_t before_ms = clock_.wall_ms() - kRememberedMs;
  std::vector<std::string> old;
  for (const auto& [id, entry] : tokens_) {
    const TokenRecord& record = entry.record;
    const bool is_revoked = record.revoked_ms != 0 && record.revoked_ms < before_ms;
    // Who came in by it may come back.
    const bool is_unused = record.expires_ms < before_ms && entry.nodes.empty();
    if (is_revoked || is_unused) old.push_back(id);
  }
  if (old.empty()) return absl::OkStatus();
  if (absl::Status status = store_->remove(old); !status.ok()) return status;
  for (const std::string& id : old) tokens_.erase(id);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Tokens::issue(const Request& request, const Digest& fingerprint) {
  if (absl::Status status = check(request); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  if (absl::Status status = forget_old(); !status.ok()) return status;
  if (tokens_.size() >= kMaxTokens) {
    return absl::ResourceExhaustedError(absl::StrCat("there are ", kMaxTokens, " tokens already"));
  }
  token::JoinToken token;
  uint8_t id[token::kIdBytes];
  random_(id, sizeof(id));
  random_(token.secret.data(), token.secret.size());
  token.id = to_hex(id, sizeof(id));
  token.fingerprint = fingerprint;
  const int64_t now_ms = clock_.wall_ms();
  TokenRecord record{.id = token.id,
                     .secret_sha256 = sha256(secret_of(token)),
                     .namespace_name = request.namespace_name,
                     .service = request.service,
                     .created_ms = now_ms,
                     .expires_ms = now_ms + request.ttl_ms,
                     .uses = request.uses == 0 ? kMaxNodes : request.uses,
                     .revoked_ms = 0};
  if (absl::Status status = store_->put(record); !status.ok()) return status;
  tokens_[token.id] = {std::move(record), {}};
  return token::to_text(token);
}

absl::Status Tokens::revoke(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    const auto token = tokens_.find(id);
    if (token == tokens_.end()) {
      return absl::NotFoundError(absl::StrCat("there is no token \"", id, "\"; `weftctl token list` shows all"));
    }
    if (token->second.record.revoked_ms == 0) {
      TokenRecord record = token->second.record;
      record.revoked_ms = clock_.wall_ms();
      if (absl::Status status = store_->put(record); !status.ok()) return status;
      token->second.record = std::move(record);
    }
  }
  if (on_revoked_) on_revoked_(id);
  return absl::OkStatus();
}

bool Tokens::is_revoked(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto token = tokens_.find(id);
  return token != tokens_.end() && token->second.record.revoked_ms != 0;
}

std::string_view Tokens::state_of(const Entry& entry) const {
  if (entry.record.revoked_ms != 0) return "revoked";
  if (clock_.wall_ms() >= entry.record.expires_ms) return "expired";
  return entry.nodes.size() >= entry.record.uses ? "used up" : "active";
}

std::vector<Tokens::Listed> Tokens::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Listed> out;
  for (const auto& [id, entry] : tokens_) out.push_back({entry.record, state_of(entry), entry.nodes.size()});
  std::sort(out.begin(), out.end(), [](const Listed& a, const Listed& b) {
    return std::tie(a.record.created_ms, a.record.id) < std::tie(b.record.created_ms, b.record.id);
  });
  return out;
}

absl::Status Tokens::refuse(Refusal refusal, absl::StatusCode code, const std::string& message) {
  ++refused_[static_cast<size_t>(refusal)];
  return {code, message};
}

absl::StatusOr<std::string> Tokens::authenticate(std::string_view authorization) {
  const std::lock_guard lock(mutex_);
  const auto unauthenticated = [this](Refusal refusal, const std::string& message) {
    return refuse(refusal, absl::StatusCode::kUnauthenticated, message);
  };
  const std::optional<std::string_view> bearer = bearer_of(authorization);
  if (!bearer.has_value()) {
    return unauthenticated(Refusal::kNoToken,
                           "a join token is missing; expected the metadata authorization: Bearer TOKEN, with what "
                           "`weftctl token create` printed, or a certificate of the mesh");
  }
  const absl::StatusOr<token::JoinToken> shown = token::parse(*bearer);
  if (!shown.ok()) return unauthenticated(Refusal::kNoSuchToken, std::string(shown.status().message()));
  const auto known = tokens_.find(shown->id);
  // Whether there is such an id takes as long to tell as whether the secret is right, and is not told apart.
  const Digest secret = sha256(secret_of(*shown));
  const Digest expected = known == tokens_.end() ? Digest() : known->second.record.secret_sha256;
  if (!equal(secret, expected) || known == tokens_.end()) {
    return unauthenticated(Refusal::kNoSuchToken, "there is no such join token here; `weftctl token create` makes one");
  }
  if (known->second.record.revoked_ms != 0) {
    return unauthenticated(Refusal::kRevoked, absl::StrCat("the join token ", shown->id, " was revoked at ",
                                                           time_text(known->second.record.revoked_ms)));
  }
  return shown->id;
}

absl::Status Tokens::admit(const std::string& id, const Claims& claims) {
  const std::lock_guard lock(mutex_);
  const std::string which = absl::StrCat("the join token ", id);
  const auto known = tokens_.find(id);
  // Forgotten since it was shown.
  if (known == tokens_.end()) {
    return refuse(Refusal::kExpired, absl::StatusCode::kUnauthenticated, absl::StrCat(which, " has expired long ago"));
  }
  Entry& entry = known->second;
  const TokenRecord& record = entry.record;
  if (record.revoked_ms != 0) {
    return refuse(Refusal::kRevoked, absl::StatusCode::kUnauthenticated,
                  absl::StrCat(which, " was revoked at ", time_text(record.revoked_ms)));
  }
  if (claims.namespace_name != record.namespace_name) {
    return refuse(Refusal::kNamespace, absl::StatusCode::kPermissionDenied,
                  absl::StrCat(which, " is for the namespace ", record.namespace_name, ", and node \"", claims.node,
                               "\" says that it belongs to ", claims.namespace_name));
  }
  if (!record.service.empty() && claims.service != record.service) {
    return refuse(Refusal::kService, absl::StatusCode::kPermissionDenied,
                  absl::StrCat(which, " is for the service ", record.service, ", and node \"", claims.node, "\" says ",
                               claims.service.empty() ? "of none that it belongs to it" : claims.service));
  }
  if (entry.nodes.contains(claims.node)) return absl::OkStatus();
  if (clock_.wall_ms() >= record.expires_ms) {
    return refuse(Refusal::kExpired, absl::StatusCode::kUnauthenticated,
                  absl::StrCat(which, " has expired at ", time_text(record.expires_ms), ", and node \"", claims.node,
                               "\" has not come in by it before"));
  }
  if (entry.nodes.size() >= record.uses) {
    return refuse(Refusal::kUsedUp, absl::StatusCode::kPermissionDenied,
                  absl::StrCat(which, " is for ", record.uses, " nodes, which have all come in; node \"", claims.node,
                               "\" is another"));
  }
  if (absl::Status status = store_->put(JoinedNode{id, claims.node}); !status.ok()) return status;
  entry.nodes.insert(claims.node);
  return absl::OkStatus();
}

std::array<uint64_t, kRefusalNames.size()> Tokens::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

}  // namespace weft::control::ca
