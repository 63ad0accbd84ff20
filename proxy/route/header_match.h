#pragma once

#include <cstdint>
#include <string>

#include "proxy/http/message.h"
#include "proxy/route/matcher.h"

// A condition on one header of a message, as Envoy's HeaderMatcher. Immutable; any thread.

namespace weft::route {

struct HeaderMatch {
  std::string name;  // Lower case; pseudo-headers as ":method", ":path", ":authority", ":scheme", ":status".
  enum class Kind : uint8_t { kPresent, kString, kRange } kind = Kind::kPresent;
  StringMatcher string;
  int64_t range_start = 0, range_end = 0;  // [start, end)
  bool present = true;
  bool invert = false;
  bool treat_missing_as_empty = false;
};

bool header_matches(const HeaderMatch& match, const http::RequestHead& request);
bool header_matches(const HeaderMatch& match, const http::ResponseHead& response);
// Where there is no message at all.
bool absent_header_matches(const HeaderMatch& match);

}  // namespace weft::route
