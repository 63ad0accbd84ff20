#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/dns/message.h"

// A message as an application may send it to the responder, and behind it, where the first byte says how long that is,
// one as a server may send it. Whatever is taken for a question has an answer that says the same, within its size.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::dns;
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  std::string_view asked = bytes.substr(0, data[0]), told = bytes.substr(asked.size());
  Malformed malformed;
  auto question = parse_question(asked, &malformed);
  if (!question) {
    Malformed ignored;
    if (malformed.answerable && parse_question(error_answer(malformed), &ignored)) abort();
    return 0;
  }
  std::vector<weft::transport::Address> addresses;
  for (int i = 0; i < 40; ++i)
    addresses.push_back(weft::transport::Address::parse_ip(i % 2 == 0 ? "10.0.0.1" : "::1", 0));
  if (question->asks_address()) {
    size_t room = question->udp_limit();
    std::string answer = address_answer(*question, {addresses, 3, "web.example", 30}, room);
    if (answer.size() > room || !answers(answer, question->id, *question)) abort();
  }
  if (!answers(empty_answer(*question, Rcode::kServerFailure), question->id, *question)) abort();
  if (told.size() < kHeaderBytes || !answers(told, id_of(told), *question)) return 0;
  std::string cut = cut_answer(with_id(told, question->id), *question, question->udp_limit());
  if (!answers(cut, question->id, *question) || cut.size() > std::max(told.size(), question->udp_limit())) abort();
  return 0;
}
