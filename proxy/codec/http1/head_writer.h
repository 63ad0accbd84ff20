#pragma once

#include <string_view>

#include "proxy/base/buffer.h"
#include "proxy/codec/codec.h"
#include "proxy/http/message.h"

// Heads of HTTP/1 messages to bytes. Each head is written into one piece of memory whose size is known beforehand.
// Pure.

namespace weft::codec::http1 {

// How the body that follows is framed.
enum class BodyFraming : uint8_t { kNone, kLength, kChunked, kUntilClose };

struct ResponseFraming {
  BodyFraming body = BodyFraming::kNone;
  bool write_length = false;  // content-length: response.content_length
  enum class Connection : uint8_t { kSilent, kClose, kKeepAlive, kUpgrade } connection = Connection::kSilent;
};

// False, with nothing written, if a name or value has a character that would break the framing.
bool write_response_head(const http::ResponseHead& response, const ResponseFraming& framing, const Limits& limits,
                         base::Buffer& output);
bool write_request_head(const http::RequestHead& request, BodyFraming body, const Limits& limits, base::Buffer& output);
bool write_trailers(const http::HeaderMap& trailers, const Limits& limits, base::Buffer& output);
// "1a\r\n", the data, "\r\n".
void write_chunk(base::Buffer& data, base::Buffer& output);
inline constexpr std::string_view kLastChunk = "0\r\n";

}  // namespace weft::codec::http1
