#include "tools/weftctl/top_text.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

namespace weft::weftctl {

namespace {

constexpr double kWarn = 0.99;
constexpr double kBad = 0.95;
constexpr size_t kLeastName = 16;

std::string format(const char* how, double value) {
  char text[32];
  snprintf(text, sizeof(text), how, value);
  return text;
}

// Bytes as UTF-8 counts them: those that begin a character.
bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

struct Cell {
  std::string text;
  Colour colour = Colour::kNone;
};

// A line of either table: the name, and what is right-aligned behind it.
struct Row {
  std::string name;
  const v1::Flow* flow = nullptr;
  std::string security;  // Of edges alone.
};

struct Column {
  const char* head;
  size_t width;
};
constexpr std::array<Column, 5> kColumns = {{{"RATE/s", 8}, {"SUCCESS", 8}, {"P50", 7}, {"P99", 7}, {"BYTES/s", 8}}};
constexpr size_t kTlsWidth = 6;

std::vector<Cell> cells_of(const Row& row) {
  const v1::Flow& flow = *row.flow;
  const bool is_tcp = flow.requests() == 0 && flow.total_requests() == 0;
  const double bytes = flow.sent_bytes() + flow.received_bytes();
  return {{is_tcp && flow.connections() > 0 ? rate_text(flow.connections()) + "c" : rate_text(flow.requests())},
          {success_text(flow), success_colour(flow)},
          {duration_text(flow.p50_ms())},
          {duration_text(flow.p99_ms())},
          {bytes_text(bytes)}};
}

double sort_key(const v1::Flow& flow, const std::string& sort) {
  if (sort == "success") return -success_of(flow);
  if (sort == "p50") return flow.p50_ms();
  if (sort == "p99") return flow.p99_ms();
  if (sort == "bytes") return flow.sent_bytes() + flow.received_bytes();
  return flow.requests() + flow.connections();
}

void sort_rows(const std::string& sort, std::vector<Row>& rows) {
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    if (sort == "name") return a.name < b.name;
    const double left = sort_key(*a.flow, sort), right = sort_key(*b.flow, sort);
    return left != right ? left > right : a.name < b.name;
  });
}

std::string pad_left(const std::string& text, size_t width) {
  const size_t taken = width_of(text);
  return std::string(taken >= width ? 0 : width - taken, ' ') + text;
}

std::string pad_right(const std::string& text, size_t width) {
  const size_t taken = width_of(text);
  return text + std::string(taken >= width ? 0 : width - taken, ' ');
}

std::string draw(const std::string& heading, bool has_security, std::vector<Row> rows, const TopOptions& options) {
  sort_rows(options.sort, rows);
  size_t taken = has_security ? kTlsWidth : 0;
  for (const Column& column : kColumns) taken += column.width;
  const size_t name_width = options.columns > taken + kLeastName ? options.columns - taken : kLeastName;
  std::string head = pad_right(heading, name_width);
  if (has_security) head += pad_left("TLS", kTlsWidth);
  for (const Column& column : kColumns) head += pad_left(column.head, column.width);
  std::string out = coloured(head, Colour::kBold, options.is_coloured) + "\n";
  for (const Row& row : rows) {
    std::string line = pad_right(cut_to(row.name, name_width - 1), name_width);
    const std::vector<Cell> cells = cells_of(row);
    const bool is_quiet = cells[0].text == "-" && cells[4].text == "-";
    if (is_quiet) line = coloured(line, Colour::kDim, options.is_coloured);
    if (has_security) line += pad_left(row.security, kTlsWidth);
    for (size_t i = 0; i < kColumns.size(); ++i) {
      line += coloured(pad_left(cells[i].text, kColumns[i].width), cells[i].colour, options.is_coloured);
    }
    out += line + "\n";
  }
  return out;
}

std::string security_word(const std::string& security) {
  if (security == "mutual_tls") return "mtls";
  if (security == "none") return "plain";
  return security == "mixed" ? "mixed" : "-";
}

}  // namespace

size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

std::string cut_to(const std::string& text, size_t width) {
  const size_t has = width_of(text);
  if (has <= width) return text;
  if (width == 0) return "";
  // What tells names apart is more often at their ends.
  const size_t front = (width - 1) / 2;
  const size_t back = width - 1 - front;
  std::string out;
  size_t at = 0;
  for (const char c : text) {
    if (begins_character(c)) ++at;
    if (at == front + 1 && begins_character(c)) out += "…";
    if (at <= front || at > has - back) out += c;
  }
  return out;
}

std::string coloured(const std::string& text, Colour colour, bool is_coloured) {
  if (!is_coloured || colour == Colour::kNone) return text;
  const char* code = colour == Colour::kBold     ? "1"
                     : colour == Colour::kDim    ? "2"
                     : colour == Colour::kGreen  ? "32"
                     : colour == Colour::kYellow ? "33"
                                                 : "31";
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

double success_of(const v1::Flow& flow) {
  if (flow.requests() <= 0) return 1;
  return std::clamp(1 - flow.failures() / flow.requests(), 0.0, 1.0);
}

Colour success_colour(const v1::Flow& flow) {
  if (flow.requests() <= 0) return Colour::kNone;
  const double success = success_of(flow);
  return success < kBad ? Colour::kRed : success < kWarn ? Colour::kYellow : Colour::kGreen;
}

std::string party_name(const v1::Party& party, const std::string& namespace_name) {
  if (party.kind() == v1::Party::OUTSIDE) return "(outside)";
  if (party.kind() == v1::Party::EXTERNAL && party.namespace_().empty()) return "(" + party.name() + ")";
  const bool is_own = !namespace_name.empty() && party.namespace_() == namespace_name;
  return (is_own || party.namespace_().empty() ? "" : party.namespace_() + "/") + party.name();
}

std::string rate_text(double per_second) {
  if (per_second <= 0) return "-";
  if (per_second < 0.1) return "<0.1";
  if (per_second < 1'000) return format("%.1f", per_second);
  return per_second < 1e6 ? format("%.1fk", per_second / 1e3) : format("%.1fM", per_second / 1e6);
}

std::string success_text(const v1::Flow& flow) {
  if (flow.requests() <= 0) return "-";
  // 100 is said only where nothing failed.
  const double percent = flow.failures() > 0 ? std::min(success_of(flow) * 100, 99.9) : 100;
  return format(percent >= 100 ? "%.0f%%" : "%.1f%%", percent);
}

std::string duration_text(double ms) {
  if (ms <= 0) return "-";
  if (ms < 9.95) return format("%.1fms", ms);
  if (ms < 999.5) return format("%.0fms", ms);
  return ms < 99'950 ? format("%.1fs", ms / 1e3) : format("%.0fs", ms / 1e3);
}

std::string bytes_text(double bytes) {
  if (bytes <= 0) return "-";
  if (bytes < 999.5) return format("%.0fB", std::max(bytes, 1.0));
  if (bytes < 999.5e3) return format("%.1fkB", bytes / 1e3);
  return bytes < 999.5e6 ? format("%.1fMB", bytes / 1e6) : format("%.1fGB", bytes / 1e9);
}

std::string top_text(const v1::TrafficResponse& traffic, const TopOptions& options) {
  const auto seconds = google::protobuf::util::TimeUtil::DurationToMilliseconds(traffic.window()) / 1'000;
  std::string out = std::to_string(traffic.services_size()) + " services, " + std::to_string(traffic.edges_size()) +
                    " edges, " + std::to_string(traffic.proxies()) + " proxies; over the last " +
                    std::to_string(seconds) + " s";
  if (traffic.dropped_series() != 0) {
    out += "; " + std::to_string(traffic.dropped_series()) + " metrics left out for want of room";
  }
  out += "\n\n";
  if (traffic.services().empty() && traffic.edges().empty()) {
    return out + (traffic.proxies() == 0 ? "no proxy streams its metrics\n" : "nothing flows\n");
  }
  std::vector<Row> services;
  for (const v1::ServiceTraffic& each : traffic.services()) {
    services.push_back({party_name(each.service(), options.namespace_name), &each.flow(), ""});
  }
  out += draw("SERVICE", false, std::move(services), options) + "\n";
  std::vector<Row> edges;
  for (const v1::EdgeTraffic& each : traffic.edges()) {
    edges.push_back({party_name(each.source(), options.namespace_name) + " → " +
                         party_name(each.destination(), options.namespace_name),
                     &each.flow(), security_word(each.security())});
  }
  return out + draw("EDGE", true, std::move(edges), options);
}

}  // namespace weft::weftctl
