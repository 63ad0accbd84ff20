#include "proxy/dns/stream_frames.h"

#include <cstdint>

#include "proxy/base/assert.h"
#include "proxy/dns/message.h"

namespace weft::dns {
namespace {

constexpr size_t kPrefixBytes = 2;

}  // namespace

void put_frame(base::Buffer& out, std::string_view message) {
  WEFT_ASSERT(message.size() <= kMaxMessageBytes);
  const char prefix[kPrefixBytes] = {static_cast<char>(message.size() >> 8), static_cast<char>(message.size())};
  out.append(std::string_view(prefix, kPrefixBytes));
  out.append(message);
}

bool take_frame(base::Buffer& in, std::string* message) {
  if (in.size() < kPrefixBytes) return false;
  std::string_view prefix = in.linearize(kPrefixBytes);
  size_t size = static_cast<size_t>(static_cast<uint8_t>(prefix[0])) << 8 | static_cast<uint8_t>(prefix[1]);
  if (in.size() < kPrefixBytes + size) return false;
  in.drain(kPrefixBytes);
  *message = size == 0 ? std::string() : std::string(in.linearize(size));
  in.drain(size);
  return true;
}

}  // namespace weft::dns
