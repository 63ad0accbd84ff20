#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "proxy/filter/ext_authz/answer.h"
#include "proxy/http/message.h"
#include "proxy/route/matcher.h"

// What an authorization service may change, and the changing. What is not valid HTTP is never written, whatever the
// configuration says; headers that frame a message or belong to one hop are left as they are. Pure.

namespace weft::filter {

// Which headers of a request may be changed at all (Envoy's HeaderMutationRules).
struct ChangeRules {
  enum class Operation : uint8_t { kSet, kAppend, kRemove };
  bool routing = false;    // host, :authority, :method, :scheme
  bool envoy = false;      // x-envoy-…
  bool no_system = false;  // Of the names that begin with ':', not even :path.
  bool none = false;
  bool forbidden_is_error = false;  // Else what is forbidden is left out.
  std::shared_ptr<const route::Regex> allowed;
  std::shared_ptr<const route::Regex> forbidden;

  bool allow(Operation operation, std::string_view lower_name) const;
};

struct RequestLimits {
  size_t max_headers = 100;
  size_t max_header_bytes = 60 * 1024;
};

// A header that frames a message or belongs to one hop: the codecs' own.
bool is_framing_header(std::string_view name);

// Changes the request as the answer says. An error says what it may not; the request, which may be changed in part,
// must not go on then. `rules` may be nullptr: all but removing pseudo-headers and `host` is allowed.
absl::Status change_request(const Answer& answer, const ChangeRules* rules, const RequestLimits& limits,
                            http::RequestHead& request);

// Whether these are headers that a message can have; the error names the one that is not.
absl::Status check_headers(const std::vector<HeaderChange>& changes);
void change_headers(const std::vector<HeaderChange>& changes, http::HeaderMap& headers);
// As those of a reply of the proxy's own: in place of what is there, but each as often as the service said it.
void set_reply_headers(const std::vector<HeaderChange>& changes, http::HeaderMap& headers);

// The path with its query changed: the first parameter of a name has the new value, others of the name go; what is not
// there yet is added behind. The rest stays as it is, byte by byte.
std::string change_query(std::string_view path, const std::vector<std::pair<std::string, std::string>>& set,
                         const std::vector<std::string>& removed);

}  // namespace weft::filter
