#include "proxy/config/kept/kept_config.h"

#include <algorithm>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "api/text/cat.h"
#include "envoy/config/core/v3/config_source.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "proxy/base/hash.h"
#include "proxy/base/log.h"
#include "proxy/config/kept/kept_file.h"
#include "proxy/config/xds/type.h"

namespace weft::config {
namespace {

namespace core_v3 = envoy::config::core::v3;
namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;

// Changes that follow one another closely are written together.
constexpr int64_t kWriteDelayMs = 1'000;

bool holds_bytes(const core_v3::DataSource& source) { return source.has_inline_bytes() || source.has_inline_string(); }

// Whether the secret itself, not a file that it names, holds what nobody else may know.
bool holds_key(const google::protobuf::Any& body) {
  tls_v3::Secret secret;
  if (!body.UnpackTo(&secret)) return true;
  if (secret.has_validation_context()) return false;
  if (!secret.has_tls_certificate()) return true;
  const tls_v3::TlsCertificate& certificate = secret.tls_certificate();
  return holds_bytes(certificate.private_key()) || holds_bytes(certificate.pkcs12()) ||
         holds_bytes(certificate.password());
}

std::string time_text(int64_t wall_ns) {
  time_t seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
  struct tm parts;
  gmtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

}  // namespace

absl::Status KeptConfig::check(const Options& options) {
  if (options.node_id.empty()) {
    return absl::InvalidArgumentError("--keep-config needs a node.id in the bootstrap: what is kept is one node's own");
  }
  return make_kept_directory(options.directory);
}

KeptConfig::KeptConfig(event::Loop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      write_timer_(loop.timers(), base::bind<&KeptConfig::write_changed>(this)),
      stats_("keep_config.", "", "", 1) {}

KeptConfig::~KeptConfig() { write_changed(); }

std::string KeptConfig::key_of(const std::string& source) {
  core_v3::ConfigSource parsed;
  if (!parsed.ParseFromString(source) || !(parsed.has_ads() || parsed.has_api_config_source())) return {};
  parsed.clear_initial_fetch_timeout();
  parsed.clear_resource_api_version();
  return parsed.SerializeAsString();
}

std::string KeptConfig::path_of(const Key& key) const {
  std::string hash = absl::StrCat(absl::Hex(base::xxhash64(key.first), absl::kZeroPad16));
  return text::cat(options_.directory, "/", xds::type_info(key.second).noun, "-", hash, ".kept");
}

void KeptConfig::on_update(const std::string& source, xds::Type type, const xds::Update& update,
                           const std::vector<xds::Refusal>& refusals) {
  Key key(key_of(source), type);
  if (key.first.empty()) return;
  heard_.insert(key.first);
  if (away_.erase(key.first) != 0) base::log_info("keep-config: the control plane is back; its word counts again");
  forget_restored(key, update);
  std::set<std::string> refused;
  for (const xds::Refusal& refusal : refusals) refused.insert(refusal.name);
  Resources& taken = taken_[key];
  std::set<std::string> present;
  for (const xds::Resource& resource : update.changed) {
    present.insert(resource.name);
    // Of what was refused the one before is in force.
    if (refused.contains(resource.name)) continue;
    if (may_write(type, resource)) {
      taken.by_name[resource.name] = resource;
    } else {
      taken.by_name.erase(resource.name);
    }
  }
  for (const std::string& name : update.removed) taken.by_name.erase(name);
  if (update.whole) std::erase_if(taken.by_name, [&](const auto& each) { return !present.contains(each.first); });
  if (refusals.empty()) taken.version = update.version;
  taken.taken_wall_ns = loop_.wall_ns();
  changed_.insert(key);
  if (!write_timer_.armed()) write_timer_.arm(kWriteDelayMs);
}

void KeptConfig::forget_restored(const Key& key, const xds::Update& update) {
  auto found = restored_.find(key);
  if (found == restored_.end()) return;
  size_t before = found->second.size();
  if (update.whole) {
    found->second.clear();
  } else {
    for (const xds::Resource& resource : update.changed) found->second.erase(resource.name);
    for (const std::string& name : update.removed) found->second.erase(name);
  }
  stats_.of_worker(0).restored_resources.subtract(static_cast<int64_t>(before - found->second.size()));
}

void KeptConfig::on_wanted(const std::string& source, xds::Type type, const std::vector<std::string>& names) {
  Key key(key_of(source), type);
  if (key.first.empty() || xds::type_info(type).whole) return;
  wanted_[key][source] = {names.begin(), names.end()};
  if (names.empty()) wanted_[key].erase(source);
}

void KeptConfig::forget_unwanted(const Key& key, Resources* resources) {
  if (xds::type_info(key.second).whole) return;
  const auto& by_source = wanted_[key];
  std::erase_if(resources->by_name, [&](const auto& each) {
    return std::none_of(by_source.begin(), by_source.end(),
                        [&](const auto& names) { return names.second.contains(each.first); });
  });
}

bool KeptConfig::on_fetch_timeout(const std::string& source) {
  std::string key = key_of(source);
  if (key.empty() || heard_.contains(key)) return false;
  away_.insert(key);
  return true;
}

std::optional<xds::Update> KeptConfig::restore(const std::string& source, xds::Type type,
                                               const std::vector<std::string>& names) {
  Key key(key_of(source), type);
  Resources* found = load(key);
  if (found == nullptr) return std::nullopt;
  xds::Update update;
  update.version = found->version;
  update.whole = xds::type_info(type).whole;
  std::set<std::string>& restored = restored_[key];
  auto give = [&](const xds::Resource& resource) {
    update.changed.push_back(resource);
    if (restored.insert(resource.name).second) stats_.of_worker(0).restored_resources.add();
  };
  if (names.empty()) {
    for (const auto& [name, resource] : found->by_name) give(resource);
  }
  for (const std::string& name : names) {
    if (auto resource = found->by_name.find(name); resource != found->by_name.end()) give(resource->second);
  }
  if (update.changed.empty()) return std::nullopt;
  base::log_warning(text::cat("keep-config: the control plane did not answer in time; restored from ", path_of(key),
                              ": ", update.changed.size(), " resources (", xds::type_info(type).noun, "), version \"",
                              found->version, "\", taken at ", time_text(found->taken_wall_ns)));
  return update;
}

bool KeptConfig::restored(const std::string& source, xds::Type type, const std::string& name) const {
  auto found = restored_.find({key_of(source), type});
  return found != restored_.end() && found->second.contains(name);
}

KeptConfig::Resources* KeptConfig::load(const Key& key) {
  auto [found, is_new] = found_.try_emplace(key);
  if (is_new) {
    Resources resources;
    absl::Status status = read(key, &resources);
    if (status.ok()) {
      found->second = std::move(resources);
      // An update of some of them leaves the others in the file.
      if (!xds::type_info(key.second).whole) taken_.try_emplace(key, *found->second);
    } else if (!absl::IsNotFound(status)) {
      stats_.of_worker(0).refused_files.add();
      base::log_error(text::cat("keep-config: not restored, ", status.message()));
    }
  }
  return found->second ? &*found->second : nullptr;
}

absl::Status KeptConfig::read(const Key& key, Resources* into) const {
  std::string path = path_of(key);
  absl::StatusOr<std::string> bytes = read_kept_file(path);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<v1::KeptResources> kept = decode_kept(*bytes);
  if (!kept.ok()) return absl::DataLossError(text::cat(path, ": ", kept.status().message()));
  if (kept->node_id() != options_.node_id) {
    return absl::FailedPreconditionError(
        text::cat(path, ": is of node \"", kept->node_id(), "\", this is \"", options_.node_id, "\""));
  }
  if (kept->source() != key.first || kept->type_url() != xds::type_url(key.second)) {
    return absl::FailedPreconditionError(text::cat(path, ": is of another source or type than its name says"));
  }
  into->version = kept->version();
  into->taken_wall_ns = kept->taken_wall_ns();
  for (const auto& resource : kept->resources()) {
    into->by_name[resource.name()] = {resource.name(), resource.version(), resource.body()};
  }
  return absl::OkStatus();
}

bool KeptConfig::may_write(xds::Type type, const xds::Resource& resource) const {
  return type != xds::Type::kSecret || options_.private_keys || !holds_key(resource.body);
}

void KeptConfig::write_changed() {
  for (const Key& key : std::exchange(changed_, {})) {
    Resources& taken = taken_.at(key);
    forget_unwanted(key, &taken);
    v1::KeptResources kept;
    kept.set_node_id(options_.node_id);
    kept.set_source(key.first);
    kept.set_type_url(std::string(xds::type_url(key.second)));
    kept.set_version(taken.version);
    kept.set_taken_wall_ns(taken.taken_wall_ns);
    for (const auto& [name, resource] : taken.by_name) {
      v1::KeptResources::Resource* out = kept.add_resources();
      out->set_name(name);
      out->set_version(resource.version);
      *out->mutable_body() = resource.body;
    }
    absl::Status status = write_kept_file(path_of(key), encode_kept(kept));
    (status.ok() ? stats_.of_worker(0).writes : stats_.of_worker(0).write_failures).add();
    if (!status.ok()) base::log_error(text::cat("keep-config: ", status.message()));
  }
}

}  // namespace weft::config
