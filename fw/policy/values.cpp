// Single values of a policy, read from TOML and checked.
#include "fw/policy/values.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include "fw/base/ip_protocol.hpp"
#include "fw/base/name.hpp"
#include "fw/base/size.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

/// The valid name nearest to what was written.
std::string proposed_name(std::string_view name) {
  const std::string mended = mended_name(name);
  return mended.empty() ? "my-app" : mended;
}

}  // namespace

// ---- Problems.

void ValueReader::report(Severity severity, Location place, std::string what) {
  if (++problem_count_ > kPolicyProblemsMax) return;
  problems_.push_back({severity, std::move(what), std::move(place)});
}

std::vector<Problem> ValueReader::take_problems() {
  std::ranges::stable_sort(problems_, {}, [](const Problem& problem) {
    return std::tuple(problem.where.line == 0, problem.where.line, problem.where.column);
  });
  if (problem_count_ > problems_.size()) {
    problems_.push_back({Severity::error,
                         fmt::format("{} more problems are not shown; mend these first",
                                     problem_count_ - problems_.size()),
                         {file_, 0, 0}});
  }
  return std::move(problems_);
}

// ---- Values.

void ValueReader::wrong_type(const toml::node& node, std::string_view key,
                             std::string_view wanted) {
  error(node, fmt::format("{} must be {}, not {}", key, wanted, type_name(node)));
}

const std::string* ValueReader::text(const toml::node& node, std::string_view key,
                                     std::string_view example) {
  if (const auto* value = node.as_string()) return &value->get();
  wrong_type(node, key, fmt::format("a string, e.g. \"{}\"", example));
  return nullptr;
}

std::optional<bool> ValueReader::boolean(const toml::node& node, std::string_view key) {
  if (const auto* value = node.as_boolean()) return value->get();
  wrong_type(node, key, "true or false, without quotes");
  return {};
}

std::optional<std::int64_t> ValueReader::integer(const toml::node& node, std::string_view key,
                                                 std::int64_t least, std::int64_t most) {
  const auto* value = node.as_integer();
  if (value == nullptr) {
    wrong_type(node, key, fmt::format("a whole number from {} to {}", least, most));
    return {};
  }
  if (value->get() >= least && value->get() <= most) return value->get();
  error(node, fmt::format("{} must be a whole number from {} to {}, not {}", key, least, most,
                          value->get()));
  return {};
}

const toml::array* ValueReader::array(const toml::node& node, std::string_view key,
                                      std::string_view example, std::size_t size_max) {
  const toml::array* values = node.as_array();
  if (values == nullptr) {
    wrong_type(node, key, fmt::format("an array, e.g. [{}]", example));
    return nullptr;
  }
  if (values->size() > size_max) {
    error((*values)[size_max],
          fmt::format("{} holds at most {} entries; leave out the rest", key, size_max));
    return nullptr;
  }
  return values;
}

std::string ValueReader::name(const toml::node& node) {
  const std::string* value = text(node, "name", "my-name");
  if (value == nullptr) return {};
  if (!valid_name(*value)) {
    error(node,
          fmt::format("name {} becomes part of a kernel object's name: use at most {} lower-case "
                      "letters, digits, - and _, a letter first, e.g. \"{}\"",
                      quote(*value), kNameLengthMax, proposed_name(*value)));
  }
  return *value;
}

std::optional<PortRange> ValueReader::port(const toml::node& node, std::optional<Protocol> only) {
  Result<PortRange> range;
  if (const auto* number = node.as_integer()) {
    range = port_range(only.value_or(Protocol::tcp), number->get(), number->get());
  } else if (const auto* text = node.as_string()) {
    if (const std::string& written = text->get(); only && written.find('/') != written.npos) {
      error(node, fmt::format("{} names a protocol: [ports] has a key for each; write it "
                              "without, in {}",
                              quote(written), written.starts_with("udp/") ? "udp" : "tcp"));
      return {};
    }
    range = parse_ports(text->get(), only);
  } else {
    wrong_type(node, "a port", "a number or a string, e.g. 22 or \"8000-8100\"");
    return {};
  }
  if (range) return *range;
  error(node, range.error().what);
  return {};
}

std::vector<Located<PortRange>> ValueReader::ports(const toml::node& node, std::string_view key,
                                                   std::optional<Protocol> only,
                                                   std::size_t size_max) {
  std::vector<Located<PortRange>> found;
  const char* example = only ? "22, \"8000-8100\"" : "22, \"udp/53\"";
  const toml::array* values = array(node, key, example, size_max);
  if (values == nullptr) return found;
  for (const toml::node& value : *values) {
    if (const auto range = port(value, only)) found.push_back({*range, where(value)});
  }
  return found;
}

std::vector<PortRange> ValueReader::plain_ports(const toml::node& node, std::string_view key,
                                                std::size_t size_max) {
  std::vector<PortRange> plain;
  for (const auto& range : ports(node, key, {}, size_max)) plain.push_back(range.value);
  return plain;
}

std::vector<PortRange> ValueReader::some_ports(const toml::node& node) {
  if (node.is_array() && node.as_array()->empty())
    error(node, "ports is empty; name at least one, e.g. [22, \"udp/53\"]");
  return plain_ports(node, "ports");
}

std::vector<Located<IpRange>> ValueReader::networks(const toml::node& node, std::string_view key,
                                                    std::size_t size_max) {
  std::vector<Located<IpRange>> found;
  const toml::array* values = array(node, key, "\"172.18.0.0/16\"", size_max);
  if (values == nullptr) return found;
  for (const toml::node& value : *values) {
    const std::string* written = text(value, "a network", "172.18.0.0/16");
    if (written == nullptr) continue;
    if (const auto range = parse_ip_range(*written))
      found.push_back({*range, where(value)});
    else
      error(value, range.error().what);
  }
  return found;
}

void ValueReader::sources(const toml::node& node, std::vector<Located<IpRange>>& networks,
                          std::vector<Located<std::string>>& lists) {
  const toml::array* values = array(node, "from", "\"192.0.2.0/24\"", kOpeningNetworksMax);
  if (values == nullptr) return;
  for (const toml::node& value : *values) {
    const std::string* written = text(value, "a source", "192.0.2.0/24");
    if (written == nullptr) continue;
    if (valid_name(*written)) {
      lists.push_back({*written, where(value)});
    } else if (const auto range = parse_ip_range(*written)) {
      networks.push_back({*range, where(value)});
    } else {
      error(value, range.error().what);
    }
  }
}

std::vector<Located<IpRange>> ValueReader::translated(const toml::node& node) {
  auto found = networks(node, "translated", kTranslatedMax);
  for (const auto& [range, place] : found) {
    const U128 host = range.first ^ range.last;
    const bool network = (host & (host + 1)) == 0 && (range.first & host) == 0;
    if (range.family == Family::ipv6 && network) continue;
    error(place,
          fmt::format("{} is not an IPv6 network; write e.g. \"64:ff9b::/96\"", to_string(range)));
  }
  return found;
}

std::optional<std::uint8_t> ValueReader::protocol(const toml::node& node) {
  constexpr std::int64_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
  std::int64_t number = -1;
  if (const auto* value = node.as_integer()) number = value->get();
  if (const auto* name = node.as_string()) {
    const auto known = std::ranges::find(kIpProtocols, name->get(), &IpProtocol::name);
    if (known == kIpProtocols.end()) {
      std::vector<std::string_view> names;
      for (const IpProtocol& each : kIpProtocols) names.push_back(each.name);
      const std::string_view guess = nearest(name->get(), names);
      error(node, fmt::format("unknown protocol {}; {}", quote(name->get()),
                              guess.empty() ? fmt::format("write its number, or one of {}",
                                                          fmt::join(names, ", "))
                                            : fmt::format("did you mean {}?", quote(guess))));
      return {};
    }
    number = known->number;
  } else if (!node.is_integer()) {
    wrong_type(node, "a protocol", "a name or a number, e.g. \"vrrp\" or 112");
    return {};
  }
  if (number == kTcp || number == kUdp) {
    error(node,
          fmt::format("{} is opened by its ports; write e.g. ports = [{}]",
                      number == kTcp ? "TCP" : "UDP", number == kTcp ? "9100" : "\"udp/500\""));
  } else if (number == kIcmp || number == kIcmp6) {
    error(node, "the ICMP that a host needs is always open; remove it");
  } else if (number == 43 || number == 44 || number == 60) {
    error(node,
          fmt::format("{} is a header of IPv6 that stands before a protocol; name the protocol",
                      number));
  } else if (number < 1 || number > 255) {
    error(node, fmt::format("protocol {} is not between 1 and 255", number));
  } else {
    return static_cast<std::uint8_t>(number);
  }
  return {};
}

std::vector<std::uint8_t> ValueReader::protocols(const toml::node& node) {
  std::vector<std::uint8_t> found;
  const toml::array* values = array(node, "protocols", "\"vrrp\", 50", 256);
  if (values == nullptr) return found;
  for (const toml::node& value : *values) {
    if (const auto number = protocol(value)) found.push_back(*number);
  }
  return found;
}

std::vector<std::string> ValueReader::interfaces(const toml::node& node, std::string_view key,
                                                 std::string_view example) {
  std::vector<std::string> found;
  const toml::array* values = array(node, key, quote(example), kInterfacesMax);
  if (values == nullptr) return found;
  if (values->empty())
    error(node, fmt::format("{} is empty; name at least one, e.g. {}", key, quote(example)));
  for (const toml::node& value : *values) {
    const std::string* name = text(value, "an interface", example);
    if (name == nullptr) continue;
    const std::string_view stem =
        std::string_view(*name).substr(0, name->size() - (name->ends_with('*') ? 1 : 0));
    const bool odd = std::ranges::any_of(stem, [](char c) {
      return c <= ' ' || c == 0x7f || c == '/' || c == ':' || c == '*' || c == '"';
    });
    if (odd || stem.empty() || stem.size() > kInterfaceNameMax) {
      error(value, fmt::format("{} is no name of an interface: write up to {} letters, e.g. {}, "
                               "or with * at the end the beginning of some, e.g. \"wg*\"",
                               quote(*name), kInterfaceNameMax, quote(example)));
      continue;
    }
    found.push_back(*name);
  }
  return found;
}

std::optional<Endpoint> ValueReader::loopback(const toml::node& node, std::string_view key) {
  const std::string* value = text(node, key, "127.0.0.1:9477");
  if (value == nullptr) return {};
  const auto endpoint = parse_endpoint(*value);
  if (!endpoint) {
    error(node, fmt::format("{} {}", key, endpoint.error().what));
  } else if (!is_loopback(endpoint->ip)) {
    error(node, fmt::format("{} must be on 127.0.0.0/8 or ::1, not {}: what it tells is not for "
                            "strangers, and nobody is asked for a password",
                            key, to_string(endpoint->ip)));
  } else {
    return *endpoint;
  }
  return {};
}

std::vector<Ip> ValueReader::addresses(const toml::node& node) {
  std::vector<Ip> found;
  const toml::array* values = array(node, "addresses", "\"172.18.16.2\"", kAppAddressesMax);
  if (values == nullptr) return found;
  if (values->empty()) error(node, "addresses is empty; add one, e.g. \"172.18.16.2\"");
  for (const toml::node& value : *values) {
    const std::string* written = text(value, "an address", "172.18.16.2");
    if (written == nullptr) continue;
    const auto ip = parse_ip(*written);
    if (ip)
      found.push_back(*ip);
    else if (parse_ip_range(*written))
      error(value, fmt::format("{} is more than one address; name each by itself, e.g. "
                               "\"172.18.16.2\"",
                               quote(*written)));
    else
      error(value, ip.error().what);
  }
  return found;
}

std::vector<std::string> ValueReader::names(const toml::node& node, std::string_view key,
                                            std::string_view thing, std::string_view example) {
  std::vector<std::string> found;
  const toml::array* values = array(node, key, quote(example));
  if (values == nullptr) return found;
  std::set<std::string_view> seen;
  for (const toml::node& value : *values) {
    const std::string* written = text(value, fmt::format("the name of the {}", thing), example);
    if (written == nullptr) continue;
    if (seen.insert(*written).second)
      found.push_back(*written);
    else
      report(Severity::warning, where(value),
             fmt::format("{} {} is named twice; remove one of the two", thing, quote(*written)));
  }
  return found;
}

Rate ValueReader::rate(const toml::node& node) {
  const std::string* value = text(node, "rate", "5/10s");
  if (value == nullptr) return {};
  const auto rate = parse_rate(*value);
  if (rate) return *rate;
  error(node, rate.error().what);
  return {};
}

Rate ValueReader::refusals(const toml::node& node) {
  const std::string* value = text(node, "after", "20 refused/10m");
  if (value == nullptr) return {};
  constexpr std::string_view kWord = " refused/";
  const auto at = value->find(kWord);
  if (at == std::string::npos) {
    error(node,
          fmt::format("after {} is not understood; write e.g. \"20 refused/10m\"", quote(*value)));
    return {};
  }
  const auto rate = parse_rate(value->substr(0, at) + "/" + value->substr(at + kWord.size()));
  if (rate) return *rate;
  error(node, rate.error().what);
  return {};
}

std::optional<std::chrono::seconds> ValueReader::duration(const toml::node& node,
                                                          std::string_view key) {
  const std::string* value = text(node, key, "90d");
  if (value == nullptr) return {};
  const auto duration = parse_duration(*value);
  if (duration) return *duration;
  error(node, duration.error().what);
  return {};
}

std::optional<std::uint64_t> ValueReader::size(const toml::node& node, std::string_view key,
                                               std::uint64_t least, std::uint64_t most) {
  const std::string* value = text(node, key, "256MiB");
  if (value == nullptr) return {};
  const auto bytes = parse_size(*value);
  if (!bytes) {
    error(node, bytes.error().what);
  } else if (*bytes < least || *bytes > most) {
    error(node, fmt::format("{} must be from {} to {}, not {}", key, size_text(least),
                            size_text(most), quote(*value)));
  } else {
    return *bytes;
  }
  return {};
}

std::vector<std::string> ValueReader::devices(const toml::node& node, std::string_view key) {
  constexpr std::size_t kDeviceNameMax = 15;
  std::vector<std::string> out;
  const toml::array* list = array(node, key, "[\"br-lab\"]");
  if (list == nullptr) return out;
  for (const toml::node& each : *list) {
    const std::string* value = text(each, key, "br-lab");
    if (value == nullptr) continue;
    const std::string_view name(*value);
    const bool fits =
        !name.empty() && name.size() <= kDeviceNameMax &&
        name.find_first_of("/: \t\n\"*") >= name.size() - (name.ends_with('*') ? 1 : 0);
    if (fits) {
      out.push_back(*value);
    } else {
      error(each, fmt::format("{} must name network devices of at most {} letters, with * only at "
                              "the end, e.g. \"br-lab\", not {}",
                              key, kDeviceNameMax, quote(*value)));
    }
  }
  return out;
}

std::string ValueReader::socket(const toml::node& node, std::string_view key) {
  const std::string* value = text(node, key, "/run/docker.sock");
  if (value == nullptr) return {};
  if (value->empty() || value->front() != '/' || value->size() > kSocketPathMax ||
      value->find('\0') != std::string::npos) {
    error(node, fmt::format("{} must be the absolute path of a socket, of at most {} bytes, e.g. "
                            "\"/run/docker.sock\", not {}",
                            key, kSocketPathMax, quote(*value)));
  }
  return *value;
}

std::string ValueReader::file_name(const toml::node& node) {
  const std::string* value = text(node, "file", "/etc/cloudron-fw/known-bad.txt");
  if (value == nullptr) return {};
  if (value->empty())
    error(node, "file is empty; name the file, e.g. \"/etc/cloudron-fw/known-bad.txt\"");
  if (value->find('\0') != std::string::npos)
    error(node,
          fmt::format("file {} holds a NUL, which no file name can; remove it", quote(*value)));
  return *value;
}

}  // namespace fw
