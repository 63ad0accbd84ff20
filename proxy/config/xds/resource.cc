#include "proxy/config/xds/resource.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>

#include "api/text/cat.h"
#include "proxy/config/xds/duration.h"
#include "proxy/config/xds/type.h"

namespace weft::config::xds {
namespace {

using google::protobuf::internal::WireFormatLite;

constexpr std::string_view kWrapperUrl = "type.googleapis.com/envoy.service.discovery.v3.Resource";
constexpr size_t kMaxRefusalBytes = 16 * 1024;

// Longer than a year is as good as a year.
int64_t milliseconds(const google::protobuf::Duration& duration) {
  constexpr int64_t kYearMs = int64_t{365} * 24 * 3600 * 1000;
  if (duration.seconds() < 0 || duration.nanos() < 0) return 0;
  return std::min(to_ms(duration), kYearMs);
}

// Checks the body's type and name; `resource.name` is what the wrapper says, if anything.
void look_within(Type type, Received& received) {
  Resource& resource = received.resource;
  if (resource.body.type_url() != type_url(type)) {
    received.problem = text::cat("is of type ", resource.body.type_url(), ", expected ", type_url(type));
    return;
  }
  std::optional<std::string> name = name_within(resource.body.value());
  if (!name) {
    received.problem = "its bytes are no valid protobuf message";
  } else if (resource.name.empty()) {
    resource.name = *std::move(name);
    if (resource.name.empty()) received.problem = "has no name";
  } else if (*name != resource.name) {
    received.problem = text::cat("holds one of another name, \"", *name, "\"");
  }
}

Received read_wrapped(Type type, const discovery_v3::Resource& wrapped) {
  Received received;
  received.resource.name = wrapped.has_resource_name() ? wrapped.resource_name().name() : wrapped.name();
  received.resource.version = wrapped.version();
  if (wrapped.has_ttl()) {
    received.ttl_ms = milliseconds(wrapped.ttl());
    if (*received.ttl_ms <= 0) received.problem = "its ttl must be above 0";
  }
  received.heartbeat = !wrapped.has_resource();
  if (!received.heartbeat) {
    received.resource.body = wrapped.resource();
    if (received.problem.empty()) look_within(type, received);
  } else if (received.resource.name.empty()) {
    received.problem = "has neither name nor body";
  } else if (!received.ttl_ms) {
    received.problem = "has neither body nor ttl";
  }
  return received;
}

}  // namespace

std::optional<std::string> name_within(std::string_view bytes) {
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  constexpr uint32_t kNameTag = WireFormatLite::MakeTag(1, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  std::string name;
  while (uint32_t tag = input.ReadTag()) {
    bool good = tag == kNameTag ? WireFormatLite::ReadString(&input, &name) : WireFormatLite::SkipField(&input, tag);
    if (!good) return std::nullopt;
  }
  if (!input.ConsumedEntireMessage()) return std::nullopt;
  return name;
}

Received read_sotw(Type type, const google::protobuf::Any& any, std::string_view version) {
  if (any.type_url() == kWrapperUrl) {
    discovery_v3::Resource wrapped;
    Received received;
    if (!wrapped.ParseFromString(any.value())) {
      received.problem = "its wrapper is no valid envoy.service.discovery.v3.Resource";
      return received;
    }
    received = read_wrapped(type, wrapped);
    if (received.resource.version.empty()) received.resource.version = version;
    return received;
  }
  Received received;
  received.resource.version = version;
  received.resource.body = any;
  look_within(type, received);
  return received;
}

Received read_delta(Type type, const discovery_v3::Resource& wrapped) {
  Received received = read_wrapped(type, wrapped);
  if (received.problem.empty() && wrapped.name().empty() && !wrapped.has_resource_name()) {
    received.problem = "its wrapper has no name";
  }
  return received;
}

std::string refusal_text(Type type, const std::vector<Refusal>& refusals) {
  std::string result;
  size_t told = 0;
  for (const Refusal& refusal : refusals) {
    std::string line = text::cat(type_info(type).noun, " \"", refusal.name, "\": ", refusal.reason);
    if (line.size() > kMaxRefusalBytes) line = line.substr(0, kMaxRefusalBytes) + "...";
    if (told != 0 && result.size() + line.size() > kMaxRefusalBytes) break;
    if (told++ != 0) result += '\n';
    result += line;
  }
  if (told < refusals.size()) text::append(&result, "\n... and ", refusals.size() - told, " more");
  return result;
}

}  // namespace weft::config::xds
