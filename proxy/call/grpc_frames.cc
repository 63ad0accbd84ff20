#include "proxy/call/grpc_frames.h"

#include <algorithm>

#include "api/text/cat.h"

namespace weft::call {
namespace {

// Moves up to `n` bytes from the front of `data` to the end of `to`.
void take(base::Buffer& data, size_t n, std::string* to) {
  while (n != 0 && !data.empty()) {
    std::string_view piece = data.front().substr(0, n);
    to->append(piece);
    n -= piece.size();
    data.drain(piece.size());
  }
}

}  // namespace

std::string grpc_frame(std::string_view message) {
  std::string framed(1, '\0');
  framed.reserve(message.size() + 5);
  for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(message.size() >> shift);
  framed += message;
  return framed;
}

bool GrpcFrames::read_prefix(base::Buffer& data) {
  if (prefix_.size() == kPrefixBytes) return true;
  take(data, kPrefixBytes - prefix_.size(), &prefix_);
  if (prefix_.size() < kPrefixBytes) return false;
  length_ = 0;
  for (size_t i = 1; i < kPrefixBytes; ++i) length_ = length_ << 8 | static_cast<uint8_t>(prefix_[i]);
  if (prefix_[0] == '\1') {
    error_ = absl::UnimplementedError("a compressed message came, though no compression was offered");
  } else if (prefix_[0] != '\0') {
    error_ = absl::InternalError(
        text::cat("a message begins with flags ", static_cast<int>(static_cast<uint8_t>(prefix_[0])), ", expected 0"));
  } else if (length_ > max_message_bytes_) {
    error_ = absl::ResourceExhaustedError(
        text::cat("a message of ", length_, " bytes came, the limit is ", max_message_bytes_));
  }
  return error_.ok();
}

bool GrpcFrames::next(base::Buffer& data, std::string* message) {
  if (!error_.ok() || !read_prefix(data)) return false;
  take(data, length_ - message_.size(), &message_);
  if (message_.size() < length_) return false;
  *message = std::exchange(message_, {});
  prefix_.clear();
  return true;
}

}  // namespace weft::call
