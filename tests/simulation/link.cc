#include "tests/simulation/link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::simulation {

// Mostly a fraction of a millisecond; now and then a lost segment, which holds up all behind it.
int64_t Link::latency_us() {
  if (world_.once_in(200)) return world_.between(200'000, 3'000'000);
  if (world_.once_in(10)) return world_.between(5'000, 60'000);
  return world_.between(100, 2'000);
}

void Link::send(Side from, std::string bytes) {
  const Side to = other(from);
  Way& way = ways_[index(to)];
  if (cut_ || way.closed) return;
  way.bytes += bytes.size();
  way.full = way.full || way.bytes >= kWindowBytes;
  way.last_arrival_us = std::max(way.last_arrival_us + 1, world_.now_us() + latency_us());
  world_.at(way.last_arrival_us - world_.now_us(), [self = shared_from_this(), to, bytes = std::move(bytes)]() mutable {
    self->arrive(to, std::move(bytes));
  });
}

void Link::arrive(Side to, std::string bytes) {
  if (cut_ || ends_[index(to)] == nullptr) return;
  ways_[index(to)].arrived.push_back(std::move(bytes));
  read(to);
}

void Link::read(Side to) {
  Way& way = ways_[index(to)];
  if (way.reading || way.paused || way.arrived.empty() || cut_ || ends_[index(to)] == nullptr) return;
  way.reading = true;
  world_.at(way.read_delay_us, [self = shared_from_this(), to] { self->read_one(to); });
}

void Link::read_one(Side to) {
  Way& way = ways_[index(to)];
  way.reading = false;
  if (way.paused || way.arrived.empty() || cut_ || ends_[index(to)] == nullptr) return;
  const std::string bytes = std::move(way.arrived.front());
  way.arrived.pop_front();
  way.bytes -= bytes.size();
  world_.note(absl::StrCat(name_, to == Side::kProxy ? " <-" : " ->"), bytes);
  ends_[index(to)]->on_message(bytes);
  End* const sender = ends_[1 - index(to)];
  if (way.full && way.bytes < kWindowBytes && sender != nullptr && !cut_) {
    way.full = false;
    sender->on_room();
  }
  read(to);
}

void Link::pause(Side reader, bool paused) {
  if (std::exchange(ways_[index(reader)].paused, paused) && !paused) read(reader);
}

void Link::tell_closed(Side side) {
  if (End* const end = std::exchange(ends_[index(side)], nullptr)) {
    world_.note(absl::StrCat(name_, side == Side::kProxy ? " ends at the proxy" : " ends at the control plane"));
    end->on_closed();
  }
}

void Link::close(Side by) {
  let_go(by);
  const Side to = other(by);
  Way& way = ways_[index(to)];
  if (cut_ || std::exchange(way.closed, true)) return;
  way.last_arrival_us = std::max(way.last_arrival_us + 1, world_.now_us() + latency_us());
  world_.at(way.last_arrival_us - world_.now_us(), [self = shared_from_this(), to] {
    if (!self->cut_) self->tell_closed(to);
  });
}

void Link::cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) {
  if (std::exchange(cut_, true)) return;
  world_.note(absl::StrCat(name_, " is cut"));
  world_.at(proxy_learns_us, [self = shared_from_this()] { self->tell_closed(Side::kProxy); });
  world_.at(control_plane_learns_us, [self = shared_from_this()] { self->tell_closed(Side::kControlPlane); });
}

}  // namespace weft::simulation
