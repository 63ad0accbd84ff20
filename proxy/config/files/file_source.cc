#include "proxy/config/files/file_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "api/text/cat.h"
#include "api/text/parse.h"
#include "proxy/base/log.h"
#include "proxy/config/xds/resource.h"
#include "proxy/config/xds/type.h"

namespace weft::config {
FileSource::FileSource(event::LibeventLoop& loop, FileWatch& watch, Options options, xds::Consumer& consumer)
    : watch_(watch),
      options_(std::move(options)),
      consumer_(consumer),
      read_timer_(loop.timers(), base::bind<&FileSource::read>(this)),
      fetch_timer_(loop.timers(), base::bind<&FileSource::on_fetch_timeout>(this)) {
  FilePlace place = place_of(options_.path);
  if (!options_.watched_directory.empty()) place = {options_.watched_directory, ""};
  auto watched = watch_.watch(place.directory, place.name, base::bind<&FileSource::on_changed>(this));
  if (watched.ok()) {
    watch_id_ = *watched;
  } else {
    base::log_error(absl::StrCat(options_.path, ": ", watched.status().message()));
  }
}

FileSource::~FileSource() { watch_.unwatch(watch_id_); }

void FileSource::subscribe(xds::Type type, std::vector<std::string> names) {
  type_ = type;
  names_ = std::move(names);
  subscribed_ = true;
  read_timer_.arm(0);
  if (options_.fetch_timeout_ms > 0) fetch_timer_.arm(options_.fetch_timeout_ms);
}

void FileSource::read() {
  if (!subscribed_) return;
  std::ifstream file(options_.path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::string wrong =
      file.is_open() && !file.bad() ? take(text) : absl::StrCat(options_.path, ": cannot be read: ", strerror(errno));
  good_ = wrong.empty();
  if (!good_) base::log_error(absl::StrCat("a watched file is refused, what runs goes on: ", wrong));
}

std::string FileSource::take(const std::string& text) {
  xds::discovery_v3::DiscoveryResponse response;
  text::ParseOptions parse_options;
  parse_options.keep_unknown_types = true;
  text::Source source;
  absl::Status parsed = text::parse(text, options_.path, &response, parse_options, &source);
  if (!parsed.ok()) return std::string(parsed.message());
  xds::Update update;
  update.version = response.version_info();
  update.whole = xds::type_info(type_).whole;
  std::string wrong;
  for (int i = 0; i < response.resources_size(); ++i) {
    xds::Received received = xds::read_sotw(type_, response.resources(i), response.version_info());
    if (!received.problem.empty()) {
      std::string path = text::index_path("resources", static_cast<size_t>(i));
      text::append(&wrong, wrong.empty() ? "" : "\n", source.positions.locate(path), ": ", received.problem);
    } else if (names_.empty() || std::binary_search(names_.begin(), names_.end(), received.resource.name)) {
      delivered_.insert(received.resource.name);
      update.changed.push_back(std::move(received.resource));
    }
  }
  // What cannot even be named would look as if it were gone.
  if (!wrong.empty()) return wrong;
  for (const xds::Refusal& refusal : consumer_.on_update(type_, update)) {
    text::append(&wrong, wrong.empty() ? "" : "\n", options_.path, ": ", xds::type_info(type_).noun, " \"",
                 refusal.name, "\": ", refusal.reason);
  }
  return wrong;
}

void FileSource::on_fetch_timeout() {
  std::vector<std::string> missing;
  for (const std::string& name : names_) {
    if (!delivered_.contains(name)) missing.push_back(name);
  }
  if (!missing.empty() || (names_.empty() && !good_)) consumer_.on_fetch_timeout(type_, missing);
}

}  // namespace weft::config
