#include "proxy/stream/worker.h"

#include <time.h>

#include "proxy/stream/connection.h"
#include "proxy/stream/exchange.h"

namespace weft::stream {
namespace {

constexpr size_t kMaxFreeExchanges = 1024;

}  // namespace

Worker::Worker(pool::WorkerContext& context) : context_(context) {}

Worker::~Worker() {
  for (Exchange* exchange : free_exchanges_) delete exchange;
}

void Worker::on_connection(std::unique_ptr<transport::ByteStream> stream, const snapshot::Listener& listener,
                           const snapshot::FilterChain& chain, base::Buffer early, snapshot::ConnectionTicket ticket) {
  ++open_connections_;
  auto* connection = new Connection(*this, std::move(stream), listener, chain, std::move(early), std::move(ticket));
  connections_.push_back(*connection);
  connection->start();
  if (draining_) return connection->drain();
  for (const auto& each : retired_) {
    if (each->contains(chain)) return retire(*each, *connection);
  }
}

void Worker::drain() {
  draining_ = true;
  for (Connection& connection : connections_) connection.drain();
}

void Worker::retire(std::shared_ptr<const snapshot::RetiredChains> chains) {
  for (Connection& connection : connections_) {
    // As the process ends, so do those that were retired before.
    bool is_waiting = chains->closes_idle() && connection.is_retired();
    if (is_waiting || chains->contains(connection.chain())) retire(*chains, connection);
  }
  retired_.push_back(std::move(chains));
}

void Worker::retire(const snapshot::RetiredChains& chains, Connection& connection) {
  if (chains.closes_idle()) return connection.drain();
  connection.retire();
}

void Worker::close(const snapshot::RetiredChains& chains) {
  for (Connection& connection : connections_) {
    if (chains.contains(connection.chain())) connection.close_now(http::Cause::kDrainTimeout);
  }
}

bool Worker::has_connections(const snapshot::RetiredChains& chains) {
  for (Connection& connection : connections_) {
    if (chains.contains(connection.chain())) return true;
  }
  return false;
}

void Worker::forget(const snapshot::RetiredChains& chains) {
  std::erase_if(retired_, [&](const auto& each) { return each.get() == &chains; });
}

void Worker::close_all() {
  while (!connections_.empty()) connections_.front().close_now(http::Cause::kDrainTimeout);
  for (forward::Shadow& shadow : shadows_) shadow.cancel();
}

void Worker::assign_routes(const route::RouteSlot& slot, std::shared_ptr<const route::RouteTable> table) {
  if (slot.index() >= route_tables_.size()) route_tables_.resize(slot.index() + 1);
  route_tables_[slot.index()] = std::move(table);
}

std::string_view Worker::date() {
  int64_t second = context_.loop.wall_ns() / 1'000'000'000;
  if (second != date_second_) {
    date_second_ = second;
    time_t time = second;
    struct tm parts;
    gmtime_r(&time, &parts);
    strftime(date_, sizeof(date_), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  }
  return {date_, 29};
}

Exchange* Worker::take_exchange() {
  if (free_exchanges_.empty()) return new Exchange(*this);
  Exchange* exchange = free_exchanges_.back();
  free_exchanges_.pop_back();
  return exchange;
}

void Worker::give_exchange(Exchange* exchange) {
  if (free_exchanges_.size() < kMaxFreeExchanges) {
    free_exchanges_.push_back(exchange);
  } else {
    delete exchange;
  }
}

}  // namespace weft::stream
