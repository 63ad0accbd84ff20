#include "proxy/dns/responder.h"

#include <algorithm>
#include <utility>

namespace weft::dns {
namespace {

size_t limit_of(const Question& question, Protocol protocol) {
  return protocol == Protocol::kTcp ? kMaxMessageBytes : question.udp_limit();
}

}  // namespace

Responder::Responder(event::Loop& loop, Upstream& upstream, base::Random& random, observe::DnsStats& stats)
    : random_(random),
      stats_(stats),
      forwarder_(loop, upstream, stats),
      waiting_timer_(loop.timers(), base::bind<&Responder::give_up_waiting>(this)) {}

void Responder::change_names(std::vector<NameChange> changes) {
  for (NameChange& change : changes) names_.apply(std::move(change));
  stats_.services.set(static_cast<int64_t>(names_.size()));
}

void Responder::set_known() {
  if (std::exchange(known_, true)) return;
  waiting_timer_.disarm();
  Malformed none;
  for (Waiting& each : std::exchange(waiting_, {})) {
    answer(*parse_question(each.message, &none), each.message, each.protocol, std::move(each.reply));
  }
}

void Responder::set_platform(ResolvConf platform, const std::vector<transport::Address>& own) {
  names_.set_search(std::move(platform.search));
  std::erase_if(platform.servers, [&own](const transport::Address& server) {
    return std::find(own.begin(), own.end(), server) != own.end();
  });
  forwarder_.set_servers(std::move(platform.servers));
}

void Responder::on_message(std::string_view message, Protocol protocol, Reply reply) {
  Malformed malformed;
  std::optional<Question> question = parse_question(message, &malformed);
  if (!question) {
    stats_.malformed.add();
    return reply(malformed.answerable ? error_answer(malformed) : std::string());
  }
  stats_.queries.add();
  if (protocol == Protocol::kTcp) stats_.queries_tcp.add();
  if (known_ || !question->asks_address()) return answer(*question, message, protocol, std::move(reply));
  if (waiting_.size() >= kMaxWaiting) {
    stats_.not_ready.add();
    return reply(empty_answer(*question, Rcode::kServerFailure));
  }
  if (waiting_.empty()) waiting_timer_.arm(kWaitMs);
  waiting_.push_back({std::string(message), protocol, std::move(reply)});
}

void Responder::give_up_waiting() {
  Malformed none;
  for (const Waiting& each : std::exchange(waiting_, {})) {
    stats_.not_ready.add();
    each.reply(empty_answer(*parse_question(each.message, &none), Rcode::kServerFailure));
  }
}

void Responder::answer(const Question& question, std::string_view message, Protocol protocol, Reply reply) {
  NameTable::Found found = names_.find(question.name);
  if (found.names == nullptr || !question.asks_address()) {
    return forward(question, found.names != nullptr, message, protocol, std::move(reply));
  }
  stats_.answered_from_table.add();
  if (question.edns && question.edns->version != 0) return reply(empty_answer(question, Rcode::kBadVersion));
  // Callers of a headless service mostly take the first.
  size_t first = found.names->addresses.empty() ? 0 : random_.below(found.names->addresses.size());
  reply(
      address_answer(question, {found.names->addresses, first, found.canonical, kTtlS}, limit_of(question, protocol)));
}

void Responder::forward(const Question& question, bool is_known, std::string_view message, Protocol protocol,
                        Reply reply) {
  stats_.forwarded.add();
  forwarder_.ask(question, message, protocol,
                 [question, is_known, protocol, reply = std::move(reply)](std::string_view answer) {
                   if (answer.empty()) return reply(empty_answer(question, Rcode::kServerFailure));
                   std::string whole(answer);
                   // That there is no such name would hold for its addresses, too.
                   if (is_known && rcode_of(whole) == Rcode::kNameError) whole = with_rcode(whole, Rcode::kNoError);
                   reply(cut_answer(whole, question, limit_of(question, protocol)));
                 });
}

}  // namespace weft::dns
