#pragma once

#include <cstddef>
#include <cstdint>

#include "proxy/base/buffer.h"
#include "proxy/observe/metrics.h"
#include "proxy/transport/byte_stream.h"

// One direction of a relayed connection: bytes from one stream go to another through a bounded buffer, the end after
// the last byte. It is told when its streams may be ready, and moves what can be moved. Owned by a session, on its
// worker's thread.

namespace weft::tcp {

class Relay {
 public:
  enum class State : uint8_t {
    kWaiting,     // Nothing more can be moved before the next event.
    kBusy,        // More can be moved now; the turn's share is used up.
    kDone,        // The end went to the receiver.
    kFromFailed,  // The source is broken; see its error().
    kToFailed,    // The receiver is.
  };

  // `most_bytes` bounds what is held; the source is not read while that much waits. How often reading stopped because
  // the receiver was slow, and went on, is counted in `paused` and `resumed`.
  void start(transport::ByteStream& from, transport::ByteStream& to, size_t most_bytes, observe::Counter& paused,
             observe::Counter& resumed);
  void readable() { may_read_ = true; }
  void writable() { may_write_ = true; }
  // Bytes that were read before the relay began.
  void take(base::Buffer& early) { held_.move_from(early); }

  // Moves at most about `share_bytes`. `*moved` is raised by the bytes that were read or written.
  State move(size_t share_bytes, uint64_t* moved);
  // The source is gone in a way that lets what it sent stand: no more is read, and the end follows what is held.
  void end_source() { from_ended_ = true; }

  bool source_ended() const { return from_ended_; }
  bool done() const { return end_sent_; }
  uint64_t bytes() const { return bytes_; }  // Given to the receiver.

 private:
  bool read_some(uint64_t* moved, State* failure);
  bool write_some(uint64_t* moved, State* failure);

  transport::ByteStream* from_ = nullptr;
  transport::ByteStream* to_ = nullptr;
  size_t most_bytes_ = 0;
  base::Buffer held_;
  bool may_read_ = true;
  bool may_write_ = true;
  bool from_ended_ = false;
  bool end_sent_ = false;
  bool paused_ = false;
  uint64_t bytes_ = 0;
  observe::Counter* paused_count_ = nullptr;
  observe::Counter* resumed_count_ = nullptr;
};

}  // namespace weft::tcp
