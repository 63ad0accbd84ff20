#pragma once

#include <memory>

#include "proxy/event/loop.h"
#include "proxy/transport/byte_stream.h"
#include "proxy/transport/socket.h"

// A ByteStream that is a socket. A system call is made only to move bytes: a short read or write tells that the kernel
// has no more, so no call is made to be told EAGAIN, and readiness comes by edge.

namespace weft::transport {

class PlainStream final : public ByteStream, private event::IoEvents, private event::NextTurnTask {
 public:
  // An accepted connection. `local` may be of family kNone: it is then looked up when it is asked for.
  PlainStream(event::LibeventLoop& loop, Descriptor fd, Address remote, Address local);
  // A connection being made, or, with no open descriptor, one that failed with `error` (an errno).
  PlainStream(event::LibeventLoop& loop, Descriptor fd, const Address& remote, int error);
  ~PlainStream() override;

  void attach(Events& events) override;
  bool connected() const override { return state_ == State::kOpen; }
  IoResult read(base::Buffer& into, size_t max_bytes) override;
  IoResult write(base::Buffer& from) override;
  size_t unsent_bytes() const override { return 0; }
  void read_later() override {
    if (state_ == State::kOpen) loop_.at_next_turn(*this);
  }
  void shutdown_write() override;
  void close(CloseKind kind) override;
  const ConnectionInfo& info() const override;
  std::string_view alpn() const override { return {}; }
  ErrorKind error_kind() const override { return error_ == 0 ? ErrorKind::kNone : socket_error_kind(error_); }
  std::string_view error() const override { return error_ == 0 ? std::string_view() : socket_error_text(error_); }

  // For listener filters, which restore addresses.
  ConnectionInfo& mutable_info();
  int fd() const { return fd_.get(); }

 private:
  enum class State : uint8_t { kConnecting, kOpen, kFailed, kClosed };
  void on_io(bool readable, bool writable) override;
  void on_peer_end() override { peer_ended_ = true; }
  void on_next_turn() override;
  void finish_connect();
  IoResult fail(int error);

  event::LibeventLoop& loop_;
  Descriptor fd_;
  Events* events_ = nullptr;
  State state_;
  bool may_read_ = false;       // An edge came and its bytes were not all read.
  bool write_blocked_ = false;  // A write() was not complete; the owner waits for on_writable().
  bool first_read_ = false;     // Of an accepted connection: nothing was read yet.
  bool peer_ended_ = false;     // The kernel has the peer's FIN: no further edge will tell of it.
  bool read_was_full_ = false;  // The last read filled its room, so the next one asks for more at once.
  bool local_known_ = false;
  int error_ = 0;
  bool* destroyed_ = nullptr;  // Set while a callback runs, to learn that the owner destroyed this stream in it.
  mutable ConnectionInfo info_;
  event::IoWatch watch_;
};

}  // namespace weft::transport
