#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

// What a peer may make us do without getting anything done itself. Frames that cost us work spend credit; finished
// exchanges, body bytes and quiet reads earn it back. Who overspends is disconnected. It is what rapid reset
// (CVE-2023-44487), CONTINUATION, SETTINGS, PING and empty-frame floods all run into. Pure.

namespace weft::codec::http2 {

enum class Work : uint8_t {
  kReset,
  kSettings,
  kPing,
  kEmptyFrame,
  kPriority,
  kSmallWindowUpdate,
  kContinuation,
  kCount
};

class WorkBudget {
 public:
  // Returns false once the credit is used up; then overspent() names what used up most.
  bool spend(Work work) {
    constexpr int32_t kCost[] = {10, 10, 2, 4, 1, 1, 10};
    int32_t cost = kCost[static_cast<int>(work)];
    spent_[static_cast<int>(work)] += static_cast<uint32_t>(cost);
    credit_ -= cost;
    return credit_ >= 0;
  }
  // A read that brought bytes: whoever sends a frame now and then is never poor.
  void on_read() { earn(kReadCredit); }
  void on_stream_finished() { earn(20); }
  // Who gives up on an exchange that we had begun to answer did not waste it.
  void on_answer_begun() { earn(10); }
  // A message that went out whole is worth the window updates (two) that it brings back.
  void on_body_sent(uint64_t bytes) { on_body_bytes(bytes + 32); }
  void on_body_bytes(uint64_t bytes) { earn(static_cast<int32_t>(std::min<uint64_t>(bytes / 32 + 1, kMostCredit))); }

  std::string_view overspent() const {
    constexpr std::string_view kNames[] = {"stream resets",      "SETTINGS frames", "PING frames",
                                           "empty frames",       "PRIORITY frames", "small window updates",
                                           "CONTINUATION frames"};
    return kNames[std::max_element(spent_, spent_ + static_cast<int>(Work::kCount)) - spent_];
  }

 private:
  static constexpr int32_t kMostCredit = 4000;
  static constexpr int32_t kReadCredit = 4;
  void earn(int32_t credit) { credit_ = std::min(credit_ + credit, kMostCredit); }

  int32_t credit_ = kMostCredit;
  uint32_t spent_[static_cast<int>(Work::kCount)] = {};
};

}  // namespace weft::codec::http2
