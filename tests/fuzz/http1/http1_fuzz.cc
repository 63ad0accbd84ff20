// Fuzzes both HTTP/1 codecs: the first byte says which side, and how the rest is cut into pieces. What the codec tells
// must not depend on the cut, and a message must never be told as whole after it was reset.
#include <cstdint>
#include <string_view>

#include "proxy/base/assert.h"
#include "tests/proxy/codec/http1/codec_driver.h"

namespace weft::codec::http1 {
namespace {

constexpr uint8_t kResponse = 1;
constexpr uint8_t kTrailers = 2;
constexpr uint8_t kHttp10 = 4;
constexpr uint8_t kHead = 8;
constexpr uint8_t kUpgrade = 16;

template <typename Driver>
void feed_in_pieces(Driver& driver, std::string_view bytes, size_t step) {
  while (!bytes.empty()) {
    driver.feed(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
  }
}

void run(uint8_t flags, std::string_view bytes) {
  Limits limits;
  limits.enable_trailers = (flags & kTrailers) != 0;
  limits.accept_http10 = (flags & kHttp10) != 0;
  limits.default_host_for_http10 = "default";
  limits.max_header_bytes = 2048;
  size_t step = 1 + (flags >> 5);
  if ((flags & kResponse) == 0) {
    ServerDriver whole(limits), pieces(limits);
    whole.feed(bytes);
    feed_in_pieces(pieces, bytes, step);
    WEFT_ASSERT(whole.comparable() == pieces.comparable());
    WEFT_ASSERT(whole.output() == pieces.output());
    return;
  }
  http::Method method = (flags & kHead) != 0 ? http::Method::kHead : http::Method::kGet;
  std::string_view upgrade = (flags & kUpgrade) != 0 ? "websocket" : "";
  ClientDriver whole(method, upgrade, limits), pieces(method, upgrade, limits);
  whole.feed(bytes);
  feed_in_pieces(pieces, bytes, step);
  WEFT_ASSERT(whole.comparable() == pieces.comparable());
}

}  // namespace
}  // namespace weft::codec::http1

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  weft::codec::http1::run(data[0], std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
