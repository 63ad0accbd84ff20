#include "proxy/dns/message.h"

#include <algorithm>

#include "proxy/base/assert.h"

namespace weft::dns {
namespace {

using transport::Address;

constexpr size_t kMaxLabelBytes = 63;
constexpr uint16_t kIsAnswer = 0x8000;
constexpr uint16_t kOpcode = 0x7800;
constexpr uint16_t kAuthoritative = 0x0400;
constexpr uint16_t kTruncated = 0x0200;
constexpr uint16_t kRecursionDesired = 0x0100;
constexpr uint16_t kRecursionAvailable = 0x0080;
constexpr uint8_t kRcodeBits = 0x0f;
constexpr uint16_t kDnssecOk = 0x8000;
constexpr uint16_t kPointer = 0xc000;      // To where in the message a name stands, in the lower 14 bits.
constexpr size_t kFixedQuestionBytes = 4;  // Behind the name: type and class.
constexpr size_t kFixedRecordBytes = 10;   // Behind the name: type, class, TTL and size.
constexpr size_t kPointerBytes = 2;
constexpr size_t kOptRecordBytes = 1 + kFixedRecordBytes;
// A question has an OPT record, and at the most a signature of its transaction.
constexpr uint16_t kMostAdditional = 2;

uint16_t number_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

void put(std::string& out, size_t number) {
  out.push_back(static_cast<char>(number >> 8));
  out.push_back(static_cast<char>(number));
}

void put32(std::string& out, uint32_t number) {
  put(out, number >> 16);
  put(out, number);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

struct Header {
  uint16_t id, flags, questions, answers, authorities, additional;
};

Header header_of(std::string_view message) {
  return {number_at(message, 0), number_at(message, 2), number_at(message, 4),
          number_at(message, 6), number_at(message, 8), number_at(message, 10)};
}

void put_header(std::string& out, const Header& header) {
  for (uint16_t each :
       {header.id, header.flags, header.questions, header.answers, header.authorities, header.additional}) {
    put(out, each);
  }
}

// Reads a name that is not compressed, as there is nothing before it to point to. False if it is none.
bool read_name(std::string_view message, size_t* at, std::string* name) {
  size_t start = *at;
  while (*at < message.size()) {
    auto size = static_cast<uint8_t>(message[(*at)++]);
    if (size == 0) return true;
    bool fits = size <= kMaxLabelBytes && message.size() - *at >= size && *at + size - start < kMaxNameBytes;
    if (!fits) return false;
    if (!name->empty()) name->push_back('.');
    for (char c : message.substr(*at, size)) {
      // Or "a.b" as one label would be taken for two.
      if (c == '.') name->push_back('\\');
      name->push_back(lower(c));
    }
    *at += size;
  }
  return false;
}

// `name` is one of ours: no label is longer than what a label may be.
void put_name(std::string& out, std::string_view name) {
  while (!name.empty()) {
    std::string_view label = name.substr(0, name.find('.'));
    WEFT_ASSERT(!label.empty() && label.size() <= kMaxLabelBytes);
    out.push_back(static_cast<char>(label.size()));
    out.append(label);
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  out.push_back('\0');
}

// The one OPT record that there may be in the additional section, among others that are skipped.
bool read_additional(std::string_view message, size_t at, uint16_t count, Question* question) {
  for (uint16_t i = 0; i < count; ++i) {
    std::string owner;
    if (!read_name(message, &at, &owner) || message.size() - at < kFixedRecordBytes) return false;
    uint16_t type = number_at(message, at), udp_bytes = number_at(message, at + 2);
    auto version = static_cast<uint8_t>(message[at + 5]);
    uint16_t flags = number_at(message, at + 6), size = number_at(message, at + 8);
    at += kFixedRecordBytes;
    if (message.size() - at < size) return false;
    at += size;
    if (type != static_cast<uint16_t>(RecordType::kOpt)) continue;
    if (!owner.empty() || question->edns) return false;
    question->edns = Edns{udp_bytes, version, (flags & kDnssecOk) != 0};
  }
  return at == message.size();
}

uint16_t answer_flags(bool recursion_desired, Rcode rcode) {
  return static_cast<uint16_t>(kIsAnswer | kRecursionAvailable | (recursion_desired ? kRecursionDesired : 0) |
                               (static_cast<uint16_t>(rcode) & kRcodeBits));
}

void put_edns(std::string& out, const Question& question, Rcode rcode) {
  if (!question.edns) return;
  out.push_back('\0');
  put(out, static_cast<uint16_t>(RecordType::kOpt));
  put(out, kOwnUdpBytes);
  // The code's upper bits, and our version of EDNS, which is 0.
  put(out, static_cast<size_t>(rcode) >> 4 << 8);
  put(out, question.edns->dnssec_ok ? kDnssecOk : 0);
  put(out, 0);
}

std::string without_records(const Question& question, uint16_t id, uint16_t flags, Rcode rcode) {
  std::string out;
  put_header(out, {id, flags, 1, 0, 0, static_cast<uint16_t>(question.edns ? 1 : 0)});
  out += question.wire;
  put_edns(out, question, rcode);
  return out;
}

void put_record(std::string& out, size_t owner_at, RecordType type, uint32_t ttl_s, std::string_view data) {
  put(out, kPointer | owner_at);
  put(out, static_cast<uint16_t>(type));
  put(out, kClassInternet);
  put32(out, ttl_s);
  put(out, data.size());
  out.append(data);
}

}  // namespace

bool Question::asks_address() const {
  return record_class == kClassInternet &&
         (type == static_cast<uint16_t>(RecordType::kA) || type == static_cast<uint16_t>(RecordType::kAaaa));
}

size_t Question::udp_limit() const {
  return edns ? std::clamp<size_t>(edns->udp_bytes, kPlainUdpBytes, kMostUdpBytes) : kPlainUdpBytes;
}

std::optional<Question> parse_question(std::string_view message, Malformed* malformed) {
  *malformed = {};
  if (message.size() < kHeaderBytes) return std::nullopt;
  Header header = header_of(message);
  malformed->id = header.id;
  malformed->recursion_desired = (header.flags & kRecursionDesired) != 0;
  malformed->answerable = (header.flags & kIsAnswer) == 0;
  if (!malformed->answerable) return std::nullopt;
  if ((header.flags & kOpcode) != 0) {
    malformed->rcode = Rcode::kNotImplemented;
    return std::nullopt;
  }
  if (header.questions != 1 || header.answers != 0 || header.authorities != 0 || header.additional > kMostAdditional ||
      (header.flags & kTruncated) != 0) {
    return std::nullopt;
  }
  Question question;
  question.id = header.id;
  question.recursion_desired = malformed->recursion_desired;
  size_t at = kHeaderBytes;
  if (!read_name(message, &at, &question.name) || message.size() - at < kFixedQuestionBytes) return std::nullopt;
  question.type = number_at(message, at);
  question.record_class = number_at(message, at + 2);
  at += kFixedQuestionBytes;
  question.wire = std::string(message.substr(kHeaderBytes, at - kHeaderBytes));
  if (!read_additional(message, at, header.additional, &question)) return std::nullopt;
  return question;
}

bool answers(std::string_view message, uint16_t id, const Question& question) {
  const std::string& asked = question.wire;
  if (message.size() < kHeaderBytes + asked.size()) return false;
  Header header = header_of(message);
  if (header.id != id || (header.flags & kIsAnswer) == 0 || header.questions != 1) return false;
  std::string_view told = message.substr(kHeaderBytes, asked.size());
  size_t name_bytes = asked.size() - kFixedQuestionBytes;
  // Sizes of labels are no letters.
  return told.substr(name_bytes) == std::string_view(asked).substr(name_bytes) &&
         std::equal(told.begin(), told.begin() + static_cast<ptrdiff_t>(name_bytes), asked.begin(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

std::string address_answer(const Question& question, const AddressAnswer& answer, size_t max_bytes) {
  WEFT_ASSERT(question.asks_address());
  bool ipv6 = question.type == static_cast<uint16_t>(RecordType::kAaaa);
  Address::Family family = ipv6 ? Address::Family::kIpv6 : Address::Family::kIpv4;
  size_t address_bytes = ipv6 ? 16 : 4;
  std::vector<std::string_view> addresses;
  for (const Address& each : answer.addresses) {
    if (each.family == family) addresses.emplace_back(reinterpret_cast<const char*>(each.ip), address_bytes);
  }
  if (!addresses.empty())
    std::ranges::rotate(addresses, addresses.begin() + static_cast<ptrdiff_t>(answer.first % addresses.size()));
  size_t fixed = kHeaderBytes + question.wire.size() + (question.edns ? kOptRecordBytes : 0);
  std::string records;
  uint16_t written = 0;
  size_t owner_at = kHeaderBytes;
  if (!answer.canonical.empty() && !addresses.empty()) {
    std::string name;
    put_name(name, answer.canonical);
    put_record(records, owner_at, RecordType::kCname, answer.ttl_s, name);
    owner_at = kHeaderBytes + question.wire.size() + kPointerBytes + kFixedRecordBytes;
    ++written;
  }
  bool truncated = fixed + records.size() > max_bytes;
  if (truncated) {
    records.clear();
    written = 0;
  }
  for (size_t i = 0; !truncated && i < addresses.size(); ++i) {
    truncated = fixed + records.size() + kPointerBytes + kFixedRecordBytes + address_bytes > max_bytes;
    if (truncated) break;
    put_record(records, owner_at, static_cast<RecordType>(question.type), answer.ttl_s, addresses[i]);
    ++written;
  }
  auto flags = static_cast<uint16_t>(answer_flags(question.recursion_desired, Rcode::kNoError) | kAuthoritative |
                                     (truncated ? kTruncated : 0));
  std::string out;
  put_header(out, {question.id, flags, 1, written, 0, static_cast<uint16_t>(question.edns ? 1 : 0)});
  out += question.wire + records;
  put_edns(out, question, Rcode::kNoError);
  return out;
}

std::string empty_answer(const Question& question, Rcode rcode) {
  return without_records(question, question.id, answer_flags(question.recursion_desired, rcode), rcode);
}

std::string error_answer(const Malformed& malformed) {
  std::string out;
  put_header(out, {malformed.id, answer_flags(malformed.recursion_desired, malformed.rcode), 0, 0, 0, 0});
  return out;
}

std::string cut_answer(std::string_view message, const Question& question, size_t max_bytes) {
  if (message.size() <= max_bytes) return std::string(message);
  Header header = header_of(message);
  return without_records(question, header.id, static_cast<uint16_t>(header.flags | kTruncated), Rcode::kNoError);
}

uint16_t id_of(std::string_view message) { return number_at(message, 0); }

Rcode rcode_of(std::string_view message) { return static_cast<Rcode>(static_cast<uint8_t>(message[3]) & kRcodeBits); }

std::string with_id(std::string_view message, uint16_t id) {
  WEFT_ASSERT(message.size() >= kHeaderBytes);
  std::string out;
  out.reserve(message.size());
  put(out, id);
  out.append(message.substr(2));
  return out;
}

std::string with_rcode(std::string_view message, Rcode rcode) {
  WEFT_ASSERT(message.size() >= kHeaderBytes);
  std::string out(message);
  out[3] = static_cast<char>((static_cast<uint8_t>(out[3]) & ~kRcodeBits) | static_cast<uint16_t>(rcode));
  return out;
}

}  // namespace weft::dns
