#include "proxy/tcp/relay.h"

#include <algorithm>

namespace weft::tcp {
namespace {

constexpr size_t kReadBytes = 64 * 1024;

using transport::IoResult;

}  // namespace

void Relay::start(transport::ByteStream& from, transport::ByteStream& to, size_t most_bytes, observe::Counter& paused,
                  observe::Counter& resumed) {
  paused_count_ = &paused;
  resumed_count_ = &resumed;
  from_ = &from;
  to_ = &to;
  most_bytes_ = std::max<size_t>(most_bytes, 1);
}

bool Relay::read_some(uint64_t* moved, State* failure) {
  if (from_ended_ || !may_read_) return false;
  if (held_.size() >= most_bytes_) {
    if (!paused_) paused_count_->add();
    paused_ = true;
    return false;
  }
  if (paused_) resumed_count_->add();
  paused_ = false;
  IoResult result = from_->read(held_, std::min(kReadBytes, most_bytes_ - held_.size()));
  *moved += result.bytes;
  if (result.drained || result.state == IoResult::State::kBlocked) may_read_ = false;
  if (result.state == IoResult::State::kEnd) from_ended_ = true;
  if (result.state == IoResult::State::kError) {
    *failure = State::kFromFailed;
    return false;
  }
  return result.bytes != 0 || from_ended_;
}

bool Relay::write_some(uint64_t* moved, State* failure) {
  if (held_.empty() || !may_write_) return false;
  IoResult result = to_->write(held_);
  *moved += result.bytes;
  bytes_ += result.bytes;
  if (result.drained || result.state == IoResult::State::kBlocked) may_write_ = false;
  if (result.state == IoResult::State::kError) {
    *failure = State::kToFailed;
    return false;
  }
  return result.bytes != 0;
}

Relay::State Relay::move(size_t share_bytes, uint64_t* moved) {
  if (end_sent_) return State::kDone;
  State state = State::kWaiting;
  uint64_t before = *moved;
  bool progress = true;
  while (progress && *moved - before < share_bytes) {
    progress = read_some(moved, &state);
    if (state != State::kWaiting) return state;
    progress |= write_some(moved, &state);
    if (state != State::kWaiting) return state;
  }
  if (held_.empty()) {
    // An idle connection holds no block.
    held_.trim();
    if (from_ended_) {
      to_->shutdown_write();
      end_sent_ = true;
      return State::kDone;
    }
  }
  return progress ? State::kBusy : State::kWaiting;
}

}  // namespace weft::tcp
