#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/dns/message.h"

// Messages of DNS as resolvers and servers send them, for tests. Pure.

namespace weft::dns {

inline void put_number(std::string& out, size_t number) {
  out.push_back(static_cast<char>(number >> 8));
  out.push_back(static_cast<char>(number));
}

inline std::string wire_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    std::string_view label = name.substr(0, name.find('.'));
    out.push_back(static_cast<char>(label.size()));
    out += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  out.push_back('\0');
  return out;
}

inline std::string header(uint16_t id, uint16_t flags, uint16_t questions = 1, uint16_t answers = 0,
                          uint16_t additional = 0) {
  std::string out;
  for (size_t each : {id, flags, questions, answers, uint16_t{0}, additional}) put_number(out, each);
  return out;
}

inline std::string question_section(std::string_view name, uint16_t type, uint16_t record_class = 1) {
  std::string out = wire_name(name);
  put_number(out, type);
  put_number(out, record_class);
  return out;
}

// An OPT record.
inline std::string opt(uint16_t udp_bytes, uint8_t version = 0, bool dnssec_ok = false) {
  std::string out(1, '\0');
  put_number(out, 41);
  put_number(out, udp_bytes);
  put_number(out, version);
  put_number(out, dnssec_ok ? 0x8000 : 0);
  put_number(out, 0);
  return out;
}

inline constexpr uint16_t kTypeA = 1, kTypeMx = 15, kTypeAaaa = 28;

// As a resolver asks it, that wants recursion.
inline std::string ask(std::string_view name, uint16_t type = kTypeA, uint16_t id = 7) {
  return header(id, 0x0100) + question_section(name, type);
}

// As a server answers: with one address, 192.0.2.9.
inline std::string server_answer(std::string_view name, uint16_t type, uint16_t id, uint16_t flags = 0x8180) {
  std::string out = header(id, flags, 1, 1) + question_section(name, type);
  for (size_t each : {0xc00c, 1, 1, 0, 60, 4}) put_number(out, each);
  return out + std::string("\xc0\x00\x02\x09", 4);
}

inline bool is_truncated(std::string_view message) { return (static_cast<uint8_t>(message[2]) & 0x02) != 0; }
inline size_t answer_count(std::string_view message) {
  return static_cast<size_t>(static_cast<uint8_t>(message[6])) << 8 | static_cast<uint8_t>(message[7]);
}

inline Question parsed(std::string_view message) {
  Malformed malformed;
  return parse_question(message, &malformed).value_or(Question{});
}

}  // namespace weft::dns
