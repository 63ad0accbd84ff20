#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/base/clock.h"
#include "proxy/event/loop.h"
#include "proxy/transport/byte_stream.h"

// A real loop that a test runs until a condition holds, and an owner of a stream that keeps what it is told.

namespace weft::transport::testing {

class LoopDriver {
 public:
  LoopDriver() : loop_(std::make_unique<event::LibeventLoop>(base::system_clock())) {}
  event::LibeventLoop& loop() { return *loop_; }

  // Runs turns until `done()`, which is asked after each; false after `limit_ms`.
  bool run_until(std::function<bool()> done, int64_t limit_ms = 5'000) {
    if (done()) return true;
    Watcher watcher(*loop_, std::move(done), limit_ms);
    loop_->post([&] { watcher.ask_again(); });
    loop_->run();
    return watcher.held;
  }

 private:
  struct Watcher final : event::NextTurnTask {
    Watcher(event::LibeventLoop& loop, std::function<bool()> done, int64_t limit_ms)
        : loop(loop), done(std::move(done)), limit_ms(base::system_clock().monotonic_ns() / 1'000'000 + limit_ms) {}
    void ask_again() { loop.at_next_turn(*this); }
    void on_next_turn() override {
      held = done();
      if (held || loop.now_ms() > limit_ms) {
        loop.stop();
      } else {
        ask_again();
      }
    }
    event::LibeventLoop& loop;
    std::function<bool()> done;
    int64_t limit_ms;
    bool held = false;
  };
  std::unique_ptr<event::LibeventLoop> loop_;
};

// Reads all that comes; writes what it is given as it can.
struct StreamOwner final : ByteStream::Events {
  StreamOwner() = default;
  explicit StreamOwner(std::unique_ptr<ByteStream> owned) { own(std::move(owned)); }
  void own(std::unique_ptr<ByteStream> owned) {
    stream = std::move(owned);
    stream->attach(*this);
  }
  void on_connected() override {
    was_connected = true;
    flush();
  }
  void on_readable() override {
    if (paused) return;
    for (;;) {
      IoResult result = stream->read(received, 256 * 1024);
      ++reads;
      if (result.state == IoResult::State::kEnd) ended = true;
      if (result.state == IoResult::State::kError) failed = true;
      if (result.drained || result.state != IoResult::State::kOk) return;
    }
  }
  void on_writable() override { flush(); }
  void on_connect_failed() override { connect_failed = true; }

  void send(std::string_view text) {
    to_send.append(text);
    flush();
  }
  void flush() {
    while (!to_send.empty()) {
      IoResult result = stream->write(to_send);
      if (result.state == IoResult::State::kError) failed = true;
      if (result.drained || result.state != IoResult::State::kOk) return;
    }
  }

  std::unique_ptr<ByteStream> stream;
  base::Buffer received;
  base::Buffer to_send;
  bool was_connected = false, connect_failed = false, ended = false, failed = false, paused = false;
  int reads = 0;
};

}  // namespace weft::transport::testing
