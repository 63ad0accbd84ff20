#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/base/buffer.h"
#include "proxy/codec/codec.h"
#include "proxy/http/message.h"

// Heads of HTTP/1 messages from bytes (RFC 9112): strict, without copies. Pure.

namespace weft::codec::http1 {

struct ParseError {
  http::Cause cause = http::Cause::kNone;
  std::string_view detail;  // A literal.
  explicit operator bool() const { return cause != http::Cause::kNone; }
};

// What a head says about its connection and its body's framing.
struct Framing {
  bool chunked = false;
  bool has_length = false;
  uint64_t length = 0;
  bool close = false;       // Connection: close
  bool keep_alive = false;  // Connection: keep-alive
  bool has_upgrade_token = false;
};

// Finds the end of a head. Keeps how far it looked, so that a head that comes byte by byte is looked at once.
class HeadScanner {
 public:
  // The size of the head with its empty line; 0 if it is not complete.
  size_t find_end(std::string_view bytes);
  void reset() { scanned_ = 0; }

 private:
  size_t scanned_ = 0;
};

// `head` is one whole head with its empty line; views into it go into the message, so its storage must be pinned.
ParseError parse_request_head(std::string_view head, const Limits& limits, http::RequestHead& request,
                              Framing& framing);
ParseError parse_response_head(std::string_view head, const Limits& limits, http::ResponseHead& response,
                               Framing& framing);
// Trailer fields and the empty line after them. Fields that frame, route or authorise are left out (RFC 9110, 6.5.1).
ParseError parse_trailers(std::string_view block, const Limits& limits, http::HeaderMap& trailers);

}  // namespace weft::codec::http1
