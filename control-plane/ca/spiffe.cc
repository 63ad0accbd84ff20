#include "control-plane/ca/spiffe.h"

#include "api/text/cat.h"
#include "control-plane/registry/format.h"

namespace weft::control::ca {

namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kNamespace = "/ns/";
constexpr std::string_view kAccount = "/sa/";
constexpr size_t kMaxTrustDomainBytes = 255;

// Takes it from the front of the text; false if it does not stand there.
bool take(std::string_view prefix, std::string_view& text) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

bool is_trust_domain(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
  return !text.empty() && text.size() <= kMaxTrustDomainBytes &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool is_service_account(std::string_view text) { return registry::is_dns_name(text); }

std::string spiffe_id(std::string_view trust_domain, const Identity& identity) {
  return text::cat(kScheme, trust_domain, kNamespace, identity.namespace_name, kAccount, identity.service_account);
}

std::optional<Identity> parse_spiffe_id(std::string_view uri, std::string_view trust_domain) {
  if (!take(kScheme, uri) || !take(trust_domain, uri) || !take(kNamespace, uri)) return std::nullopt;
  const size_t slash = uri.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  Identity identity{.namespace_name = std::string(uri.substr(0, slash)), .service_account = {}};
  uri.remove_prefix(slash);
  if (!take(kAccount, uri)) return std::nullopt;
  identity.service_account = uri;
  if (!registry::is_dns_label(identity.namespace_name) || !is_service_account(identity.service_account)) {
    return std::nullopt;
  }
  return identity;
}

}  // namespace weft::control::ca
