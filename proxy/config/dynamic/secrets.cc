#include "proxy/config/dynamic/secrets.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "envoy/config/core/v3/config_source.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "proxy/base/log.h"
#include "proxy/config/compile/resource.h"
#include "proxy/config/files/file_watch.h"
#include "proxy/transport/signing_request.h"

namespace weft::config {
namespace {

bool equal(const transport::SecretText& a, const transport::SecretText& b) {
  return a.secret == b.secret && a.files == b.files;
}

// "secret \"x\"", or the file of one that has no name.
std::string described(const transport::SecretName& name) {
  if (!name.is_local()) return absl::StrCat("secret \"", name.name, "\"");
  std::string files;
  for (const std::string& path : secret_files(name.name).paths)
    absl::StrAppend(&files, files.empty() ? "" : ", ", path);
  return absl::StrCat("secret in ", files);
}

}  // namespace

Secrets::Entry::Entry(Secrets& owner, const transport::SecretName& name) : owner_(owner), name_(name) {
  // A secret of the configuration itself has no name by which it could be told.
  std::string prefix = absl::StrCat("sds.", name.is_local() ? "local" : name.name, ".");
  stats_ = owner.parts_.family<observe::SecretStats>(prefix, "", "");
}

void Secrets::Entry::on_file_changed() {
  owner_.files_changed_.insert(this);
  owner_.files_timer_.arm(0);
}

Secrets::Need::~Need() {
  owner_.needs_.erase(this);
  for (const auto& use : uses_) {
    for (const transport::SecretName& name : use->secret_names()) owner_.unwant(name, *this);
  }
}

bool Secrets::Need::settled() const {
  return std::all_of(uses_.begin(), uses_.end(), [this](const auto& use) {
    const auto& names = use->secret_names();
    return std::all_of(names.begin(), names.end(),
                       [this](const auto& name) { return owner_.entries_.at(name)->settled(); });
  });
}

std::vector<const transport::SecretText*> Secrets::Need::texts(const transport::SecretUse& use, const Entry* changing,
                                                               const transport::SecretText* text) const {
  std::vector<const transport::SecretText*> result;
  for (const transport::SecretName& name : use.secret_names()) {
    const Entry& entry = *owner_.entries_.at(name);
    if (&entry != changing && !entry.text_) return {};
    result.push_back(&entry == changing ? text : &*entry.text_);
  }
  return result;
}

Secrets::Secrets(SharedParts& parts, event::Loop& loop, Sources& sources, Files files)
    : parts_(parts),
      loop_(loop),
      sources_(sources),
      files_(std::move(files)),
      own_timer_(loop.timers(), base::bind<&Secrets::on_own_timeout>(this)),
      files_timer_(loop.timers(), base::bind<&Secrets::read_changed_files>(this)) {}

Secrets::~Secrets() = default;

std::unique_ptr<ListenerNeed> Secrets::need(const snapshot::Listener& listener, std::function<void()> on_settled) {
  Uses uses;
  each_chain(listener, [&uses](const auto& chain) {
    transport::SecretUse* use = chain->tls == nullptr ? nullptr : chain->tls->secret_use();
    if (use != nullptr) uses.emplace_back(chain->tls, use);
  });
  auto count = [stats = listener.stats] {
    stats->of_worker(0).server_ssl_socket_factory_ssl_context_update_by_sds.add();
  };
  return need(absl::StrCat("listener \"", listener.name, "\""), std::move(uses), std::move(on_settled), count);
}

std::unique_ptr<Secrets::Need> Secrets::need(std::string who, Uses uses, std::function<void()> settled,
                                             std::function<void()> changed) {
  auto need = std::unique_ptr<Need>(new Need(*this, std::move(who)));
  needs_.insert(need.get());
  need->uses_ = std::move(uses);
  for (const auto& use : need->uses_) {
    for (const transport::SecretName& name : use->secret_names()) want(name, *need);
  }
  for (const auto& use : need->uses_) {
    std::vector<const transport::SecretText*> texts = need->texts(*use);
    if (texts.empty()) continue;
    absl::Status prepared = use->prepare(texts);
    if (prepared.ok()) {
      use->commit();
    } else {
      base::log_error(absl::StrCat(need->who_, ": its secrets do not fit it: ", prepared.message()));
    }
  }
  if (!need->settled()) need->settled_ = std::move(settled);
  need->changed_ = std::move(changed);
  return need;
}

Secrets::Entry& Secrets::want(const transport::SecretName& name, Need& need) {
  std::unique_ptr<Entry>& entry = entries_[name];
  bool is_new = entry == nullptr;
  if (is_new) entry = std::make_unique<Entry>(*this, name);
  entry->needs_.insert(&need);
  if (!is_new) return *entry;
  if (is_own(name)) {
    entry->text_ = own_;
    if (own_) hold_own(*entry);
    if (!own_ && !own_timer_.armed()) own_timer_.arm(kOwnTimeoutMs);
    return *entry;
  }
  if (!name.is_local()) {
    sources_.want(name.source, xds::Type::kSecret, name.name);
    return *entry;
  }
  absl::StatusOr<transport::SecretText> text = with_files(name.name);
  if (text.ok()) {
    entry->text_ = *std::move(text);
  } else {
    // The compiler has read it just now; what is in force stays.
    base::log_error(absl::StrCat(need.who_, ": ", text.status().message()));
    entry->timed_out_ = true;
  }
  watch_files(*entry);
  return *entry;
}

void Secrets::unwant(const transport::SecretName& name, Need& need) {
  auto found = entries_.find(name);
  Entry& entry = *found->second;
  entry.needs_.erase(entry.needs_.find(&need));
  if (!entry.needs_.empty()) return;
  unwatch_files(entry);
  files_changed_.erase(&entry);
  note(name);
  entries_.erase(found);
  if (!name.is_local() && !is_own(name)) sources_.unwant(name.source, xds::Type::kSecret, name.name);
}

std::vector<xds::Refusal> Secrets::on_update(const std::string& source, const xds::Update& update) {
  std::vector<xds::Refusal> refusals;
  for (const xds::Resource& resource : update.changed) {
    auto found = entries_.find({source, resource.name});
    if (found == entries_.end()) continue;  // Nobody has asked for it.
    found->second->stats().update_attempt.add();
    Held held = hold(resource, loop_.wall_ns());
    absl::StatusOr<transport::SecretText> text = with_files(resource.body.value());
    std::string reason = text.ok() ? apply(*found->second, *std::move(text)) : std::string(text.status().message());
    // Who is told may let go of it.
    found = entries_.find({source, resource.name});
    if (found == entries_.end()) continue;
    Entry& entry = *found->second;
    note(entry.name_);
    if (!reason.empty()) {
      entry.stats().update_rejected.add();
      entry.refused_ =
          std::make_unique<RefusedResource>(RefusedResource{resource.body, resource.version, reason, loop_.wall_ns()});
      refusals.push_back({resource.name, std::move(reason)});
      continue;
    }
    entry.stats().update_success.add();
    entry.refused_.reset();
    entry.held_ = std::move(held);
    watch_files(entry);
  }
  // A secret that the server takes away stays in force: what is made of it cannot do without.
  return refusals;
}

bool Secrets::is_own(const transport::SecretName& name) const {
  if (own_name_.empty() || name.name != own_name_) return false;
  envoy::config::core::v3::ConfigSource source;
  return source.ParseFromString(name.source) && source.has_ads();
}

absl::Status Secrets::give(const std::string& secret) {
  transport::SecretText text{secret, {}};
  absl::Status checked = check_secret_resource(parts_, own_name_, text);
  if (!checked.ok()) return checked;
  std::vector<transport::SecretName> names;
  for (const auto& [name, entry] : entries_) {
    if (is_own(name)) names.push_back(name);
  }
  for (const transport::SecretName& name : names) {
    // Who is told may let go of it.
    auto found = entries_.find(name);
    if (found == entries_.end()) continue;
    found->second->stats().update_attempt.add();
    std::string reason = apply(*found->second, text);
    found = entries_.find(name);
    if (found == entries_.end()) continue;
    if (!reason.empty()) {
      found->second->stats().update_rejected.add();
      return absl::InvalidArgumentError(reason);
    }
    found->second->stats().update_success.add();
    own_ = text;
    hold_own(*found->second);
  }
  own_ = std::move(text);
  own_timer_.disarm();
  return absl::OkStatus();
}

// As it is shown to people: without its key.
void Secrets::hold_own(Entry& entry) const {
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  secret.ParseFromString(own_->secret);
  transport::wipe(*secret.mutable_tls_certificate()->mutable_private_key()->mutable_inline_bytes());
  secret.mutable_tls_certificate()->clear_private_key();
  xds::Resource resource;
  resource.name = own_name_;
  resource.body.PackFrom(secret);
  entry.held_ = hold(resource, loop_.wall_ns());
}

void Secrets::on_own_timeout() {
  std::vector<std::pair<std::string, std::string>> late;
  for (const auto& [name, entry] : entries_) {
    if (is_own(name) && !entry->settled()) late.emplace_back(name.source, name.name);
  }
  for (const auto& [source, name] : late) on_fetch_timeout(source, {name});
}

std::string Secrets::apply(Entry& entry, transport::SecretText text) {
  if (entry.text_ && equal(*entry.text_, text)) return {};
  const std::string name = entry.name_.is_local() ? "" : entry.name_.name;
  absl::Status checked = check_secret_resource(parts_, name, text);
  if (!checked.ok()) return std::string(checked.message());
  std::set<Need*> needs(entry.needs_.begin(), entry.needs_.end());
  // A filter chain that a listener's versions share is in the need of each of them, and is made anew once.
  std::set<transport::SecretUse*> prepared;
  std::vector<Need*> told;
  for (Need* need : needs) {
    for (const auto& use : need->uses_) {
      const auto& names = use->secret_names();
      if (std::find(names.begin(), names.end(), entry.name_) == names.end()) continue;
      std::vector<const transport::SecretText*> texts = need->texts(*use, &entry, &text);
      if (texts.empty()) continue;
      told.push_back(need);
      if (!prepared.insert(use.get()).second) continue;
      absl::Status status = use->prepare(texts);
      if (!status.ok()) return absl::StrCat("it does not fit ", need->who_, ": ", status.message());
    }
  }
  entry.text_ = std::move(text);
  for (transport::SecretUse* use : prepared) use->commit();
  for (Need* need : told) {
    // One that was told may have let others go.
    if (needs_.contains(need) && need->changed_ != nullptr) std::function<void()>(need->changed_)();
  }
  settle(needs);
  return {};
}

void Secrets::on_fetch_timeout(const std::string& source, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    auto found = entries_.find({source, name});
    if (found == entries_.end()) continue;
    Entry& entry = *found->second;
    entry.stats().init_fetch_timeout.add();
    base::log_warning(absl::StrCat(described(entry.name_), " did not come within the initial fetch timeout"));
    entry.timed_out_ = true;
    settle({entry.needs_.begin(), entry.needs_.end()});
  }
}

void Secrets::settle(const std::set<Need*>& needs) {
  for (Need* need : needs) {
    if (needs_.contains(need) && need->settled_ != nullptr && need->settled()) std::exchange(need->settled_, nullptr)();
  }
}

absl::StatusOr<transport::SecretText> Secrets::with_files(std::string secret) const {
  transport::SecretText text;
  for (const std::string& path : secret_files(secret).paths) {
    absl::StatusOr<std::string> bytes = files_.read(path);
    if (!bytes.ok()) return bytes.status();
    text.files[path] = *std::move(bytes);
  }
  text.secret = std::move(secret);
  return text;
}

void Secrets::watch_files(Entry& entry) {
  unwatch_files(entry);
  SecretFiles files = secret_files(entry.name_.is_local() ? entry.name_.name : entry.held_->body.value());
  std::vector<FilePlace> places;
  if (!files.watched_directory.empty()) {
    places.push_back({files.watched_directory, ""});
  } else {
    for (const std::string& path : files.paths) places.push_back(place_of(path));
  }
  for (const FilePlace& place : places) {
    auto watched = files_.watch(place.directory, place.name, base::bind<&Entry::on_file_changed>(&entry));
    if (watched.ok()) {
      entry.watches_.push_back(*watched);
    } else {
      base::log_error(absl::StrCat(described(entry.name_), ": ", watched.status().message()));
    }
  }
  // What changed between the reading and now is told by nobody.
  if (!places.empty()) entry.on_file_changed();
}

void Secrets::unwatch_files(Entry& entry) {
  for (uint64_t id : std::exchange(entry.watches_, {})) files_.unwatch(id);
}

void Secrets::read_changed_files() {
  for (Entry* entry : std::exchange(files_changed_, {})) {
    // One that was told of another's change may have let it go.
    bool there =
        std::any_of(entries_.begin(), entries_.end(), [&](const auto& each) { return each.second.get() == entry; });
    if (!there) continue;
    std::string name = described(entry->name_);
    absl::StatusOr<transport::SecretText> text =
        with_files(entry->name_.is_local() ? entry->name_.name : entry->held_->body.value());
    auto stats = entry->stats_;
    std::string wrong = text.ok() ? apply(*entry, *std::move(text)) : std::string(text.status().message());
    if (wrong.empty()) continue;
    stats->of_worker(0).key_rotation_failed.add();
    base::log_error(absl::StrCat(name, ": its changed files are refused, what is in force stays: ", wrong));
  }
}

void Secrets::note(const transport::SecretName& name) {
  // A control plane is told of what is its own.
  if (watcher_ != nullptr && !name.is_local() && !is_own(name)) {
    watcher_->on_resource_changed({xds::Type::kSecret, name.source, name.name});
  }
}

ResourceState Secrets::state(const ResourceKey& key) const {
  ResourceState state;
  auto found = entries_.find({key.source, key.name});
  if (found == entries_.end()) return state;
  if (found->second->held()) state.version = found->second->held()->version;
  state.refused = refusal_of(found->second->refused());
  return state;
}

void Secrets::visit(const std::function<void(const ResourceKey& key)>& each) const {
  for (const auto& [name, entry] : entries_) {
    if (!name.is_local() && !is_own(name)) each({xds::Type::kSecret, name.source, name.name});
  }
}

std::vector<const observe::FamilyBase*> Secrets::families() const {
  std::vector<const observe::FamilyBase*> result;
  for (const auto& [name, entry] : entries_) {
    const observe::FamilyBase* family = entry->family();
    if (std::find(result.begin(), result.end(), family) == result.end()) result.push_back(family);
  }
  return result;
}

}  // namespace weft::config
