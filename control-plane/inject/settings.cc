#include "control-plane/inject/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/text/cat.h"
#include "api/text/parse.h"
#include "control-plane/registry/format.h"
#include "weft/v1/inject_config.pb.h"

namespace weft::control::inject {

namespace {

using text::cat;

constexpr std::string_view kPrefix = "weft.mesh/";
constexpr size_t kMaxImageBytes = 512;
constexpr size_t kMaxNameBytes = 253;
// A pod's annotations may have 256 KiB in all.
constexpr size_t kMaxCaBytes = 64 << 10;

// Each of these returns what was expected, or nothing.
using Take = std::string (*)(const std::string& value, Settings& out);

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

template <typename Words>
std::string joined(const Words& words) {
  std::string out;
  for (const std::string_view each : words) text::append(&out, out.empty() ? "" : ", ", each);
  return out;
}

std::string take_bool(const std::string& value, bool* out) {
  if (value != "true" && value != "false") return "\"true\" or \"false\"";
  *out = value == "true";
  return "";
}

template <size_t size>
std::string take_word(const std::string& value, const std::array<std::string_view, size>& words, std::string* out) {
  if (std::find(words.begin(), words.end(), value) == words.end()) return cat("one of ", joined(words));
  *out = value;
  return "";
}

// Digits with at most one point, then a suffix or an exponent.
bool is_quantity(std::string_view text) {
  constexpr std::array<std::string_view, 15> kSuffixes = {"",  "n", "u",  "m",  "k",  "M",  "G", "T",
                                                          "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi"};
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, end), suffix = text.substr(end);
  const bool is_number = std::count(number.begin(), number.end(), '.') <= 1 &&
                         number.find_first_of("0123456789") != number.npos && number.size() < 20;
  return is_number && std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end();
}

template <std::string Settings::* field>
std::string take_quantity(const std::string& value, Settings& out) {
  if (!is_quantity(value)) return "a quantity such as 100m, 0.5, 64Mi or 1Gi";
  out.*field = value;
  return "";
}

bool is_port(std::string_view text) {
  uint32_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

bool is_cidr(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string_view address = text.substr(0, slash);
  if (!registry::is_ip(address)) return false;
  if (slash == text.npos) return true;
  const std::string_view digits = text.substr(slash + 1);
  uint32_t bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const uint32_t most = registry::is_ipv4(address) ? 32 : 128;
  return error == std::errc() && end == digits.data() + digits.size() && bits <= most;
}

// Items with commas between; an empty text is none.
template <std::string Settings::* field, bool (*is_item)(std::string_view)>
std::string take_list(const std::string& value, Settings& out) {
  std::vector<std::string> items;
  for (absl::string_view each : absl::StrSplit(value, ',', absl::SkipWhitespace())) {
    std::string item(each);
    item.erase(0, item.find_first_not_of(' '));
    item.erase(item.find_last_not_of(' ') + 1);
    if (!is_item(item)) {
      return cat(is_item == is_port ? "ports from 1 to 65535" : "addresses or CIDRs", " with commas between, not \"",
                 item, "\"");
    }
    items.push_back(std::move(item));
  }
  out.*field = absl::StrJoin(items, ",");
  return "";
}

std::string take_image(const std::string& value, Settings& out) {
  if (value.empty() || value.size() > kMaxImageBytes || !is_printable(value)) return "the name of an image";
  out.image = value;
  return "";
}

std::string take_control(const std::string& value, Settings& out) {
  const size_t colon = value.rfind(':');
  std::string host = value.substr(0, colon);
  const bool has_brackets = host.starts_with('[') && host.ends_with(']');
  if (has_brackets) host = host.substr(1, host.size() - 2);
  const bool is_host = has_brackets ? registry::is_ipv6(host) : registry::is_ipv4(host) || registry::is_dns_name(host);
  if (colon == value.npos || !is_host || !is_port(value.substr(colon + 1))) {
    return "HOST:PORT, such as weft-control.weft-system.svc:15010";
  }
  out.control_address = value;
  return "";
}

std::string take_name(const std::string& value, std::string* out) {
  if (value.size() > kMaxNameBytes || !registry::is_dns_name(value)) return "the name of an object";
  *out = value;
  return "";
}

std::string take_ca(const std::string& value, Settings& out) {
  if (value.find("-----BEGIN CERTIFICATE-----") == value.npos) return "certificates in PEM";
  if (value.find("PRIVATE KEY") != value.npos) return "certificates alone, without any key";
  if (value.size() > kMaxCaBytes) return cat("at most ", kMaxCaBytes, " bytes of certificates; or a ConfigMap");
  out.ca = value;
  out.ca_config_map.clear();
  return "";
}

std::string take_form(const std::string& value, Settings& out) {
  if (value != "native" && value != "classic") return "native or classic";
  out.native = value == "native";
  return "";
}

std::string take_app_port(const std::string& value, Settings& out) {
  if (!is_port(value)) return "a port from 1 to 65535";
  std::from_chars(value.data(), value.data() + value.size(), out.app_port);
  return "";
}

struct Setting {
  std::string_view name;
  Take take;
};

constexpr std::array<std::string_view, 7> kLogLevels = {"trace", "debug",    "info", "warning",
                                                        "error", "critical", "off"};
constexpr std::array<std::string_view, 3> kPullPolicies = {"Always", "IfNotPresent", "Never"};

// What a pod may say, and so may the operator.
constexpr Setting kOfPods[] = {
    {"proxy-image", take_image},
    {"proxy-image-pull-policy",
     [](const std::string& value, Settings& out) { return take_word(value, kPullPolicies, &out.image_pull_policy); }},
    {"proxy-cpu", take_quantity<&Settings::cpu>},
    {"proxy-memory", take_quantity<&Settings::memory>},
    {"proxy-cpu-limit", take_quantity<&Settings::cpu_limit>},
    {"proxy-memory-limit", take_quantity<&Settings::memory_limit>},
    {"log-level", [](const std::string& value, Settings& out) { return take_word(value, kLogLevels, &out.log_level); }},
    {"sidecar-form", take_form},
    {"hold-application",
     [](const std::string& value, Settings& out) { return take_bool(value, &out.hold_application); }},
    {"rewrite-probes", [](const std::string& value, Settings& out) { return take_bool(value, &out.rewrite_probes); }},
    {"dns", [](const std::string& value, Settings& out) { return take_bool(value, &out.dns); }},
    {"include-inbound-ports", take_list<&Settings::include_inbound_ports, is_port>},
    {"include-outbound-ports", take_list<&Settings::include_outbound_ports, is_port>},
    {"exclude-inbound-ports", take_list<&Settings::exclude_inbound_ports, is_port>},
    {"exclude-outbound-ports", take_list<&Settings::exclude_outbound_ports, is_port>},
    {"include-outbound-cidrs", take_list<&Settings::include_outbound_cidrs, is_cidr>},
    {"exclude-outbound-cidrs", take_list<&Settings::exclude_outbound_cidrs, is_cidr>},
    {"service",
     [](const std::string& value, Settings& out) {
       if (!registry::is_dns_label(value)) return std::string("the name of a service");
       out.service = value;
       return std::string();
     }},
    {"app-port", take_app_port},
};
// What only the operator may say: whom proxies trust, and by what they are let in.
constexpr Setting kOfOperators[] = {
    {"control-address", take_control},
    {"ca", take_ca},
    {"ca-config-map",
     [](const std::string& value, Settings& out) {
       out.ca.clear();
       return take_name(value, &out.ca_config_map);
     }},
    {"token-secret", [](const std::string& value, Settings& out) { return take_name(value, &out.token_secret); }},
};
// Annotations of ours on pods that are for others to read.
constexpr std::string_view kElsewhere[] = {"inject", "injected"};

const Setting* find(std::string_view name, std::span<const Setting> among) {
  for (const Setting& each : among) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

std::string known_names() {
  std::vector<std::string_view> names;
  for (const Setting& each : kOfPods) names.push_back(each.name);
  return joined(names);
}

// Fields of the configuration by the names of the settings; what is unset is left out.
std::vector<std::pair<std::string_view, std::pair<std::string, std::string>>> given(const v1::InjectConfig& config) {
  std::vector<std::pair<std::string_view, std::pair<std::string, std::string>>> out;
  const auto add = [&out](std::string_view name, std::string_view path, const std::string& value) {
    if (!value.empty()) out.push_back({name, {std::string(path), value}});
  };
  const auto word = [](bool value) { return value ? "true" : "false"; };
  add("proxy-image", "image", config.image());
  add("proxy-image-pull-policy", "imagePullPolicy", config.image_pull_policy());
  add("control-address", "controlAddress", config.control_address());
  add("ca", "ca", config.ca());
  add("ca-config-map", "caConfigMap", config.ca_config_map());
  add("token-secret", "tokenSecret", config.token_secret());
  add("sidecar-form", "form", config.form());
  if (config.has_hold_application()) add("hold-application", "holdApplication", word(config.hold_application()));
  if (config.has_rewrite_probes()) add("rewrite-probes", "rewriteProbes", word(config.rewrite_probes()));
  if (config.has_dns()) add("dns", "dns", word(config.dns()));
  add("log-level", "logLevel", config.log_level());
  add("proxy-cpu", "resources.cpu", config.resources().cpu());
  add("proxy-memory", "resources.memory", config.resources().memory());
  add("proxy-cpu-limit", "resources.cpuLimit", config.resources().cpu_limit());
  add("proxy-memory-limit", "resources.memoryLimit", config.resources().memory_limit());
  const v1::InjectInterception& through = config.interception();
  add("include-inbound-ports", "interception.includeInboundPorts", absl::StrJoin(through.include_inbound_ports(), ","));
  add("include-outbound-ports", "interception.includeOutboundPorts",
      absl::StrJoin(through.include_outbound_ports(), ","));
  add("exclude-inbound-ports", "interception.excludeInboundPorts", absl::StrJoin(through.exclude_inbound_ports(), ","));
  add("exclude-outbound-ports", "interception.excludeOutboundPorts",
      absl::StrJoin(through.exclude_outbound_ports(), ","));
  add("include-outbound-cidrs", "interception.includeOutboundCidrs",
      absl::StrJoin(through.include_outbound_cidrs(), ","));
  add("exclude-outbound-cidrs", "interception.excludeOutboundCidrs",
      absl::StrJoin(through.exclude_outbound_cidrs(), ","));
  return out;
}

}  // namespace

Settings default_settings() {
  Settings settings;
  settings.image = "weft-proxy:0.1.0";
  settings.control_address = "weft-control.weft-system.svc:15010";
  settings.ca_config_map = "weft-ca";
  settings.log_level = "info";
  settings.cpu = "100m";
  settings.memory = "64Mi";
  return settings;
}

absl::StatusOr<Settings> read_settings(std::string_view text, std::string_view file_name) {
  v1::InjectConfig config;
  text::ParseOptions options;
  options.json_names = true;
  text::Source source;
  if (absl::Status status = text::parse(text, file_name, &config, options, &source); !status.ok()) return status;
  Settings settings = default_settings();
  std::string mistakes;
  for (const auto& [name, field] : given(config)) {
    if (absl::Status status = override_setting(name, field.second, &settings); !status.ok()) {
      text::append(&mistakes, mistakes.empty() ? "" : "\n", source.positions.locate(field.first), ": ",
                   status.message());
    }
  }
  if (!mistakes.empty()) return absl::InvalidArgumentError(mistakes);
  return settings;
}

absl::Status override_setting(std::string_view name, const std::string& value, Settings* settings) {
  const Setting* setting = find(name, kOfPods);
  if (setting == nullptr) setting = find(name, kOfOperators);
  if (setting == nullptr) return absl::InvalidArgumentError(cat("there is no setting ", name));
  const std::string expected = setting->take(value, *settings);
  if (expected.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(name == "ca" ? cat("expected ", expected)
                                                 : cat("expected ", expected, "; got \"", value, "\""));
}

std::vector<BadAnnotation> apply_annotations(const std::map<std::string, std::string>& annotations, Settings* settings,
                                             std::vector<std::string>* unknown) {
  std::vector<BadAnnotation> bad;
  for (const auto& [name, value] : annotations) {
    if (!name.starts_with(kPrefix)) continue;
    const std::string_view own = std::string_view(name).substr(kPrefix.size());
    if (const Setting* setting = find(own, kOfPods); setting != nullptr) {
      const std::string expected = setting->take(value, *settings);
      if (!expected.empty()) bad.push_back({name, cat("expected ", expected, "; got \"", value, "\"")});
    } else if (find(own, kOfOperators) != nullptr) {
      bad.push_back({name, "only the operator may say this, in the injector's configuration"});
    } else if (std::find(std::begin(kElsewhere), std::end(kElsewhere), own) == std::end(kElsewhere)) {
      unknown->push_back(cat(name, " means nothing on a pod; known are, after ", kPrefix, ": inject, ", known_names()));
    }
  }
  return bad;
}

}  // namespace weft::control::inject
