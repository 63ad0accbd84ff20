#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/arena.h"
#include "proxy/filter/ext_authz/question.h"
#include "proxy/filter/ext_authz/service.h"
#include "proxy/http/message.h"
#include "proxy/http/metadata.h"

// What an authorization service answered: whether the request may pass, and what shall be changed in it or said to the
// client. Services may be hostile or broken: nothing here is believed to be valid yet (changes.h looks at it). Pure.

namespace weft::filter {

struct HeaderChange {
  enum class Action : uint8_t {
    kAdd,   // Beside what is there.
    kJoin,  // To the value that is there, behind a comma.
    kAddIfAbsent,
    kSet,
    kSetIfPresent,
  };
  std::string name;  // Lower case.
  std::string value;
  Action action = Action::kSet;
};

struct Answer {
  enum class Kind : uint8_t {
    kAllowed,
    kDenied,
    kFailed,   // No verdict.
    kInvalid,  // It asks for what nobody may do.
  };
  Kind kind = Kind::kFailed;
  std::string reason;  // Of kFailed and kInvalid: a sentence without its end.

  // Of kAllowed.
  std::vector<HeaderChange> request_headers;
  std::vector<std::string> removed_headers;  // Lower case.
  std::vector<std::pair<std::string, std::string>> query_set;
  std::vector<std::string> query_removed;

  // Of the client's answer: the upstream's, or of kDenied and kFailed the proxy's own.
  std::vector<HeaderChange> response_headers;
  uint16_t status = 0;  // Of kDenied and kFailed, 200 to 599; 0: the service did not say.
  std::string body;

  // For later filters and logs; in the arena.
  std::vector<http::MetadataEntry> metadata;

  static Answer failed(std::string_view reason) {
    Answer answer;
    answer.reason = reason;
    return answer;
  }
  bool changes_request() const {
    return !request_headers.empty() || !removed_headers.empty() || !query_set.empty() || !query_removed.empty();
  }
};

Answer read_http_answer(const AuthzService& service, const http::ResponseHead& head, std::string_view body,
                        base::Arena& arena);

// envoy.service.auth.v3, in bytes.
std::string write_check_request(const Question& question);
Answer read_check_response(std::string_view bytes, base::Arena& arena);

}  // namespace weft::filter
