#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/event/loop.h"
#include "proxy/transport/byte_stream.h"

// Streams and a connector without a network: a test decides what connects, what arrives and who closes. Whatever it
// does to a stream is told to the stream's owner at once, as a real loop would from its I/O. One thread.

namespace weft::fake {

// The network's end of a stream, which outlives the stream itself.
struct Wire {
  transport::ByteStream::Events* events = nullptr;
  transport::Address to;
  transport::ConnectionInfo info;
  base::Buffer incoming;
  std::string sent;  // All that the owner wrote.
  std::string alpn;
  transport::ByteStream::ErrorKind error = transport::ByteStream::ErrorKind::kNone;
  transport::ByteStream::TlsFailure tls_failure = transport::ByteStream::TlsFailure::kNone;
  int read_later_calls = 0;
  bool connected = false;
  bool incoming_ended = false;
  bool broken = false;
  bool alive = true;              // The owner still has the stream, and did not close it.
  size_t write_limit = SIZE_MAX;  // How many bytes the kernel takes until more is allowed.

  void accept() {
    connected = true;
    events->on_connected();
  }
  void refuse(transport::ByteStream::ErrorKind kind = transport::ByteStream::ErrorKind::kRefused) {
    error = kind;
    events->on_connect_failed();
  }
  void arrive(std::string_view bytes) {
    incoming.append(bytes);
    events->on_readable();
  }
  void end() {
    incoming_ended = true;
    events->on_readable();
  }
  void reset() {
    broken = true;
    error = transport::ByteStream::ErrorKind::kReset;
    events->on_readable();
  }
};
using WirePtr = std::shared_ptr<Wire>;

class Stream final : public transport::ByteStream {
 public:
  explicit Stream(WirePtr wire) : wire_(std::move(wire)) {}
  ~Stream() override { wire_->alive = false; }
  void attach(Events& events) override { wire_->events = &events; }
  bool connected() const override { return wire_->connected; }
  transport::IoResult read(base::Buffer& into, size_t max_bytes) override {
    using State = transport::IoResult::State;
    if (wire_->broken) return {State::kError, 0, true};
    size_t bytes = std::min(max_bytes, wire_->incoming.size());
    into.move_from(wire_->incoming, bytes);
    received_bytes_ += bytes;
    if (wire_->incoming.empty() && wire_->incoming_ended) return {State::kEnd, bytes, true};
    if (bytes == 0) return {State::kBlocked, 0, true};
    return {State::kOk, bytes, wire_->incoming.empty()};
  }
  transport::IoResult write(base::Buffer& from) override {
    using State = transport::IoResult::State;
    if (wire_->broken) return {State::kError, 0, true};
    size_t bytes = std::min(from.size(), wire_->write_limit);
    base::Buffer taken;
    taken.move_from(from, bytes);
    wire_->sent += taken.to_string();
    wire_->write_limit -= wire_->write_limit == SIZE_MAX ? 0 : bytes;
    sent_bytes_ += bytes;
    if (bytes == 0) return {State::kBlocked, 0, true};
    return {State::kOk, bytes, !from.empty()};
  }
  size_t unsent_bytes() const override { return 0; }
  void read_later() override { ++wire_->read_later_calls; }
  void shutdown_write() override {}
  void close(CloseKind) override { wire_->alive = false; }
  const transport::ConnectionInfo& info() const override { return wire_->info; }
  std::string_view alpn() const override { return wire_->alpn; }
  ErrorKind error_kind() const override { return wire_->error; }
  std::string_view error() const override { return "fake"; }
  TlsFailure tls_failure() const override { return wire_->tls_failure; }

 private:
  WirePtr wire_;
};

// Keeps every wire it made, in order.
class Connector final : public transport::Connector {
 public:
  std::unique_ptr<transport::ByteStream> connect(event::Loop&, const transport::Address& to) override {
    auto wire = std::make_shared<Wire>();
    wire->to = to;
    wires.push_back(wire);
    return std::make_unique<Stream>(wire);
  }
  std::vector<WirePtr> wires;
};

}  // namespace weft::fake
