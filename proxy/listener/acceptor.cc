#include "proxy/listener/acceptor.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"
#include "proxy/listener/pending_connection.h"
#include "proxy/snapshot/connection_log.h"

namespace weft::listener {
namespace {

// When descriptors ran out and none of this listener's connections closed, accepting is tried again after this time.
constexpr int64_t kResumeMs = 100;

bool bound_to_all(const transport::Address& address) {
  static constexpr uint8_t kNone[16] = {};
  return std::memcmp(address.ip, kNone, sizeof(kNone)) == 0 && address.family != transport::Address::Family::kUnix;
}

bool is_exhaustion(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

bool any_chain(const snapshot::Listener& listener, bool snapshot::FilterChain::* flag) {
  if (listener.default_filter_chain != nullptr && (*listener.default_filter_chain).*flag) return true;
  return std::any_of(listener.filter_chains.begin(), listener.filter_chains.end(),
                     [&](const auto& chain) { return (*chain).*flag; });
}

}  // namespace

// Counts one worker's open connections of a listener, and outlives the acceptor when they do.
class WorkerLedger final : public snapshot::ConnectionLedger {
 public:
  WorkerLedger(event::Loop& loop, std::shared_ptr<const SharedListener> shared, observe::ListenerStats& stats)
      : loop_(loop), shared_(std::move(shared)), stats_(stats) {}
  bool try_open() {
    if (!shared_->connections->try_open()) {
      stats_.downstream_cx_overflow.add();
      return false;
    }
    if (shared_->listener->counts_globally && !shared_->global_connections->try_open()) {
      shared_->connections->close();
      stats_.downstream_global_cx_overflow.add();
      return false;
    }
    stats_.downstream_cx_total.add();
    stats_.downstream_cx_active.add();
    return true;
  }
  void on_connection_closed(int64_t accepted_ns) override {
    shared_->connections->close();
    if (shared_->listener->counts_globally) shared_->global_connections->close();
    stats_.downstream_cx_active.subtract();
    stats_.downstream_cx_destroy.add();
    stats_.downstream_cx_length_ms.record(static_cast<uint64_t>((loop_.now_ns() - accepted_ns) / 1'000'000));
    if (acceptor_ != nullptr && acceptor_->paused_) acceptor_->resume_timer_.arm(0);
  }
  Acceptor* acceptor_ = nullptr;

 private:
  event::Loop& loop_;
  std::shared_ptr<const SharedListener> shared_;
  observe::ListenerStats& stats_;
};

absl::StatusOr<std::shared_ptr<const SharedListener>> make_shared_listener(
    std::shared_ptr<const snapshot::Listener> listener, std::shared_ptr<ConnectionLimit> global_connections,
    const SharedListener* before) {
  auto matcher = FilterChainMatcher::build(*listener);
  if (!matcher.ok()) return matcher.status();
  auto shared = std::make_shared<SharedListener>();
  shared->connections = before == nullptr ? std::make_shared<ConnectionLimit>() : before->connections;
  shared->connections->set_most(listener->max_connections);
  shared->global_connections = std::move(global_connections);
  shared->matcher = *std::move(matcher);
  shared->listener = std::move(listener);
  return std::shared_ptr<const SharedListener>(std::move(shared));
}

Acceptor::Acceptor(event::LibeventLoop& loop, uint32_t worker, std::shared_ptr<const SharedListener> shared,
                   std::vector<ListenSocket> sockets, Handlers handlers, Directory* directory)
    : loop_(loop),
      worker_(worker),
      shared_(std::move(shared)),
      handlers_(handlers),
      directory_(directory),
      stats_(shared_->listener->stats->of_worker(worker)),
      ledger_(std::make_shared<WorkerLedger>(loop, shared_, stats_)),
      resume_timer_(loop.timers(), base::bind<&Acceptor::resume>(this)) {
  const snapshot::Listener& listener = *shared_->listener;
  ledger_->acceptor_ = this;
  needs_proxy_header_ = listener.proxy_protocol || any_chain(listener, &snapshot::FilterChain::proxy_protocol);
  if (directory_ != nullptr) {
    for (const transport::Address& address : listener.addresses) directory_->add(address, *this);
  }
  for (ListenSocket& fd : sockets) {
    auto socket = std::make_unique<Socket>();
    socket->acceptor = this;
    socket->bound = transport::local_address(fd->get());
    if (!bound_to_all(socket->bound)) socket->known_local = socket->bound;
    socket->fd = std::move(fd);
    socket->watch.start_level(loop_, socket->fd->get(), *socket, true, false);
    sockets_.push_back(std::move(socket));
  }
}

Acceptor::~Acceptor() {
  stop();
  ledger_->acceptor_ = nullptr;
  while (!pending_.empty()) delete &pending_.front();
}

void Acceptor::stop() {
  for (auto& socket : sockets_) socket->watch.stop();
  sockets_.clear();
  resume_timer_.disarm();
  if (directory_ == nullptr) return;
  for (const transport::Address& address : listener().addresses) directory_->remove(address, *this);
}

void Acceptor::accept_some(Socket& socket) {
  uint32_t most = std::max<uint32_t>(shared_->listener->max_connections_per_event, 1);
  for (uint32_t i = 0; i < socket.batch; ++i) {
    transport::Address peer;
    int error = 0;
    transport::Descriptor fd = transport::accept_connection(socket.fd->get(), &peer, &error);
    if (!fd.open()) {
      if (is_exhaustion(error)) {
        pause(error);
        return;
      }
      // Connections that died in the queue are not our failure; the next one may be well.
      if (error == ECONNABORTED || error == EINTR || error == EPROTO) continue;
      socket.batch = std::max<uint32_t>(i, 1);
      return;
    }
    accepted(socket, std::move(fd), peer);
    if (!socket.watch.started()) return;
  }
  // Level-triggered: what still waits is told again. The batch grows while it does, so that a single connection costs
  // no call to be told that there is no second one.
  socket.batch = std::min(socket.batch * 2, most);
}

void Acceptor::pause(int error) {
  if (!paused_) {
    base::log_warning(absl::StrCat("listener '", listener().name,
                                   "': ", std::string(transport::socket_error_text(error)),
                                   "; accepting again when connections close"));
  }
  paused_ = true;
  for (auto& socket : sockets_) socket->watch.stop();
  resume_timer_.arm(kResumeMs);
}

void Acceptor::resume() {
  paused_ = false;
  for (auto& socket : sockets_) {
    socket->batch = 1;
    if (!socket->watch.started()) socket->watch.start_level(loop_, socket->fd->get(), *socket, true, false);
  }
}

void Acceptor::accepted(const Socket& socket, transport::Descriptor fd, const transport::Address& peer) {
  const snapshot::Listener& listener = *shared_->listener;
  if (!listener.use_original_destination) {
    // The descriptor closes here when a limit is reached.
    if (!ledger_->try_open()) return;
    return take_counted(std::make_unique<transport::PlainStream>(loop_, std::move(fd), peer, socket.known_local));
  }
  auto plain = std::make_unique<transport::PlainStream>(loop_, std::move(fd), peer, socket.known_local);
  restore_destination(socket, *plain);
  const transport::ConnectionInfo& info = plain->info();
  Acceptor* other =
      listener.hands_off && info.local_restored && directory_ != nullptr ? directory_->find(info.local) : nullptr;
  (other != nullptr ? *other : *this).take(std::move(plain));
}

void Acceptor::restore_destination(const Socket& socket, transport::PlainStream& plain) const {
  transport::ConnectionInfo& info = plain.mutable_info();
  transport::Address destination;
  if (transport::original_destination(plain.fd(), info.direct_remote.family, &destination) &&
      !(destination == info.local)) {
    info.local = std::move(destination);
    info.local_restored = true;
    return;
  }
  // TPROXY changes no packet: the accepted socket itself has the destination as its address.
  bool is_own = info.local.port == socket.bound.port &&
                (socket.known_local.family == transport::Address::Family::kNone || info.local == socket.bound);
  info.local_restored = listener().transparent && !is_own;
}

bool Acceptor::inspects_tls(const transport::Address& destination) const {
  const auto& not_on = listener().tls_uninspected_ports;
  return listener().inspect_tls && (not_on == nullptr || !not_on->test(destination.port));
}

bool Acceptor::inspects_http(const transport::Address& destination) const {
  const auto& not_on = listener().http_uninspected_ports;
  return listener().inspect_http && (not_on == nullptr || !not_on->test(destination.port));
}

void Acceptor::take(std::unique_ptr<transport::PlainStream> plain) {
  if (ledger_->try_open()) take_counted(std::move(plain));
}

void Acceptor::take_counted(std::unique_ptr<transport::PlainStream> plain) {
  const transport::ConnectionInfo& info = plain->info();
  if (needs_proxy_header_ || inspects_tls(info.local) || inspects_http(info.local)) {
    snapshot::ConnectionTicket ticket(ledger_, nullptr, loop_.now_ns());
    (new PendingConnection(*this, std::move(plain), std::move(ticket)))->inspect();
    return;
  }
  ConnectionFacts facts{&info.local, &info.remote, &info.direct_remote, {}, "raw_buffer", nullptr};
  std::shared_ptr<const snapshot::FilterChain> chain = choose_chain(facts);
  snapshot::ConnectionTicket ticket(ledger_, chain, loop_.now_ns());
  if (chain == nullptr) {
    log_end(*plain, nullptr, http::Cause::kNoFilterChain, ticket.accepted_ns());
    return;
  }
  if (chain->tls != nullptr) {
    (new PendingConnection(*this, std::move(plain), std::move(ticket)))->handshake(std::move(chain));
    return;
  }
  hand_over(std::move(plain), *chain, base::Buffer(), std::move(ticket));
}

std::shared_ptr<const snapshot::FilterChain> Acceptor::choose_chain(const ConnectionFacts& facts) {
  std::shared_ptr<const snapshot::FilterChain> chain = shared_->matcher->find(facts);
  if (chain == nullptr) stats_.no_filter_chain_match.add();
  return chain;
}

void Acceptor::log_end(const transport::ByteStream& stream, const snapshot::FilterChain* chain, http::Cause cause,
                       int64_t accepted_ns) {
  snapshot::log_connection(listener(), stream, {accepted_ns, chain, cause}, loop_, worker_);
}

void Acceptor::hand_over(std::unique_ptr<transport::ByteStream> stream, const snapshot::FilterChain& chain,
                         base::Buffer early, snapshot::ConnectionTicket ticket,
                         std::unique_ptr<snapshot::EarlyUpstream> upstream) {
  snapshot::ConnectionHandler& handler = chain.http != nullptr ? handlers_.http : handlers_.tcp;
  if (upstream != nullptr) {
    handler.on_connection_with(std::move(upstream), std::move(stream), *shared_->listener, chain, std::move(early),
                               std::move(ticket));
    return;
  }
  handler.on_connection(std::move(stream), *shared_->listener, chain, std::move(early), std::move(ticket));
}

}  // namespace weft::listener
