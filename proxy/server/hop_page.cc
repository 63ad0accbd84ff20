#include "proxy/server/hop_page.h"

#include <cstdio>
#include <vector>

namespace weft::server {
namespace {

using observe::BucketHistogram;
using observe::HopMetrics;

std::string number(uint64_t thousandths) {
  char text[32];
  snprintf(text, sizeof(text), "%.15g", static_cast<double>(thousandths) / 1'000);
  return text;
}

void append_escaped(std::string_view text, std::string& out) {
  for (char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
}

std::string render_labels(const observe::HopLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out.append(name).append("=\"");
    append_escaped(value, out);
    out += '"';
  }
  return out;
}

struct Counted {
  std::string_view name;
  bool tcp;
  uint64_t HopMetrics::Sample::* value;
};
constexpr Counted kCounters[] = {
    {"istio_requests_total", false, &HopMetrics::Sample::requests},
    {"istio_tcp_sent_bytes_total", true, &HopMetrics::Sample::sent_bytes},
    {"istio_tcp_received_bytes_total", true, &HopMetrics::Sample::received_bytes},
    {"istio_tcp_connections_opened_total", true, &HopMetrics::Sample::opened},
    {"istio_tcp_connections_closed_total", true, &HopMetrics::Sample::closed},
};

struct Distributed {
  std::string_view name;
  BucketHistogram::Summary HopMetrics::Sample::* value;
};
constexpr Distributed kHistograms[] = {
    {"istio_request_duration_milliseconds", &HopMetrics::Sample::duration_ms},
    {"istio_request_bytes", &HopMetrics::Sample::request_bytes},
    {"istio_response_bytes", &HopMetrics::Sample::response_bytes},
};

void append_histogram(std::string_view name, const std::string& labels, const BucketHistogram::Summary& summary,
                      std::string& out) {
  uint64_t cumulative = 0;
  for (int i = 0; i <= BucketHistogram::kBounds; ++i) {
    cumulative += summary.counts[i];
    std::string bound = i == BucketHistogram::kBounds ? "+Inf" : number(BucketHistogram::kBoundsThousandths[i]);
    out.append(name).append("_bucket{").append(labels).append(",le=\"").append(bound).append("\"} ");
    out.append(std::to_string(cumulative)).append("\n");
  }
  out.append(name).append("_sum{").append(labels).append("} ").append(number(summary.sum_thousandths)).append("\n");
  out.append(name).append("_count{").append(labels).append("} ").append(std::to_string(cumulative)).append("\n");
}

}  // namespace

std::string hops_prometheus(const HopMetrics& metrics, const std::function<bool(std::string_view)>& shown) {
  struct Row {
    std::string labels;
    HopMetrics::Sample sample;
    bool tcp;
  };
  std::vector<Row> rows;
  metrics.visit([&](const HopMetrics::Sample& sample) {
    rows.push_back({render_labels(sample.series->labels), sample, sample.series->tcp});
  });
  std::string out;
  auto begin = [&](std::string_view name, std::string_view type) {
    if (shown && !shown(name)) return false;
    out.append("# TYPE ").append(name).append(" ").append(type).append("\n");
    return true;
  };
  for (const Counted& each : kCounters) {
    if (!begin(each.name, "counter")) continue;
    for (const Row& row : rows) {
      if (row.tcp != each.tcp) continue;
      out.append(each.name).append("{").append(row.labels).append("} ");
      out.append(std::to_string(row.sample.*each.value)).append("\n");
    }
  }
  for (const Distributed& each : kHistograms) {
    if (!begin(each.name, "histogram")) continue;
    for (const Row& row : rows) {
      if (!row.tcp) append_histogram(each.name, row.labels, row.sample.*each.value, out);
    }
  }
  return out;
}

}  // namespace weft::server
