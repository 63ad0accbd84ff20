#pragma once

// A proxy's streams as channels of whole messages: one, or one for each type. One thread.

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/channel.h"
#include "tests/simulation/control_plane.h"
#include "tests/simulation/streams.h"

namespace weft::simulation {

class MessageStreams final : public Streams {
 public:
  struct Options {
    bool aggregated = true;
    bool rate_limited = false;
    // Of each channel but for its rate.
    Channel::Options channel;
  };
  MessageStreams(World& world, ControlPlane& control_plane, config::xds::Consumer& consumer, Options options);

  void subscribe(config::xds::Type type, std::vector<std::string> names) override;
  void cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) override;
  void isolate_until(int64_t us) override { isolated_until_us_ = us; }
  void set_read_delay_us(int64_t us) override;
  bool connected() const override;
  size_t open() const override;
  size_t unsent() const override;

 private:
  Channel& channel(config::xds::Type type);
  void call(const LinkPointer& link, std::optional<config::xds::Type> only, std::function<void(bool accepted)> answer);

  World& world_;
  ControlPlane& control_plane_;
  config::xds::Consumer& consumer_;
  const Options options_;
  std::array<std::unique_ptr<Channel>, config::xds::kTypes> channels_;
  int64_t isolated_until_us_ = 0;
  int64_t read_delay_us_ = 0;
};

}  // namespace weft::simulation
