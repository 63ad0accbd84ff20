#include <catch2/catch.hpp>
#include <set>

#include "tools/weftctl/graph_layout.h"
#include "tools/weftctl/graph_svg.h"
#include "tools/weftctl/graph_text.h"
#include "tools/weftctl/top_text.h"

// What weftctl's top and graph show of the mesh's traffic.

namespace weft::weftctl {
namespace {

v1::Party party(const std::string& name, v1::Party::Kind kind = v1::Party::SERVICE) {
  v1::Party out;
  out.set_kind(kind);
  if (kind == v1::Party::SERVICE) out.set_namespace_("shop");
  out.set_name(name);
  return out;
}

v1::Flow flow(double requests, double failures = 0) {
  v1::Flow out;
  out.set_requests(requests);
  out.set_failures(failures);
  out.set_p50_ms(1.25);
  out.set_p99_ms(20);
  out.set_total_requests(static_cast<uint64_t>(requests * 30));
  return out;
}

void add_edge(v1::TrafficResponse& traffic, const v1::Party& from, const v1::Party& to, const v1::Flow& flow,
              const std::string& security = "none") {
  auto* edge = traffic.add_edges();
  *edge->mutable_source() = from;
  *edge->mutable_destination() = to;
  *edge->mutable_flow() = flow;
  edge->set_security(security);
  edge->set_protocol("http");
}

v1::TrafficResponse shop() {
  v1::TrafficResponse traffic;
  traffic.mutable_window()->set_seconds(30);
  traffic.set_proxies(3);
  for (const char* name : {"web", "orders"}) {
    auto* service = traffic.add_services();
    *service->mutable_service() = party(name);
    *service->mutable_flow() = flow(name == std::string("web") ? 12.3 : 8, name == std::string("web") ? 0 : 2);
  }
  add_edge(traffic, party("", v1::Party::OUTSIDE), party("web"), flow(12.3));
  add_edge(traffic, party("web"), party("orders"), flow(8, 2), "mutual_tls");
  v1::Flow tcp;
  tcp.set_connections(0.5);
  tcp.set_sent_bytes(1'500'000);
  tcp.set_total_connections(15);
  add_edge(traffic, party("orders"), party("db"), tcp);
  return traffic;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  return lines;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("numbers are written so that a person reads them at a glance") {
  CHECK(rate_text(0) == "-");
  CHECK(rate_text(0.01) == "<0.1");
  CHECK(rate_text(12.34) == "12.3");
  CHECK(rate_text(12'340) == "12.3k");
  CHECK(duration_text(0.4) == "0.4ms");
  CHECK(duration_text(12.4) == "12ms");
  CHECK(duration_text(1'500) == "1.5s");
  CHECK(bytes_text(999) == "999B");
  CHECK(bytes_text(1'500'000) == "1.5MB");
  CHECK(success_text(flow(10)) == "100%");
  // What failed is never rounded away.
  CHECK(success_text(flow(100'000, 1)) == "99.9%");
  CHECK(success_text(flow(0)) == "-");
}

TEST_CASE("a name that is too long loses its middle, and letters of several bytes count once") {
  CHECK(cut_to("shop/orders", 20) == "shop/orders");
  CHECK(cut_to("abcdefghij", 5) == "ab…ij");
  CHECK(width_of("web → orders") == 12);
  CHECK(width_of(cut_to("web → orders → prices", 9)) == 9);
}

TEST_CASE("the table fits eighty columns, the busiest first, and is without colours unless asked for") {
  const std::string text = top_text(shop(), {});
  const std::vector<std::string> lines = lines_of(text);
  for (const std::string& line : lines) CHECK(width_of(line) <= 80);
  CHECK(lines[0] == "2 services, 3 edges, 3 proxies; over the last 30 s");
  CHECK(contains(lines[2], "SERVICE"));
  CHECK(contains(lines[3], "shop/web"));
  CHECK(contains(lines[3], "12.3    100%  1.2ms   20ms"));
  CHECK(contains(lines[4], "75.0%"));
  CHECK(contains(text, "(outside) → shop/web"));
  CHECK(contains(text, "mtls"));
  CHECK(contains(text, "0.5c"));
  CHECK(contains(text, "1.5MB"));
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK(contains(top_text(shop(), {.is_coloured = true}), "\x1b[31m"));
  CHECK(contains(lines_of(top_text(shop(), {.sort = "success"}))[3], "orders"));
  CHECK(contains(lines_of(top_text(shop(), {.namespace_name = "shop"}))[3], "web "));
  for (const std::string& line : lines_of(top_text(shop(), {.columns = 40}))) CHECK(width_of(line) <= 63);
}

TEST_CASE("without proxies or traffic it says so") {
  v1::TrafficResponse nothing;
  CHECK(contains(top_text(nothing, {}), "no proxy streams its metrics"));
  CHECK(graph_tree(nothing, "", false) == "no proxy streams its metrics\n");
  nothing.set_proxies(1);
  CHECK(contains(top_text(nothing, {}), "nothing flows"));
}

TEST_CASE("the tree goes from callers to called, each service's calls once, circles too") {
  v1::TrafficResponse traffic = shop();
  CHECK(lines_of(graph_tree(traffic, "shop", false)) ==
        std::vector<std::string>{"(outside)", "└─ web                                    12.3/s 100% p99 20ms plain",
                                 "   └─ orders                              8.0/s 75.0% p99 20ms mtls",
                                 "      └─ db                               0.5 conn/s 1.5MB/s plain", ""});
  add_edge(traffic, party("orders"), party("web"), flow(1));
  CHECK(contains(graph_tree(traffic, "shop", false), "web (above)"));
  v1::TrafficResponse circle;
  add_edge(circle, party("a"), party("b"), flow(1));
  add_edge(circle, party("b"), party("a"), flow(1));
  CHECK(lines_of(graph_tree(circle, "shop", false)).size() == 4);
}

TEST_CASE("the same for Graphviz is quoted") {
  v1::TrafficResponse traffic;
  add_edge(traffic, party("a\"b"), party("c"), flow(1));
  const std::string dot = graph_dot(traffic, "shop");
  CHECK(contains(dot, "\"a\\\"b\" -> \"c\""));
  CHECK(contains(dot, "style=dashed"));
}

TEST_CASE("callers stand left of those whom they call, in as many layers as the longest way has") {
  // A circle, entered at 0, and a call to oneself.
  const GraphLayout layout = lay_out(5, {{0, 1}, {1, 2}, {0, 2}, {2, 3}, {3, 0}, {1, 1}, {4, 0}});
  CHECK(layout.layers() == 5);
  for (const auto& [from, to] : std::vector<std::pair<size_t, size_t>>{{4, 0}, {0, 1}, {1, 2}, {0, 2}, {2, 3}}) {
    CHECK(layout.places[from].layer < layout.places[to].layer);
  }
  std::set<std::pair<size_t, size_t>> taken;
  for (const auto& place : layout.places) CHECK(taken.emplace(place.layer, place.row).second);
  CHECK(lay_out(0, {}).layers() == 0);
  CHECK(lay_out(2, {{0, 1}, {1, 0}}).layers() == 2);
}

TEST_CASE("a call over several layers has a place of its own in each between") {
  const GraphLayout layout = lay_out(3, {{0, 1}, {1, 2}, {0, 2}});
  REQUIRE(layout.ways[2].size() == 1);
  CHECK(layout.ways[0].empty());
  CHECK(layout.ways[2][0].layer == 1);
  CHECK(layout.ways[2][0].row != layout.places[1].row);
  CHECK(layout.layer_sizes == std::vector<size_t>{1, 2, 1});
  CHECK(layout.rows == 2);
}

TEST_CASE("two crossing calls are uncrossed") {
  const GraphLayout layout = lay_out(4, {{0, 3}, {1, 2}});
  CHECK((layout.places[0].row < layout.places[1].row) == (layout.places[3].row < layout.places[2].row));
}

TEST_CASE("the picture has every party and edge, and no text of others is markup") {
  v1::TrafficResponse traffic = shop();
  add_edge(traffic, party("<script>&"), party("web"), flow(1));
  const std::string svg = graph_svg(traffic, "shop");
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK(contains(svg, ">web</text>"));
  CHECK(contains(svg, "(outside) → web: http, 12.3/s 100% p99 20ms, none"));
  CHECK_FALSE(contains(svg, "<script>"));
  CHECK(contains(svg, "&lt;script&gt;&amp;"));
  CHECK(graph_svg(traffic, "shop") == svg);
}

}  // namespace
}  // namespace weft::weftctl
