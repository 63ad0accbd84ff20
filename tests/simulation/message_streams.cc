#include "tests/simulation/message_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/config/xds/duration.h"
#include "proxy/config/xds/type.h"

namespace weft::simulation {

using config::xds::Type;

MessageStreams::MessageStreams(World& world, ControlPlane& control_plane, config::xds::Consumer& consumer,
                               Options options)
    : world_(world), control_plane_(control_plane), consumer_(consumer), options_(std::move(options)) {}

Channel& MessageStreams::channel(Type type) {
  std::unique_ptr<Channel>& channel = channels_[options_.aggregated ? 0 : static_cast<size_t>(type)];
  if (channel != nullptr) return *channel;
  Channel::Options options = options_.channel;
  std::optional<Type> only;
  if (!options_.aggregated) {
    only = type;
    absl::StrAppend(&options.name, " ", std::string(config::xds::type_info(type).noun));
  }
  if (options_.rate_limited) options.rate.emplace(10, 5);
  channel = std::make_unique<Channel>(world_, consumer_, std::move(options),
                                      [this, only](const LinkPointer& link, std::function<void(bool accepted)> answer) {
                                        call(link, only, std::move(answer));
                                      });
  channel->set_read_delay_us(read_delay_us_);
  return *channel;
}

void MessageStreams::subscribe(Type type, std::vector<std::string> names) {
  channel(type).subscribe(type, std::move(names), config::xds::kInitialFetchTimeoutMs);
}

// A connection is made, or refused, or nobody answers.
void MessageStreams::call(const LinkPointer& link, std::optional<Type> only,
                          std::function<void(bool accepted)> answer) {
  const bool is_lost = world_.now_us() < isolated_until_us_;
  const int64_t after_us = is_lost ? 5'000'000 : world_.between(200, 20'000);
  const auto form = options_.channel.delta ? control::xds::Form::kDelta : control::xds::Form::kStateOfTheWorld;
  std::optional<control::snapshot::Type> served;
  if (only.has_value()) served = control::snapshot::type_of_url(config::xds::type_url(*only));
  world_.at(after_us, [&control_plane = control_plane_, link, form, served, is_lost, answer = std::move(answer)] {
    if (!link->attached(Side::kProxy) || link->is_cut()) return;
    answer(!is_lost && control_plane.accept(link, form, served));
  });
}

void MessageStreams::cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) {
  for (auto& channel : channels_) {
    if (channel != nullptr) channel->cut(proxy_learns_us, control_plane_learns_us);
  }
}

void MessageStreams::set_read_delay_us(int64_t us) {
  read_delay_us_ = us;
  for (auto& channel : channels_) {
    if (channel != nullptr) channel->set_read_delay_us(us);
  }
}

bool MessageStreams::connected() const {
  return std::all_of(channels_.begin(), channels_.end(),
                     [](const auto& channel) { return channel == nullptr || channel->open(); });
}

size_t MessageStreams::open() const {
  return static_cast<size_t>(std::count_if(channels_.begin(), channels_.end(),
                                           [](const auto& channel) { return channel != nullptr && channel->open(); }));
}

size_t MessageStreams::unsent() const {
  size_t sum = 0;
  for (const auto& channel : channels_) sum += channel == nullptr ? 0 : channel->unsent();
  return sum;
}

}  // namespace weft::simulation
