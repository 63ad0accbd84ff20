#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// What the peer may no longer say on which stream: the part of RFC 9113's stream states (5.1, 5.1.1) that nghttp2
// forgets when it frees a stream. It judges only by what it knows for sure: streams that we reset may go on getting
// frames that were on their way, so they are never in here. FrameScanner looks at frame headers as they come, before
// nghttp2, which drops some frames without a word. Pure; one of each per connection.

namespace weft::codec::http2 {

class StreamIds {
 public:
  // The peer opens a stream. Ids that it skipped can never be used again.
  void on_opened(uint32_t id) {
    if (id <= highest_) return;
    uint32_t next = highest_ == 0 ? 1 : highest_ + 2;
    if (id > next) gaps_[gap_count_++ % kGaps] = {next, id};
    highest_ = id;
  }
  // The peer's half ended, by END_STREAM or RST_STREAM.
  void on_peer_ended(uint32_t id) { ended_[ended_count_++ % kEnded] = id; }

  // The peer ended this stream itself, not long ago.
  bool ended_by_peer(uint32_t id) const {
    for (uint32_t ended : ended_) {
      if (ended == id) return true;
    }
    return false;
  }
  // An id below the highest that never was opened.
  bool skipped(uint32_t id) const {
    if (id >= highest_) return false;
    for (const Gap& gap : gaps_) {
      if (id >= gap.first && id < gap.end) return true;
    }
    return false;
  }

 private:
  static constexpr uint32_t kGaps = 4;
  static constexpr uint32_t kEnded = 8;
  struct Gap {
    uint32_t first = 0;
    uint32_t end = 0;
  };
  uint32_t highest_ = 0;
  uint32_t gap_count_ = 0;
  uint32_t ended_count_ = 0;
  Gap gaps_[kGaps];
  uint32_t ended_[kEnded] = {};
};

class FrameScanner {
 public:
  enum class Verdict : uint8_t {
    kFine,
    kEndedStream,  // DATA or HEADERS on a stream that its sender had ended: STREAM_CLOSED.
    kOldStream,    // HEADERS with an unused id below one used before: PROTOCOL_ERROR.
  };

  explicit FrameScanner(bool server) : server_(server), skip_(server ? kPrefaceBytes : 0) {}

  // Reads on in what the peer sent. Once it is not fine, the connection is over.
  Verdict scan(std::string_view bytes) {
    while (!bytes.empty()) {
      size_t n = std::min(skip_, bytes.size());
      bytes.remove_prefix(n);
      skip_ -= n;
      if (skip_ != 0 || bytes.empty()) break;
      n = std::min(kHeaderBytes - held_, bytes.size());
      std::memcpy(header_ + held_, bytes.data(), n);
      bytes.remove_prefix(n);
      held_ += n;
      if (held_ != kHeaderBytes) break;
      held_ = 0;
      skip_ = size_t{header_[0]} << 16 | size_t{header_[1]} << 8 | header_[2];
      Verdict verdict = judge();
      if (verdict != Verdict::kFine) return verdict;
    }
    return Verdict::kFine;
  }

 private:
  static constexpr size_t kPrefaceBytes = 24;
  static constexpr size_t kHeaderBytes = 9;
  static constexpr uint8_t kData = 0, kHeaders = 1, kRstStream = 3;
  static constexpr uint8_t kEndStream = 1;

  Verdict judge() {
    uint8_t type = header_[3];
    if (type != kData && type != kHeaders && type != kRstStream) return Verdict::kFine;
    uint32_t id = (uint32_t{header_[5]} << 24 | uint32_t{header_[6]} << 16 | uint32_t{header_[7]} << 8 | header_[8]) &
                  0x7fffffffu;
    if (type != kRstStream && ids_.ended_by_peer(id)) return Verdict::kEndedStream;
    if (type == kHeaders && server_) {
      if (ids_.skipped(id)) return Verdict::kOldStream;
      ids_.on_opened(id);
    }
    if (type == kRstStream || (header_[4] & kEndStream) != 0) ids_.on_peer_ended(id);
    return Verdict::kFine;
  }

  bool server_;
  uint8_t header_[kHeaderBytes] = {};
  size_t held_ = 0;
  size_t skip_;
  StreamIds ids_;
};

}  // namespace weft::codec::http2
