#pragma once

// A TCP connection without a network, as the two byte streams at its ends: bytes come late, in pieces that nobody
// chose, and no faster than the reader takes them; the connection breaks when it is told to. One thread.

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/transport/byte_stream.h"
#include "tests/simulation/link.h"
#include "tests/simulation/world.h"

namespace weft::simulation {

class Pipe : public std::enable_shared_from_this<Pipe> {
 public:
  // What the kernels at both ends hold of one direction.
  static constexpr size_t kCapacityBytes = 32 * 1024;

  Pipe(World& world, std::string name) : world_(world), name_(std::move(name)) {}

  // The stream of one end, once each.
  std::unique_ptr<transport::ByteStream> stream(Side side);

  // Until then bytes wait at the connecting end.
  void connected();
  void refused();
  void cut(int64_t proxy_learns_us, int64_t control_plane_learns_us);
  // How late the proxy sees what has arrived.
  void set_read_delay_us(int64_t us) { read_delay_us_ = us; }
  bool has_stream(Side side) const { return ends_[index(side)].is_open; }

 private:
  class Stream;
  struct End {
    transport::ByteStream::Events* events = nullptr;
    bool is_open = false;
    // Arrived and not read; on its way here.
    base::Buffer incoming;
    size_t under_way_bytes = 0;
    int64_t last_arrival_us = 0;
    bool ended = false;
    bool broken = false;
    // A write of the other end was not taken whole.
    bool writer_waits = false;
  };
  static size_t index(Side side) { return static_cast<size_t>(side); }
  static Side other(Side side) { return side == Side::kProxy ? Side::kControlPlane : Side::kProxy; }

  int64_t arrival_us(End& to);
  void send(Side to, std::string bytes);
  void end(Side to, bool broken);
  void tell_readable(Side side);
  size_t room(const End& to) const;

  World& world_;
  const std::string name_;
  std::array<End, 2> ends_;
  bool connected_ = false;
  bool cut_ = false;
  int64_t read_delay_us_ = 0;
};
using PipePointer = std::shared_ptr<Pipe>;

}  // namespace weft::simulation
