#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/buffer.h"

// gRPC's length-prefixed messages (gRPC over HTTP/2, "Length-Prefixed-Message"): one byte that says whether the message
// is compressed, four of its length, the message. Pure; one thread.

namespace weft::call {

// The message with its prefix; below 4 GiB.
std::string grpc_frame(std::string_view message);

class GrpcFrames {
 public:
  explicit GrpcFrames(uint32_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

  // Takes bytes off `data` up to the end of the next message. True: `message` is one. False: more bytes are needed, and
  // `data` is empty. An error: the peer broke a rule, which is said; nothing more can be read.
  bool next(base::Buffer& data, std::string* message);
  const absl::Status& error() const { return error_; }
  // In the middle of a message: the stream must not end here.
  bool within_message() const { return !prefix_.empty(); }

 private:
  static constexpr size_t kPrefixBytes = 5;
  bool read_prefix(base::Buffer& data);

  uint32_t max_message_bytes_;
  std::string prefix_;  // As far as it has come.
  uint32_t length_ = 0;
  std::string message_;
  absl::Status error_;
};

}  // namespace weft::call
