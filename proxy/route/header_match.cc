#include "proxy/route/header_match.h"

#include <charconv>

namespace weft::route {
namespace {

// The value of a header by its lower-case name, or of what the codecs keep outside the header list.
bool find_value(const http::RequestHead& request, std::string_view name, std::string_view* value) {
  if (name[0] == ':') {
    if (name == ":method") {
      *value = request.method;
    } else if (name == ":path") {
      *value = request.path;
    } else if (name == ":authority") {
      *value = request.authority;
    } else if (name == ":scheme") {
      *value = request.scheme;
    } else if (name == ":protocol") {
      *value = request.upgrade;
    } else {
      return false;
    }
    return !value->empty();
  }
  if (request.headers.joined_value(name, value)) return true;
  if (name == "host") *value = request.authority;
  if (name == "upgrade") *value = request.upgrade;
  return !value->empty();
}

bool value_matches(const HeaderMatch& match, bool found, std::string_view value) {
  if (!found && !match.treat_missing_as_empty) {
    // Inverting says something of a header's value; an absent header has none, so only presence can be inverted.
    return match.kind == HeaderMatch::Kind::kPresent && match.present == match.invert;
  }
  bool holds = false;
  switch (match.kind) {
    case HeaderMatch::Kind::kPresent:
      holds = match.present == found;
      break;
    case HeaderMatch::Kind::kString:
      holds = match.string.matches(value);
      break;
    case HeaderMatch::Kind::kRange: {
      int64_t number = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
      holds = error == std::errc() && end == value.data() + value.size() && number >= match.range_start &&
              number < match.range_end;
      break;
    }
  }
  return holds != match.invert;
}

}  // namespace

bool header_matches(const HeaderMatch& match, const http::RequestHead& request) {
  std::string_view value;
  bool found = find_value(request, match.name, &value);
  return value_matches(match, found, value);
}

bool absent_header_matches(const HeaderMatch& match) { return value_matches(match, false, {}); }

bool header_matches(const HeaderMatch& match, const http::ResponseHead& response) {
  char status[8];
  if (match.name == ":status") {
    char* end = std::to_chars(status, status + sizeof(status), response.status).ptr;
    return value_matches(match, true, {status, static_cast<size_t>(end - status)});
  }
  std::string_view value;
  bool found = response.headers.joined_value(match.name, &value);
  return value_matches(match, found, value);
}

}  // namespace weft::route
