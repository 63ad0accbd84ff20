#pragma once

#include <cstdint>

// The life of an exchange as a table: state × event → state. An event that a state has no entry for is an error of
// whoever sent it, and ends the exchange.

namespace weft::stream {

enum class State : uint8_t {
  kReadingHead,  // The request's head is not complete.
  kFiltering,    // Filters look at the request; nothing went upstream.
  kForwarding,   // The router has it; no answer yet.
  kAnswering,    // The upstream's answer goes downstream.
  kReplying,     // The proxy's own answer goes downstream.
  kAnswered,     // The last byte of the answer was handed to the codec.
  kGone,         // Reset, by either side.
  kError,        // Not a state: the table has no entry.
};

enum class Event : uint8_t {
  kHead,        // The request's head is complete.
  kForward,     // All filters let it pass.
  kReply,       // The proxy answers itself.
  kAnswerHead,  // The upstream's final head.
  kAnswerEnd,   // The end of the upstream's or the proxy's answer.
  kReset,       // The downstream reset or was lost, or we reset it.
  kCount,
};

inline State next_state(State state, Event event) {
  using enum State;
  // clang-format off
  static constexpr State kTable[7][static_cast<int>(Event::kCount)] = {
      //                kHead       kForward     kReply     kAnswerHead  kAnswerEnd  kReset
      /* kReadingHead */ {kFiltering, kError,      kReplying, kError,      kError,     kGone},
      /* kFiltering   */ {kError,     kForwarding, kReplying, kError,      kError,     kGone},
      /* kForwarding  */ {kError,     kError,      kReplying, kAnswering,  kError,     kGone},
      /* kAnswering   */ {kError,     kError,      kError,    kError,      kAnswered,  kGone},
      /* kReplying    */ {kError,     kError,      kError,    kError,      kAnswered,  kGone},
      /* kAnswered    */ {kError,     kError,      kError,    kError,      kError,     kGone},
      /* kGone        */ {kError,     kError,      kError,    kError,      kError,     kGone},
  };
  // clang-format on
  return kTable[static_cast<int>(state)][static_cast<int>(event)];
}

}  // namespace weft::stream
