#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/transport/byte_stream.h"

// DNS messages (RFC 1035, with EDNS of RFC 6891) as the responder needs them: questions are read strictly, answers are
// written with as many whole records as there is room for. Of other servers' answers only the head and the question are
// looked at, and they pass on as they are. Bytes in, bytes out; any thread.

namespace weft::dns {

inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kMaxMessageBytes = 65'535;
inline constexpr size_t kPlainUdpBytes = 512;    // Of an answer by UDP to a question without EDNS.
inline constexpr size_t kMostUdpBytes = 65'507;  // No datagram has more.
inline constexpr uint16_t kOwnUdpBytes = 4096;   // What we say that we take.
inline constexpr size_t kMaxNameBytes = 255;     // On the wire.

enum class Rcode : uint16_t {
  kNoError = 0,
  kFormatError = 1,
  kServerFailure = 2,
  kNameError = 3,
  kNotImplemented = 4,
  kRefused = 5,
  kBadVersion = 16,  // Of EDNS.
};

enum class RecordType : uint16_t { kA = 1, kCname = 5, kAaaa = 28, kOpt = 41 };
inline constexpr uint16_t kClassInternet = 1;

struct Edns {
  uint16_t udp_bytes = kPlainUdpBytes;
  uint8_t version = 0;
  bool dnssec_ok = false;
};

struct Question {
  uint16_t id = 0;
  bool recursion_desired = false;
  // Lower case, without the last dot; a dot within a label has a backslash before it. "" is the root.
  std::string name;
  uint16_t type = 0;
  uint16_t record_class = 0;
  std::string wire;  // The question section as it came, for the answer, which repeats its upper and lower case.
  std::optional<Edns> edns;

  bool asks_address() const;
  // How many bytes an answer by UDP may have.
  size_t udp_limit() const;
};

// What is wrong with a message that asks nothing that can be answered.
struct Malformed {
  bool answerable = false;  // It has an id, and is no answer itself.
  Rcode rcode = Rcode::kFormatError;
  uint16_t id = 0;
  bool recursion_desired = false;
};

// A question of one name; std::nullopt and *malformed otherwise.
std::optional<Question> parse_question(std::string_view message, Malformed* malformed);

// Whether `message` may be the answer to `question`: an answer with this id that repeats the question, be it in other
// upper and lower case.
bool answers(std::string_view message, uint16_t id, const Question& question);

// What is known of a name's addresses.
struct AddressAnswer {
  std::span<const transport::Address> addresses;  // Of both families.
  size_t first = 0;                               // Which of the asked family stands first; the others go round.
  std::string_view canonical;                     // Not empty: the name that was asked is another name of this one.
  uint32_t ttl_s = 0;
};
// An answer with the addresses of the question's family, which may be none, cut to whole records and marked as
// truncated where they are more than max_bytes.
std::string address_answer(const Question& question, const AddressAnswer& answer, size_t max_bytes);
// One without records.
std::string empty_answer(const Question& question, Rcode rcode);
std::string error_answer(const Malformed& malformed);
// `message`, an answer to `question`, in at most max_bytes: without its records and marked as truncated if it has more.
std::string cut_answer(std::string_view message, const Question& question, size_t max_bytes);

// Of a message that is at least a header.
uint16_t id_of(std::string_view message);
Rcode rcode_of(std::string_view message);  // Without the upper bits that EDNS gives it.
std::string with_id(std::string_view message, uint16_t id);
std::string with_rcode(std::string_view message, Rcode rcode);

}  // namespace weft::dns
