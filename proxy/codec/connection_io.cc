#include "proxy/codec/connection_io.h"

#include <algorithm>

namespace weft::codec {
namespace {

using State = transport::IoResult::State;

constexpr size_t kReadBytes = 64 * 1024;

}  // namespace

bool ConnectionIo::read(size_t& budget_bytes) {
  transport::IoResult result = stream->read(input, std::min(budget_bytes, kReadBytes));
  budget_bytes -= std::min(budget_bytes, result.bytes);
  switch (result.state) {
    case State::kOk:
      readable = !result.drained;
      return true;
    case State::kBlocked:
      readable = false;
      return true;
    case State::kEnd:
      input_ended = true;
      return true;
    case State::kError:
      return false;
  }
  return false;
}

ConnectionIo::Written ConnectionIo::write(Codec& codec) {
  Written written;
  base::Buffer& output = codec.output();
  codec.fill_output();
  while (!output.empty() && !write_blocked) {
    transport::IoResult result = stream->write(output);
    written.bytes += result.bytes;
    if (result.state == State::kError) {
      written.lost = true;
      return written;
    }
    write_blocked = result.state == State::kBlocked || (result.drained && !output.empty());
    codec.fill_output();
  }
  if (output.empty()) output.trim();
  if (output.empty() && codec.output_ended()) shut_write();
  return written;
}

void ConnectionIo::shut_write() {
  if (write_shut) return;
  write_shut = true;
  stream->shutdown_write();
}

bool ConnectionIo::update_output_blocked(Codec& codec, size_t high_bytes) {
  size_t waiting = codec.output().size() + stream->unsent_bytes();
  bool blocked = output_blocked ? waiting > high_bytes / 2 : waiting > high_bytes;
  if (blocked == output_blocked) return false;
  output_blocked = blocked;
  codec.on_output_blocked(blocked);
  return true;
}

}  // namespace weft::codec
