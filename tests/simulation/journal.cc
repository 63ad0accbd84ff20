#include "tests/simulation/journal.h"

#include "absl/strings/str_cat.h"
#include "proxy/base/hash.h"

namespace weft::simulation {

void Journal::note(int64_t now_us, std::string_view what, std::string_view bytes) {
  ++lines_;
  hash_ = base::xxhash64(what, hash_ ^ static_cast<uint64_t>(now_us));
  hash_ = base::xxhash64(bytes, hash_);
  if (!print_) return;
  std::string line = absl::StrCat(now_us / 1'000'000, ".", absl::Dec(now_us % 1'000'000, absl::kZeroPad6), " ",
                                  absl::string_view(what.data(), what.size()));
  if (!bytes.empty()) absl::StrAppend(&line, " [", bytes.size(), " bytes, ", absl::Hex(base::xxhash64(bytes)), "]");
  print_(line);
}

void Journal::fail(int64_t now_us, std::string what) {
  note(now_us, absl::StrCat("BROKEN: ", what));
  if (failure_.empty()) failure_ = absl::StrCat("at ", now_us / 1000, " ms: ", what);
}

}  // namespace weft::simulation
