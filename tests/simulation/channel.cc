#include "tests/simulation/channel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::simulation {

namespace xds = config::xds;

Channel::Channel(World& world, xds::Consumer& consumer, Options options, Call call)
    : world_(world),
      options_(std::move(options)),
      call_(std::move(call)),
      conversation_(options_.delta ? xds::make_delta_conversation(world.loop(), consumer, options_.conversation)
                                   : xds::make_sotw_conversation(world.loop(), consumer, options_.conversation)),
      backoff_(options_.backoff_base_ms, options_.backoff_max_ms),
      retry_timer_(world.loop().timers(), base::bind<&Channel::connect>(this)),
      send_timer_(world.loop().timers(), base::bind<&Channel::on_turn_end>(this)) {}

Channel::~Channel() {
  if (link_ != nullptr) link_->close(Side::kProxy);
}

void Channel::subscribe(xds::Type type, std::vector<std::string> names, int64_t initial_fetch_timeout_ms) {
  conversation_->subscribe(type, std::move(names), initial_fetch_timeout_ms);
  if (!std::exchange(started_, true)) connect();
  world_.loop().at_turn_end(*this);
}

void Channel::connect() {
  link_ = std::make_shared<Link>(world_, absl::StrCat(options_.name, "#", ++connections_));
  link_->attach(Side::kProxy, *this);
  link_->set_read_delay_us(Side::kProxy, read_delay_us_);
  call_(link_, [this, link = std::weak_ptr<Link>(link_)](bool accepted) {
    // The channel may be gone, or have gone on.
    const LinkPointer called = link.lock();
    if (called == nullptr || !called->attached(Side::kProxy)) return;
    accepted ? opened() : ended();
  });
}

void Channel::opened() {
  open_ = true;
  heard_ = false;
  conversation_->open();
  world_.loop().at_turn_end(*this);
}

void Channel::on_message(const std::string& bytes) {
  const absl::Status status = conversation_->receive(bytes);
  if (!status.ok()) return world_.fail(absl::StrCat(options_.name, " got ", status.message()));
  if (!std::exchange(heard_, true)) backoff_.reset();
  world_.loop().at_turn_end(*this);
}

void Channel::ended() {
  link_->let_go(Side::kProxy);
  link_.reset();
  conversation_->close();
  open_ = false;
  unsent_.clear();
  send_timer_.disarm();
  retry_timer_.arm(backoff_.next_ms(world_.chance()));
}

std::string Channel::made_vague(const std::string& request) const {
  const auto rewritten = [&](auto message) {
    if (!message.ParseFromString(request) || !message.has_error_detail()) return request;
    message.mutable_error_detail()->set_message("no");
    return message.SerializeAsString();
  };
  return options_.delta ? rewritten(envoy::service::discovery::v3::DeltaDiscoveryRequest())
                        : rewritten(envoy::service::discovery::v3::DiscoveryRequest());
}

void Channel::on_turn_end() {
  if (!open_) return;
  for (std::string& request : conversation_->take_requests()) {
    unsent_.push_back(options_.vague ? made_vague(request) : std::move(request));
  }
  while (!unsent_.empty()) {
    if (options_.rate && !options_.rate->take(world_.loop().now_ms())) {
      send_timer_.arm(options_.rate->wait_ms());
      break;
    }
    link_->send(Side::kProxy, unsent_.front());
    unsent_.pop_front();
  }
  update_pause();
}

void Channel::update_pause() {
  if (link_ != nullptr) link_->pause(Side::kProxy, !unsent_.empty() || !link_->has_room(Side::kProxy));
}

void Channel::set_read_delay_us(int64_t us) {
  read_delay_us_ = us;
  if (link_ != nullptr) link_->set_read_delay_us(Side::kProxy, us);
}

void Channel::cut(int64_t proxy_learns_us, int64_t control_plane_learns_us) {
  if (link_ != nullptr) link_->cut(proxy_learns_us, control_plane_learns_us);
}

}  // namespace weft::simulation
