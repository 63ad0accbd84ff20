#include "tools/weftctl/inject.h"

#include <iostream>
#include <optional>
#include <utility>

#include "control-plane/inject/documents.h"
#include "control-plane/inject/settings.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/files.h"

namespace weft::weftctl {

namespace {

using control::inject::Action;
using control::inject::ObjectOutcome;
using control::inject::Settings;

// One option of the command line over the configuration.
struct Override {
  std::string option;
  std::string_view setting;
  bool is_given = false;
  std::string value;
};

// Nothing if something is wrong, which has been told.
std::optional<Settings> settings_of(const InjectOptions& options) {
  Settings settings = control::inject::default_settings();
  if (!options.config.empty()) {
    std::string text;
    if (!read_file(options.config, &text)) return std::nullopt;
    absl::StatusOr<Settings> read = control::inject::read_settings(text, options.config);
    if (!read.ok()) {
      std::cerr << "weftctl: " << read.status().message() << "\n";
      return std::nullopt;
    }
    settings = *std::move(read);
  }
  std::string ca;
  if (!options.ca_file.empty() && !read_file(options.ca_file, &ca)) return std::nullopt;
  const Override overrides[] = {
      {"--image", "proxy-image", !options.image.empty(), options.image},
      {"--control", "control-address", !options.control.empty(), options.control},
      {"--form", "sidecar-form", !options.form.empty(), options.form},
      {"--log-level", "log-level", !options.log_level.empty(), options.log_level},
      {options.ca_file, "ca", !options.ca_file.empty(), ca},
  };
  for (const Override& each : overrides) {
    if (!each.is_given) continue;
    const absl::Status status = control::inject::override_setting(each.setting, each.value, &settings);
    if (status.ok()) continue;
    std::cerr << "weftctl: " << each.option << ": " << status.message() << "\n";
    return std::nullopt;
  }
  return settings;
}

void tell_outcome(const ObjectOutcome& each, Action action) {
  std::cerr << each.object << ": ";
  if (!each.outcome.skipped.empty()) {
    std::cerr << (each.outcome.is_changed ? "the sidecar is taken out: " : "left as it is: ") << each.outcome.skipped;
  } else if (!each.outcome.is_changed) {
    std::cerr << "has its sidecar already";
  } else {
    std::cerr << (action == Action::kInject ? "sidecar injected" : "sidecar taken out");
  }
  std::cerr << "\n";
  for (const std::string& warning : each.outcome.warnings) {
    std::cerr << "warning: " << each.object << ": " << warning << "\n";
  }
}

int rewrite(Action action, const Settings& settings, const std::vector<std::string>& files) {
  google::protobuf::RepeatedPtrField<v1::Document> documents;
  if (!read_documents(files, &documents)) return kWrongUse;
  std::string out;
  std::vector<ObjectOutcome> outcomes;
  bool is_good = true;
  for (const v1::Document& document : documents) {
    auto rewritten = control::inject::rewrite_text(action, settings, document.text(), document.file_name());
    if (!rewritten.ok()) {
      std::cerr << rewritten.status().message() << "\n";
      is_good = false;
      continue;
    }
    if (!out.empty() && !rewritten->text.starts_with("---")) out += "---\n";
    out += rewritten->text;
    for (ObjectOutcome& each : rewritten->outcomes) outcomes.push_back(std::move(each));
  }
  // All or nothing, so that what is piped on is never a part.
  if (!is_good) return kRefused;
  for (const ObjectOutcome& each : outcomes) tell_outcome(each, action);
  std::cout << out;
  return kDone;
}

}  // namespace

int inject(const InjectOptions& options) {
  const std::optional<Settings> settings = settings_of(options);
  return settings.has_value() ? rewrite(Action::kInject, *settings, options.files) : kWrongUse;
}

int uninject(const InjectOptions& options) { return rewrite(Action::kUninject, {}, options.files); }

}  // namespace weft::weftctl
