#include "proxy/dns/forwarder.h"

#include <algorithm>
#include <utility>

namespace weft::dns {

// One question, from its first try to its end.
class Forwarder::Query final : public event::Deferred, public base::ListNode<Query> {
 public:
  Query(Forwarder& owner, const Question& question, std::string_view message, Protocol protocol, Done done)
      : owner_(owner),
        question_(question),
        message_(message),
        protocol_(protocol),
        done_(std::move(done)),
        servers_(owner.servers_),
        timer_(owner.loop_.timers(), base::bind<&Query::on_time>(this)),
        started_ms_(owner.loop_.now_ms()) {}

  void next_try() {
    if (!tries_.empty()) owner_.stats_.upstream_retry.add();
    const transport::Address& server = servers_[tries_.size() % servers_.size()];
    auto next = std::make_unique<Try>(*this, owner_.upstream_.next_id());
    next->query = owner_.upstream_.ask(server, protocol_, with_id(message_, next->id), *next);
    tries_.push_back(std::move(next));
    timer_.arm(kTryTimeoutMs);
  }

 private:
  struct Try final : UpstreamQuery::Events {
    Try(Query& owner, uint16_t id) : owner(owner), id(id) {}
    void on_message(std::string_view message) override { owner.on_message(*this, message); }
    void on_failed() override { owner.on_failed(*this); }
    Query& owner;
    const uint16_t id;
    bool over = false;
    std::unique_ptr<UpstreamQuery> query;
  };

  void on_message(Try& from, std::string_view message) {
    if (ended_ || from.over) return;
    if (!answers(message, from.id, question_)) {
      owner_.stats_.upstream_unrelated.add();
      return;
    }
    Rcode rcode = rcode_of(message);
    bool is_refusal = rcode == Rcode::kServerFailure || rcode == Rcode::kRefused || rcode == Rcode::kNotImplemented;
    if (!is_refusal) return end(message);
    // Another server may know better.
    refusal_ = std::string(message);
    on_failed(from);
  }
  void on_failed(Try& of) {
    if (ended_ || std::exchange(of.over, true)) return;
    if (tries_.size() < servers_.size()) return next_try();
    bool all_over = std::all_of(tries_.begin(), tries_.end(), [](const auto& each) { return each->over; });
    if (all_over) end(refusal_);
  }
  void on_time() {
    if (tries_.size() < kTries) return next_try();
    end(refusal_);
  }
  // It goes with the turn, as one of its tries may be the caller.
  void end(std::string_view answer) {
    ended_ = true;
    timer_.disarm();
    base::ListNode<Query>::unlink();
    --owner_.in_flight_;
    owner_.stats_.upstream_active.subtract();
    if (answer.empty()) {
      owner_.stats_.upstream_failure.add();
    } else {
      owner_.stats_.upstream_ms.record(static_cast<uint64_t>(owner_.loop_.now_ms() - started_ms_));
    }
    owner_.loop_.destroy_later(std::unique_ptr<event::Deferred>(this));
    std::exchange(done_, nullptr)(answer.empty() ? std::string() : with_id(answer, question_.id));
  }

  Forwarder& owner_;
  const Question question_;
  const std::string message_;
  const Protocol protocol_;
  Done done_;
  const std::vector<transport::Address> servers_;
  event::Timer timer_;
  const int64_t started_ms_;
  std::vector<std::unique_ptr<Try>> tries_;
  std::string refusal_;  // What a server said that did not want to answer.
  bool ended_ = false;
};

Forwarder::Forwarder(event::Loop& loop, Upstream& upstream, observe::DnsStats& stats)
    : loop_(loop), upstream_(upstream), stats_(stats) {}

Forwarder::~Forwarder() {
  while (!queries_.empty()) delete &queries_.front();
}

void Forwarder::set_servers(std::vector<transport::Address> servers) {
  if (servers.size() > kTries) servers.resize(kTries);
  servers_ = std::move(servers);
}

void Forwarder::ask(const Question& question, std::string_view message, Protocol protocol, Done done) {
  if (servers_.empty() || in_flight_ >= kMaxInFlight) {
    (servers_.empty() ? stats_.upstream_failure : stats_.upstream_overflow).add();
    return done({});
  }
  auto* query = new Query(*this, question, message, protocol, std::move(done));
  queries_.push_back(*query);
  ++in_flight_;
  stats_.upstream_active.add();
  query->next_try();
}

}  // namespace weft::dns
