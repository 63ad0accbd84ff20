#pragma once

// One gRPC stream between a proxy and the control plane, as TCP and HTTP/2 leave it to the two ends: each direction
// keeps its order and loses nothing as long as the stream lives, but may be slow, stall, fill its window, or be cut, so
// that what is under way is lost and each end learns of it at its own time. Streams are independent of each other. Kept
// alive by its ends and by what is under way. One thread.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "tests/simulation/world.h"

namespace weft::simulation {

enum class Side : uint8_t { kProxy, kControlPlane };

class Link : public std::enable_shared_from_this<Link> {
 public:
  class End {
   public:
    virtual void on_message(const std::string& bytes) = 0;
    // The other end takes what it was sent again: has_room() has become true.
    virtual void on_room() {}
    // The last call, unless this end was let go before.
    virtual void on_closed() = 0;

   protected:
    ~End() = default;
  };

  // Of HTTP/2: the bytes that a reader who reads nothing lets the other end send.
  static constexpr size_t kWindowBytes = 64 * 1024;

  Link(World& world, std::string name) : world_(world), name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  void attach(Side side, End& end) { ends_[index(side)] = &end; }
  // This end wants to hear nothing any more.
  void let_go(Side side) { ends_[index(side)] = nullptr; }

  void send(Side from, std::string bytes);
  bool has_room(Side from) const { return ways_[1 - index(from)].bytes < kWindowBytes; }
  // How long the reader at this end needs for each message.
  void set_read_delay_us(Side reader, int64_t us) { ways_[index(reader)].read_delay_us = us; }
  // While paused nothing is read at this end.
  void pause(Side reader, bool paused);

  // As a side that ends the stream does: it hears nothing any more, the other end after what was sent before.
  void close(Side by);
  // The connection breaks. Each end learns of it after so long.
  void cut(int64_t proxy_learns_us, int64_t control_plane_learns_us);
  bool is_cut() const { return cut_; }
  bool attached(Side side) const { return ends_[index(side)] != nullptr; }
  // Sent to this end, and not read by it.
  size_t unread_bytes(Side reader) const { return ways_[index(reader)].bytes; }

 private:
  // To one end.
  struct Way {
    std::deque<std::string> arrived;
    size_t bytes = 0;
    int64_t last_arrival_us = 0;
    int64_t read_delay_us = 0;
    bool paused = false;
    bool reading = false;
    // The sender is waiting for on_room().
    bool full = false;
    bool closed = false;
  };
  static size_t index(Side side) { return static_cast<size_t>(side); }
  static Side other(Side side) { return side == Side::kProxy ? Side::kControlPlane : Side::kProxy; }

  int64_t latency_us();
  void arrive(Side to, std::string bytes);
  void read(Side to);
  void read_one(Side to);
  void tell_closed(Side side);

  World& world_;
  const std::string name_;
  std::array<End*, 2> ends_{};
  std::array<Way, 2> ways_;
  bool cut_ = false;
};
using LinkPointer = std::shared_ptr<Link>;

}  // namespace weft::simulation
