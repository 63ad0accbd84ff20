#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http/message.h"
#include "proxy/http/metadata.h"
#include "proxy/rbac/metadata_match.h"
#include "proxy/route/header_match.h"
#include "proxy/route/matcher.h"
#include "proxy/transport/byte_stream.h"

// What a rule of access asks of a connection or request: permissions and principals of Envoy's RBAC, which are of the
// same kinds, as one tree. Immutable once built by config/compile; any thread. Asking allocates nothing.

namespace weft::rbac {

// What is known of the one who asks and of what is asked. Lives as long as the question.
struct Facts {
  const transport::ConnectionInfo& connection;
  // nullptr for a connection that is not, or not yet, HTTP: no header is there, and no path.
  const http::RequestHead* request = nullptr;
  // The client's address as far as it can be trusted (x-forwarded-for); empty: the connection's.
  std::string_view remote_ip;
  const http::Metadata* metadata = nullptr;
};

// Calls f(name) for each name that the peer proved to have until one says true: URI names, DNS names, the subject, as
// Envoy. A certificate that was not verified proves nothing.
template <typename F>
bool any_principal(const transport::ConnectionInfo& connection, F f) {
  const transport::TlsInfo* tls = connection.tls;
  if (tls == nullptr || !tls->peer_verified) return false;
  for (const std::string& name : tls->peer_uri_sans) {
    if (f(std::string_view(name))) return true;
  }
  for (const std::string& name : tls->peer_dns_sans) {
    if (f(std::string_view(name))) return true;
  }
  return f(std::string_view(tls->peer_subject));
}

// By what the policies that can match at all are looked up.
enum class Key : uint8_t { kPrincipal, kPath };

class Condition {
 public:
  virtual ~Condition() = default;
  virtual bool holds(const Facts& facts) const = 0;
  // Roughly, how long asking takes; cheaper conditions of a set are asked first.
  virtual int cost() const = 0;
  // If it can hold only for some values of the key: adds them and says true. Else adds nothing.
  virtual bool only_for(Key key, std::vector<std::string_view>* values) const { return false; }
};
using ConditionPtr = std::unique_ptr<const Condition>;
using Conditions = std::vector<ConditionPtr>;

ConditionPtr always();
ConditionPtr all_of(Conditions parts);
ConditionPtr any_of(Conditions parts);
ConditionPtr none_of(ConditionPtr part);
ConditionPtr header(route::HeaderMatch match);
// Of the path without its query.
ConditionPtr path(route::StringMatcher match);
ConditionPtr path_template(std::shared_ptr<const route::Regex> regex);
// A peer whose certificate was verified and has such a name.
ConditionPtr principal(route::StringMatcher match);
ConditionPtr any_authenticated();
ConditionPtr server_name(route::StringMatcher match);
ConditionPtr destination_ports(int64_t first, int64_t end);  // Without `end` itself.
ConditionPtr metadata(MetadataMatch match);

enum class AddressOf : uint8_t {
  kDestination,
  kSource,        // The peer, or whom the PROXY protocol named.
  kDirectRemote,  // The peer itself.
  kRemote,        // The client as far as it can be trusted.
};
ConditionPtr address(AddressOf whose, transport::Address network, uint8_t prefix_bits);

}  // namespace weft::rbac
