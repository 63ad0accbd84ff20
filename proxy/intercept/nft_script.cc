#include "proxy/intercept/nft_script.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "api/text/cat.h"

namespace weft::intercept {
namespace {

using text::append;
using text::cat;

constexpr char kNone[] = "add table inet weft\ndelete table inet weft\n";

template <typename Numbers>
std::string set_of(const Numbers& numbers) {
  std::string result;
  for (auto number : std::set<uint32_t>(std::begin(numbers), std::end(numbers))) {
    append(&result, result.empty() ? "{ " : ", ", number);
  }
  return result + " }";
}

class Script {
 public:
  explicit Script(const Rules& rules) : rules_(rules) {}

  std::string text() {
    out_ = cat(kNone, "table inet weft {\n");
    if (rules_.inbound) inbound();
    output();
    if (rules_.dns_port != 0) dns_zone();
    if (rules_.mode == Rules::Mode::kTproxy && rules_.inbound) tproxy();
    return out_ + "}\n";
  }

 private:
  void open(std::string_view name, std::string_view hook = {}) {
    append(&out_, "  chain ", name, " {\n");
    if (!hook.empty()) rule(cat("type ", hook, "; policy accept;"));
  }
  void rule(std::string_view text) { append(&out_, "    ", text, "\n"); }
  void close() { out_ += "  }\n"; }

  // Rules that decide which inbound connections are left alone; the others go on.
  void inbound_ports() {
    std::vector<uint16_t> left(std::begin(kOwnPorts), std::end(kOwnPorts));
    left.insert(left.end(), rules_.exclude_inbound_ports.begin(), rules_.exclude_inbound_ports.end());
    rule(cat("tcp dport ", set_of(left), " return"));
    if (rules_.include_inbound_ports.empty()) return;
    std::vector<uint16_t> taken = rules_.include_inbound_ports;
    taken.push_back(kSelfTestPort);
    rule(cat("tcp dport != ", set_of(taken), " return"));
  }

  void inbound() {
    open("inbound");
    inbound_ports();
    rule(cat("meta l4proto tcp redirect to :", rules_.inbound_port));
    close();
    if (rules_.mode == Rules::Mode::kTproxy) return;
    open("prerouting", "nat hook prerouting priority -100");
    rule("meta l4proto tcp jump inbound");
    close();
  }

  // What is the proxy's own, or is not looked at.
  void output_passes() {
    if (rules_.mode == Rules::Mode::kTproxy) rule(cat("meta mark ", kTproxyMark, " return"));
    for (std::string family : {cat("ip daddr ", kPassIpv4), cat("ip6 daddr ", kPassIpv6)}) {
      rule(cat(family, " tcp dport ", kSelfTestPort, " redirect to :", rules_.outbound_port));
      if (rules_.dns_port == 0) continue;
      rule(cat(family, " udp dport ", kSelfTestPort, " redirect to :", rules_.dns_port));
    }
    rule(cat("oifname \"lo\" ip saddr ", kPassIpv4, " return"));
    rule(cat("oifname \"lo\" ip6 saddr ", kPassIpv6, " return"));
    // The application calls its own service, and the proxy chose this very workload for it.
    for (std::string_view who : {"skuid", "skgid"}) {
      std::string own = cat("meta ", who, " ", who == "skuid" ? rules_.uid : rules_.gid);
      if (rules_.inbound) {
        rule(cat("oifname \"lo\" ip daddr != 127.0.0.0/8 meta l4proto tcp ", own, " goto inbound"));
        rule(cat("oifname \"lo\" ip6 daddr != ::1 meta l4proto tcp ", own, " goto inbound"));
      }
      rule(own + " return");
    }
    if (!rules_.exclude_uids.empty()) rule(cat("meta skuid ", set_of(rules_.exclude_uids), " return"));
    if (!rules_.include_uids.empty()) rule(cat("meta skuid != ", set_of(rules_.include_uids), " return"));
  }

  // `action` for each kind of question that the DNS responder answers.
  void dns(std::string_view protocol, std::string_view action) {
    std::string match = cat(protocol, " dport ", kDnsPort, " ", action);
    if (rules_.dns_servers.empty()) rule(match);
    for (const transport::Address& server : rules_.dns_servers) {
      bool ipv6 = server.family == transport::Address::Family::kIpv6;
      transport::Address plain = server;
      plain.scope_id = 0;  // nft takes no zone.
      rule(cat(ipv6 ? "ip6" : "ip", " daddr ", plain.ip_text(), " ", match));
    }
  }

  void output() {
    open("output", "nat hook output priority -100");
    output_passes();
    if (rules_.dns_port != 0) {
      for (std::string_view protocol : {"udp", "tcp"}) dns(protocol, cat("redirect to :", rules_.dns_port));
    }
    rule("meta l4proto != tcp return");
    // The application calls itself without the mesh.
    rule("oifname \"lo\" return");
    if (!rules_.exclude_outbound_ports.empty()) {
      rule(cat("tcp dport ", set_of(rules_.exclude_outbound_ports), " return"));
    }
    auto within = [](const Cidr& cidr) { return cat(cidr.is_ipv6() ? "ip6" : "ip", " daddr ", cidr.text()); };
    for (const Cidr& cidr : rules_.exclude_outbound_cidrs) rule(within(cidr) + " return");
    std::string take = cat("meta l4proto tcp redirect to :", rules_.outbound_port);
    bool all = rules_.include_outbound_ports.empty() && rules_.include_outbound_cidrs.empty();
    if (all) rule(take);
    if (!rules_.include_outbound_ports.empty()) {
      rule(cat("tcp dport ", set_of(rules_.include_outbound_ports), " ", take));
    }
    for (const Cidr& cidr : rules_.include_outbound_cidrs) rule(cat(within(cidr), " ", take));
    close();
  }

  // Or the responder's own question, from a port that the application had a moment ago, would be taken for one of the
  // application's that conntrack remembers, and come back to the responder.
  void dns_zone() {
    std::string zone = cat("ct zone set ", kDnsZone);
    open("dns_zone", "filter hook output priority -300");
    rule(cat("udp sport ", rules_.dns_port, " ", zone, " return"));
    rule(cat("ip daddr ", kPassIpv4, " udp dport ", kSelfTestPort, " ", zone, " return"));
    rule(cat("ip6 daddr ", kPassIpv6, " udp dport ", kSelfTestPort, " ", zone, " return"));
    rule(cat("meta skuid ", rules_.uid, " return"));
    rule(cat("meta skgid ", rules_.gid, " return"));
    if (!rules_.exclude_uids.empty()) rule(cat("meta skuid ", set_of(rules_.exclude_uids), " return"));
    if (!rules_.include_uids.empty()) rule(cat("meta skuid != ", set_of(rules_.include_uids), " return"));
    dns("udp", zone);
    close();
  }

  void tproxy() {
    open("inbound_tproxy", "filter hook prerouting priority -150");
    rule("meta l4proto != tcp return");
    rule("iifname \"lo\" return");
    // Answers to connections of our own.
    rule("ct direction reply return");
    inbound_ports();
    for (std::string_view family : {"ip", "ip6"}) {
      rule(cat("meta l4proto tcp meta mark set ", kTproxyMark, " tproxy ", family, " to :", rules_.inbound_port));
    }
    close();
    // A connection that the proxy makes with the mark, from its client's address: the application's answers go back to
    // the proxy rather than out to the client.
    open("tproxy_answers", "route hook output priority -150");
    rule(cat("meta l4proto tcp meta mark ", kTproxyMark, " ct mark set ", kTproxyMark));
    rule(cat("meta l4proto tcp ct direction reply ct mark ", kTproxyMark, " meta mark set ", kTproxyMark));
    close();
  }

  const Rules& rules_;
  std::string out_;
};

}  // namespace

std::string nft_script(const Rules& rules) { return Script(rules).text(); }

std::string nft_clean_script() { return kNone; }

}  // namespace weft::intercept
