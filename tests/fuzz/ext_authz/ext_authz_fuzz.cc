// An authorization service's answer over gRPC, to be done to a request. Whatever it asks for, the request stays one
// that HTTP can have.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/assert.h"
#include "proxy/codec/http1/chars.h"
#include "proxy/filter/ext_authz/changes.h"

namespace {

using namespace weft;

void check_headers_of(const http::HeaderMap& headers) {
  for (const http::Header& each : headers) {
    WEFT_ASSERT(codec::http1::is_token(each.name));
    WEFT_ASSERT(codec::http1::is_field_value(each.value));
    WEFT_ASSERT(each.id != http::HeaderId::kTransferEncoding && each.id != http::HeaderId::kHost);
    WEFT_ASSERT(each.id != http::HeaderId::kContentLength || each.value == "3");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  base::Arena arena;
  filter::Answer answer = filter::read_check_response({reinterpret_cast<const char*>(data), size}, arena);
  WEFT_ASSERT(answer.status == 0 || (answer.status >= 200 && answer.status <= 599));
  http::RequestHead request(arena);
  request.method = "POST";
  request.method_id = http::Method::kPost;
  request.authority = "a.example";
  request.path = "/x?a=1&b";
  request.headers.add("content-length", "3");
  request.headers.add("x-user", "caller");
  filter::RequestLimits limits;
  if (filter::change_request(answer, nullptr, limits, request).ok()) {
    check_headers_of(request.headers);
    WEFT_ASSERT(request.headers.size() <= limits.max_headers);
    WEFT_ASSERT(request.path.starts_with('/'));
    WEFT_ASSERT(request.path.find_first_of(std::string_view(" #\r\n\0", 5)) == std::string_view::npos);
    WEFT_ASSERT(http::is_authority(request.authority));
    WEFT_ASSERT(codec::http1::is_token(request.method) && request.method != "CONNECT");
  }
  if (!filter::check_headers(answer.response_headers).ok()) return 0;
  http::HeaderMap response(arena), reply(arena);
  filter::change_headers(answer.response_headers, response);
  filter::set_reply_headers(answer.response_headers, reply);
  check_headers_of(response);
  check_headers_of(reply);
  return 0;
}
