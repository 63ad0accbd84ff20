#include "proxy/tcp/early_dial.h"

#include <utility>

#include "proxy/base/weighted.h"

namespace weft::tcp {

const cluster::ClusterSlot* choose_cluster(const snapshot::TcpProxy& config, base::Random& random) {
  if (config.destinations.empty()) return nullptr;
  if (config.destinations.size() == 1) return config.destinations[0].slot.get();
  uint64_t draw = config.total_weight == 0 ? 0 : random.below(config.total_weight);
  return base::by_weight(config.destinations, draw).slot.get();
}

pool::BalanceContext balance_context(const transport::ConnectionInfo& info) {
  pool::BalanceContext context;
  if (info.local_restored) context.original_destination = &info.local;
  return context;
}

EarlyDial::EarlyDial(pool::WorkerContext& context, const snapshot::TcpProxy& config,
                     const transport::ConnectionInfo& info, base::Callback<void()> on_first_bytes)
    : context_(context), on_first_bytes_(on_first_bytes) {
  result_.slot = choose_cluster(config, context.random);
  pool::WorkerCluster* upstreams = result_.slot == nullptr ? nullptr : context.upstreams.find(*result_.slot);
  // What the session finds, too, and says why.
  if (upstreams == nullptr) return;
  result_.cluster = upstreams->cluster().shared_from_this();
  result_.host = upstreams->choose_host(balance_context(info));
  if (result_.host != nullptr) upstreams->acquire_tcp(result_.host, *this);
}

void EarlyDial::on_tcp_ready(std::unique_ptr<transport::ByteStream> stream, cluster::Host& host) {
  if (waiter_ != nullptr) return std::exchange(waiter_, nullptr)->on_tcp_ready(std::move(stream), host);
  result_.stream = std::move(stream);
  result_.stream->attach(*this);
}

void EarlyDial::on_tcp_failed(http::Cause cause, std::string_view detail) {
  if (waiter_ != nullptr) return std::exchange(waiter_, nullptr)->on_tcp_failed(cause, detail);
  result_.failed = true;
  result_.cause = cause;
  result_.detail = std::string(detail);
}

void EarlyDial::on_next_turn() {
  if (on_first_bytes_) std::exchange(on_first_bytes_, {})();
}

EarlyDial::Result EarlyDial::give_to(pool::TcpWaiter& waiter) {
  on_first_bytes_ = {};
  if (result_.host != nullptr && result_.stream == nullptr && !result_.failed) waiter_ = &waiter;
  return std::move(result_);
}

}  // namespace weft::tcp
