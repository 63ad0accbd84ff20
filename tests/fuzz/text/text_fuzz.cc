// Any bytes are either refused with a reason or read as a message that survives printing and reading again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "api/text/parse.h"
#include "api/text/print.h"
#include "api/text/unsupported.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"

namespace {

using envoy::config::bootstrap::v3::Bootstrap;

void require(bool condition) {
  if (!condition) std::abort();
}

void read_again(const std::string& text, std::string_view name, const std::string& json) {
  Bootstrap again;
  const absl::Status status = weft::text::parse(text, name, &again);
  // Text that nearly reached a limit may pass it when printed in another form.
  if (status.ok()) require(weft::text::print_json(again) == json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  weft::text::ParseOptions options;
  options.max_values = 20'000;
  options.keep_unknown_types = (data[0] & 1) != 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const std::string_view name : {std::string_view("a.yaml"), std::string_view("a.json")}) {
    Bootstrap bootstrap;
    weft::text::Source source;
    const absl::Status status = weft::text::parse(text, name, &bootstrap, options, &source);
    require(status.ok() || !status.message().empty());
    if (!status.ok()) continue;
    const std::string json = weft::text::print_json(bootstrap);
    read_again(json, "b.json", json);
    read_again(weft::text::print_yaml(bootstrap), "b.yaml", json);
    const weft::text::SupportedFields nothing(std::span<const std::string_view>{});
    weft::text::find_unsupported(bootstrap, nothing, &source.positions);
  }
  return 0;
}
