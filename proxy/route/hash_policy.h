#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/message.h"

// What of a request decides the endpoint that takes it, for the balancers that hash (Envoy's hash_policy). Immutable;
// any thread.

namespace weft::route {

class Regex;

struct HashPolicy {
  enum class Kind : uint8_t { kHeader, kCookie, kSourceIp, kQueryParameter } kind = Kind::kHeader;
  std::string name;                    // Of the header (lower case), the cookie or the parameter.
  bool terminal = false;               // The policies behind it count only while there is no hash.
  std::shared_ptr<const Regex> regex;  // kHeader: the value is rewritten before it is hashed; null: it is not.
  std::string regex_substitution;
  // kCookie: with a time to live, a client that has no such cookie is given one; 0: until it closes.
  std::optional<int64_t> cookie_ttl_s;
  std::string cookie_path;
  std::vector<std::pair<std::string, std::string>> cookie_attributes;
};

struct HashInput {
  const http::RequestHead& request;
  std::string_view client_ip;
  // What a new cookie is made from: the texts of the connection's two addresses.
  std::string_view remote_address, local_address;
};

// None when no policy finds anything to hash. Values of `set-cookie` headers for the answer are added to
// `new_cookies`; they live in the request's arena.
std::optional<uint64_t> request_hash(const std::vector<HashPolicy>& policies, const HashInput& input,
                                     std::vector<std::string_view>* new_cookies);

}  // namespace weft::route
