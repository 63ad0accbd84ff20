#include "tests/simulation/pipe.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::simulation {

class Pipe::Stream final : public transport::ByteStream {
 public:
  Stream(PipePointer pipe, Side side) : pipe_(std::move(pipe)), side_(side) { own().is_open = true; }
  ~Stream() override { leave(false); }

  void attach(Events& events) override {
    own().events = &events;
    if (!own().incoming.empty() || own().ended || own().broken) read_later();
  }
  bool connected() const override { return pipe_->connected_; }

  transport::IoResult read(base::Buffer& into, size_t max_bytes) override {
    using State = transport::IoResult::State;
    End& end = own();
    if (end.broken) return {State::kError, 0, true};
    const size_t bytes = std::min(max_bytes, end.incoming.size());
    into.move_from(end.incoming, bytes);
    received_bytes_ += bytes;
    if (bytes != 0 && end.writer_waits) {
      end.writer_waits = false;
      pipe_->world_.at(0, [pipe = pipe_, to = other(side_)] {
        if (Events* const events = pipe->ends_[index(to)].events) events->on_writable();
      });
    }
    if (end.incoming.empty() && end.ended) return {State::kEnd, bytes, true};
    if (bytes == 0) return {State::kBlocked, 0, true};
    return {State::kOk, bytes, end.incoming.empty()};
  }

  transport::IoResult write(base::Buffer& from) override {
    using State = transport::IoResult::State;
    if (own().broken) return {State::kError, 0, true};
    End& to = pipe_->ends_[index(other(side_))];
    const size_t bytes = std::min(from.size(), pipe_->room(to));
    if (bytes != 0) {
      base::Buffer taken;
      taken.move_from(from, bytes);
      pipe_->send(other(side_), taken.to_string());
      sent_bytes_ += bytes;
    }
    to.writer_waits = to.writer_waits || !from.empty();
    if (bytes == 0) return {State::kBlocked, 0, true};
    return {State::kOk, bytes, !from.empty()};
  }

  size_t unsent_bytes() const override { return 0; }
  void read_later() override {
    pipe_->world_.at(0, [pipe = pipe_, side = side_] { pipe->tell_readable(side); });
  }
  void shutdown_write() override { pipe_->end(other(side_), false); }
  void close(CloseKind kind) override { leave(kind == CloseKind::kReset); }
  const transport::ConnectionInfo& info() const override { return info_; }
  std::string_view alpn() const override { return {}; }
  ErrorKind error_kind() const override { return pipe_->connected_ ? ErrorKind::kReset : ErrorKind::kRefused; }
  std::string_view error() const override { return "the simulated connection is gone"; }

 private:
  End& own() { return pipe_->ends_[index(side_)]; }
  void leave(bool reset) {
    if (!std::exchange(own().is_open, false)) return;
    own().events = nullptr;
    own().broken = true;
    pipe_->end(other(side_), reset);
  }

  const PipePointer pipe_;
  const Side side_;
  transport::ConnectionInfo info_;
};

std::unique_ptr<transport::ByteStream> Pipe::stream(Side side) {
  return std::make_unique<Stream>(shared_from_this(), side);
}

size_t Pipe::room(const End& to) const {
  const size_t held = to.incoming.size() + to.under_way_bytes;
  return held >= kCapacityBytes ? 0 : kCapacityBytes - held;
}

int64_t Pipe::arrival_us(End& to) {
  const int64_t latency_us = world_.once_in(200)  ? world_.between(200'000, 3'000'000)
                             : world_.once_in(10) ? world_.between(5'000, 60'000)
                                                  : world_.between(100, 2'000);
  to.last_arrival_us = std::max(to.last_arrival_us + 1, world_.now_us() + latency_us);
  return to.last_arrival_us;
}

void Pipe::send(Side to_side, std::string bytes) {
  End& to = ends_[index(to_side)];
  to.under_way_bytes += bytes.size();
  if (cut_) return;
  while (!bytes.empty()) {
    const size_t piece = world_.once_in(3) ? 1 + world_.chance().below(bytes.size()) : bytes.size();
    std::string first = bytes.substr(0, piece);
    bytes.erase(0, piece);
    world_.at(arrival_us(to) - world_.now_us(), [self = shared_from_this(), to_side, first = std::move(first)] {
      End& end = self->ends_[index(to_side)];
      if (self->cut_ || end.ended || end.broken) return;
      end.under_way_bytes -= first.size();
      end.incoming.append(first);
      self->world_.note(absl::StrCat(self->name_, to_side == Side::kProxy ? " <=" : " =>"), first);
      if (to_side == Side::kControlPlane || self->read_delay_us_ == 0) return self->tell_readable(to_side);
      self->world_.at(self->read_delay_us_, [self, to_side] { self->tell_readable(to_side); });
    });
  }
}

void Pipe::tell_readable(Side side) {
  if (transport::ByteStream::Events* const events = ends_[index(side)].events) events->on_readable();
}

void Pipe::end(Side to, bool broken) {
  if (cut_) return;
  End& end = ends_[index(to)];
  world_.at(arrival_us(end) - world_.now_us(), [self = shared_from_this(), to, broken] {
    if (self->cut_) return;
    End& end = self->ends_[index(to)];
    (broken ? end.broken : end.ended) = true;
    self->tell_readable(to);
  });
}

void Pipe::connected() {
  connected_ = true;
  if (transport::ByteStream::Events* const events = ends_[index(Side::kProxy)].events) events->on_connected();
}

void Pipe::refused() {
  if (transport::ByteStream::Events* const events = ends_[index(Side::kProxy)].events) events->on_connect_failed();
}

void Pipe::cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) {
  if (std::exchange(cut_, true)) return;
  world_.note(absl::StrCat(name_, " is cut"));
  for (const auto& [side, learns_us] :
       {std::pair(Side::kProxy, proxy_learns_us), std::pair(Side::kControlPlane, control_plane_learns_us)}) {
    world_.at(learns_us, [self = shared_from_this(), side = side] {
      self->ends_[index(side)].broken = true;
      self->tell_readable(side);
    });
  }
}

}  // namespace weft::simulation
