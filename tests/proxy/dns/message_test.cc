#include "proxy/dns/message.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/proxy/dns/questions.h"

namespace weft::dns {
namespace {

using transport::Address;

std::optional<Question> parse(std::string_view message) {
  Malformed malformed;
  return parse_question(message, &malformed);
}

Malformed mistake(std::string_view message) {
  Malformed malformed;
  CHECK_FALSE(parse_question(message, &malformed));
  return malformed;
}

std::vector<Address> addresses(std::initializer_list<const char*> texts) {
  std::vector<Address> out;
  for (const char* text : texts) out.push_back(Address::parse_ip(text, 0));
  return out;
}

TEST_CASE("a question is read, its name in lower case and its bytes as they came") {
  const std::string message = ask("Cart.Shop.svc", kTypeAaaa, 0xbeef);
  const auto question = parse(message);
  REQUIRE(question);
  CHECK(question->id == 0xbeef);
  CHECK(question->name == "cart.shop.svc");
  CHECK(question->type == kTypeAaaa);
  CHECK(question->record_class == 1);
  CHECK(question->recursion_desired);
  CHECK(question->wire == message.substr(kHeaderBytes));
  CHECK_FALSE(question->edns);
  CHECK(question->udp_limit() == 512);
  CHECK(question->asks_address());
  CHECK(parse(ask(""))->name.empty());
  CHECK_FALSE(parse(ask("cart", kTypeMx))->asks_address());
  CHECK_FALSE(parse(header(1, 0x0100) + question_section("cart", kTypeA, 3))->asks_address());
}

TEST_CASE("EDNS says how much its sender takes") {
  const auto with = [](uint16_t bytes) {
    return parse(header(1, 0x0100, 1, 0, 1) + question_section("cart", kTypeA) + opt(bytes, 0, true));
  };
  CHECK(with(1232)->udp_limit() == 1232);
  CHECK(with(1232)->edns->dnssec_ok);
  CHECK(with(0)->udp_limit() == 512);
  CHECK(with(65535)->udp_limit() == 65507);
  // Only one such record, and only of the root.
  CHECK_FALSE(parse(header(1, 0x0100, 1, 0, 2) + question_section("cart", kTypeA) + opt(512) + opt(512)));
  CHECK_FALSE(parse(header(1, 0x0100, 1, 0, 1) + question_section("cart", kTypeA) + "\1a" + opt(512)));
}

TEST_CASE("a dot within a label is none between two") {
  CHECK(parse(header(1, 0) + std::string("\x8"
                                         "a.b.shop\0\0\1\0\1",
                                         14))
            ->name == "a\\.b\\.shop");
}

TEST_CASE("what is no question is refused, and said to be so if anybody can be told") {
  CHECK_FALSE(mistake("").answerable);
  CHECK_FALSE(mistake("short").answerable);
  // An answer is never answered, or two servers would go on for ever.
  CHECK_FALSE(mistake(server_answer("cart", kTypeA, 1)).answerable);
  const Malformed none = mistake(header(9, 0x0100, 0));
  CHECK(none.answerable);
  CHECK(none.id == 9);
  CHECK(none.recursion_desired);
  CHECK(none.rcode == Rcode::kFormatError);
  CHECK(mistake(header(9, 0x2800) + question_section("cart", 6)).rcode == Rcode::kNotImplemented);
  CHECK(mistake(header(9, 0, 2) + question_section("a", 1) + question_section("b", 1)).answerable);
  CHECK(mistake(header(9, 0, 1, 1) + question_section("a", 1)).answerable);
  CHECK(mistake(header(9, 0, 1, 0, 3) + question_section("a", 1) + opt(1) + opt(1) + opt(1)).answerable);
  CHECK(mistake(header(9, 0x0200) + question_section("a", 1)).answerable);
  CHECK(mistake(ask("cart") + "x").answerable);
}

TEST_CASE("a question that is cut anywhere is none") {
  const std::string whole = header(1, 0, 1, 0, 1) + question_section("cart.shop", kTypeA) + opt(1232);
  REQUIRE(parse(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    CHECK_FALSE(parse(whole.substr(0, size)));
  }
}

TEST_CASE("names are no longer than names may be, and point nowhere") {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  CHECK(wire_name(longest).size() == kMaxNameBytes);
  CHECK(parse(ask(longest)));
  CHECK_FALSE(parse(ask(longest + "b")));
  CHECK_FALSE(parse(ask(label + "a")));
  // To itself, and to the header.
  for (const char* pointer : {"\xc0\x0c", "\xc0\x00"}) {
    CHECK_FALSE(parse(header(1, 0) + std::string(pointer, 2) + std::string("\0\1\0\1", 4)));
  }
  // The two other kinds of labels that there might have been.
  CHECK_FALSE(parse(header(1, 0) + std::string("\x41") + std::string(1, 'a') + std::string("\0\0\1\0\1", 5)));
  CHECK_FALSE(parse(header(1, 0) + std::string("\x81") + std::string(1, 'a') + std::string("\0\0\1\0\1", 5)));
}

TEST_CASE("an answer is one to what was asked") {
  const Question question = parsed(ask("Cart.shop", kTypeA, 7));
  CHECK(answers(server_answer("Cart.shop", kTypeA, 99), 99, question));
  // Some servers change upper and lower case.
  CHECK(answers(server_answer("cart.SHOP", kTypeA, 99), 99, question));
  CHECK_FALSE(answers(server_answer("Cart.shop", kTypeA, 98), 99, question));
  CHECK_FALSE(answers(server_answer("Cart.shop", kTypeAaaa, 99), 99, question));
  CHECK_FALSE(answers(server_answer("kart.shop", kTypeA, 99), 99, question));
  CHECK_FALSE(answers(server_answer("Cart.shop.x", kTypeA, 99), 99, question));
  CHECK_FALSE(answers(ask("Cart.shop", kTypeA, 99), 99, question));
  CHECK_FALSE(answers(header(99, 0x8180, 0), 99, question));
  CHECK_FALSE(answers("", 99, question));
  const std::string whole = server_answer("Cart.shop", kTypeA, 99);
  CHECK_FALSE(answers(whole.substr(0, kHeaderBytes + question.wire.size() - 1), 99, question));
  // Types that are letters are not the same in lower case.
  const Question of_type = parsed(ask("cart", 'A', 7));
  CHECK_FALSE(answers(server_answer("cart", 'a', 99), 99, of_type));
}

TEST_CASE("an answer has the addresses of the family that was asked for") {
  const auto known = addresses({"10.0.0.1", "fd00::1", "10.0.0.2"});
  const std::string expected = header(7, 0x8580, 1, 2) + question_section("Cart", kTypeA) +
                               std::string("\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\x0a\0\0\1", 16) +
                               std::string("\xc0\x0c\0\1\0\1\0\0\0\x1e\0\4\x0a\0\0\2", 16);
  CHECK(address_answer(parsed(ask("Cart")), {known, 0, {}, 30}, 512) == expected);
  const std::string six = address_answer(parsed(ask("cart", kTypeAaaa)), {known, 0, {}, 30}, 512);
  CHECK(answer_count(six) == 1);
  CHECK(six.ends_with(std::string("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16)));
  const auto four = addresses({"10.0.0.1"});
  const std::string none = address_answer(parsed(ask("cart", kTypeAaaa)), {four, 0, {}, 30}, 512);
  CHECK(none == header(7, 0x8580) + question_section("cart", kTypeAaaa));
}

TEST_CASE("the first of the addresses is whichever is wanted") {
  const auto known = addresses({"10.0.0.1", "10.0.0.2", "10.0.0.3"});
  const std::string second = address_answer(parsed(ask("cart")), {known, 1, {}, 30}, 512);
  CHECK(answer_count(second) == 3);
  CHECK(second.ends_with(std::string("\x0a\0\0\1", 4)));
  CHECK(address_answer(parsed(ask("cart")), {known, 4, {}, 30}, 512) == second);
}

TEST_CASE("another name is said to be one") {
  const auto known = addresses({"10.0.0.1"});
  const std::string section = question_section("web.example.shop.svc", kTypeA);
  std::string expected = header(7, 0x8580, 1, 2) + section;
  expected += std::string("\xc0\x0c\0\5\0\1\0\0\0\x1e\0\x0d", 12) + wire_name("web.example");
  std::string owner;
  put_number(owner, 0xc000 + kHeaderBytes + section.size() + 12);
  expected += owner + std::string("\0\1\0\1\0\0\0\x1e\0\4\x0a\0\0\1", 14);
  CHECK(address_answer(parsed(ask("web.example.shop.svc")), {known, 0, "web.example", 30}, 512) == expected);
  // It has none of this family, whatever it is called.
  const Question six = parsed(ask("web.example.shop.svc", kTypeAaaa));
  CHECK(answer_count(address_answer(six, {known, 0, "web.example", 30}, 512)) == 0);
}

TEST_CASE("what there is no room for is left out as a whole, and that is said") {
  std::vector<Address> many;
  for (int i = 0; i < 100; ++i) many.push_back(Address::parse_ip("10.0.0." + std::to_string(i), 0));
  const Question question = parsed(ask("cart"));
  for (size_t room : {12u, 50u, 100u, 512u, 1231u}) {
    const std::string answer = address_answer(question, {many, 0, {}, 30}, room);
    CHECK(is_truncated(answer));
    const size_t fixed = kHeaderBytes + question.wire.size();
    CHECK(answer.size() == fixed + 16 * answer_count(answer));
    CHECK(answer_count(answer) == (room < fixed ? 0 : (room - fixed) / 16));
  }
  const std::string whole = address_answer(question, {many, 0, {}, 30}, 65535);
  CHECK_FALSE(is_truncated(whole));
  CHECK(answer_count(whole) == 100);
}

TEST_CASE("who sends EDNS gets it back") {
  const auto known = addresses({"10.0.0.1"});
  const Question question = parsed(header(7, 0, 1, 0, 1) + question_section("cart", kTypeA) + opt(1232, 0, true));
  CHECK(address_answer(question, {known, 0, {}, 30}, 512).ends_with(opt(kOwnUdpBytes, 0, true)));
  // The upper bits of BADVERS stand there.
  const std::string bad = empty_answer(question, Rcode::kBadVersion);
  CHECK(rcode_of(bad) == Rcode::kNoError);
  CHECK(bad.substr(bad.size() - 6, 2) == std::string("\1\0", 2));
}

TEST_CASE("an answer that is too large is its head alone") {
  const Question question = parsed(ask("cart"));
  const std::string answer = server_answer("cart", kTypeA, 7);
  CHECK(cut_answer(answer, question, 512) == answer);
  CHECK(cut_answer(answer, question, answer.size() - 1) == header(7, 0x8380) + question_section("cart", kTypeA));
}

TEST_CASE("errors say what was wrong with whose question") {
  Malformed malformed;
  parse_question(header(9, 0x0100, 0), &malformed);
  CHECK(error_answer(malformed) == header(9, 0x8181, 0));
  CHECK(empty_answer(parsed(ask("cart")), Rcode::kServerFailure) ==
        header(7, 0x8182) + question_section("cart", kTypeA));
}

TEST_CASE("a message is given another id, or another code") {
  CHECK(with_id(ask("cart", kTypeA, 1), 0xabcd) == ask("cart", kTypeA, 0xabcd));
  CHECK(id_of(ask("cart", kTypeA, 0xabcd)) == 0xabcd);
  CHECK(rcode_of(with_rcode(header(1, 0x8183), Rcode::kNoError)) == Rcode::kNoError);
  CHECK(with_rcode(header(1, 0x8183), Rcode::kNoError) == header(1, 0x8180));
}

}  // namespace
}  // namespace weft::dns
