// Single values of a policy, read from TOML and checked.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/values.hpp"

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "fw/base/ip_protocol.hpp"
#include "fw/base/name.hpp"
#include "fw/base/size.hpp"
#include "fw/base/suggest.hpp"
#include "fw/policy/toml.hpp"

namespace fw {
namespace {

/// The valid name nearest to what was written.
std::string proposed_name(std::string_view name) {
  const std::string mended = mended_name(name);
  return mended.empty() ? "my-app" : mended;
}

}  // namespace

// ---- Problems.

Location ValueReader::where(const Value& value) const { return place_of(value.node, file_); }

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
                         fmt::format("{} more problems are not shown; fix these first",
                                     problem_count_ - problems_.size()),
                         {file_, 0, 0}});
  }
  return std::move(problems_);
}

// ---- Values.

void ValueReader::wrong_type(const Value& given, std::string_view wanted) {
  error(given, fmt::format("{} must be {}, not {}", given.key, wanted, type_name(given.node)));
}

const std::string* ValueReader::text(const Value& given, std::string_view example) {
  if (const auto* value = given.node.as_string()) return &value->get();
  wrong_type(given, fmt::format("a string, e.g. \"{}\"", example));
  return nullptr;
}

std::optional<bool> ValueReader::boolean(const Value& given) {
  if (const auto* value = given.node.as_boolean()) return value->get();
  wrong_type(given, "true or false, without quotes");
  return {};
}

std::optional<std::int64_t> ValueReader::number(const Value& given, std::int64_t least,
                                                std::int64_t most) {
  const auto* value = given.node.as_integer();
  if (value == nullptr) {
    wrong_type(given, fmt::format("a whole number from {} to {}", least, most));
    return {};
  }
  if (value->get() >= least && value->get() <= most) return value->get();
  error(given, fmt::format("{} must be a whole number from {} to {}, not {}", given.key, least,
                           most, value->get()));
  return {};
}

std::optional<std::vector<Value>> ValueReader::array(const Value& given, std::string_view each,
                                                     std::string_view example,
                                                     std::size_t size_max) {
  const toml::array* nodes = given.node.as_array();
  if (nodes == nullptr) {
    wrong_type(given, fmt::format("an array, e.g. [{}]", example));
    return {};
  }
  if (nodes->size() > size_max) {
    error(Value{(*nodes)[size_max], each},
          fmt::format("{} holds at most {} entries; leave out the rest", given.key, size_max));
    return {};
  }
  std::vector<Value> values;
  values.reserve(nodes->size());
  for (const toml::node& node : *nodes) values.push_back({node, each});
  return values;
}

std::optional<std::size_t> ValueReader::word(const Value& given,
                                             std::span<const std::string_view> words) {
  const std::string* value = text(given, words[0]);
  if (value == nullptr) return {};
  const auto found = std::ranges::find(words, *value);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  std::string known;
  for (std::size_t i = 0; i < words.size(); ++i)
    known += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + quote(words[i]);
  error(given, fmt::format("{} must be {}, not {}", given.key, known, quote(*value)));
  return {};
}

std::string ValueReader::text(const Value& given, std::string_view example, Complaint complaint) {
  const std::string* value = text(given, example);
  if (value == nullptr) return {};
  const std::string why = complaint(*value);
  if (why.empty()) return *value;
  error(given, fmt::format("{} {} {}", given.key, quote(*value), why));
  return {};
}

std::vector<std::string> ValueReader::texts(const Value& given, std::string_view each,
                                            std::string_view example, Complaint complaint,
                                            std::size_t size_max) {
  std::vector<std::string> out;
  const auto values = array(given, each, fmt::format("\"{}\"", example), size_max);
  if (!values) return out;
  for (const Value& value : *values) {
    if (std::string read = text(value, example, complaint); !read.empty())
      out.push_back(std::move(read));
  }
  return out;
}

std::string ValueReader::name(const Value& given) {
  const std::string* value = text(given, "my-name");
  if (value == nullptr) return {};
  if (!valid_name(*value)) {
    error(given,
          fmt::format("name {} becomes part of a kernel object's name: use at most {} lower-case "
                      "letters, digits, - and _, a letter first, e.g. \"{}\"",
                      quote(*value), kNameLengthMax, proposed_name(*value)));
  }
  return *value;
}

std::optional<PortRange> ValueReader::port(const Value& given, std::optional<Protocol> only) {
  Result<PortRange> range;
  if (const auto* number = given.node.as_integer()) {
    range = port_range(only.value_or(Protocol::tcp), number->get(), number->get());
  } else if (const auto* text = given.node.as_string()) {
    if (const std::string& written = text->get(); only && written.find('/') != written.npos) {
      error(given,
            fmt::format("{} names a protocol, but [ports] has a key for each; write the port "
                        "without, in {}",
                        quote(written), written.starts_with("udp/") ? "udp" : "tcp"));
      return {};
    }
    range = parse_ports(text->get(), only);
  } else {
    wrong_type(given, "a number or a string, e.g. 22 or \"8000-8100\"");
    return {};
  }
  if (range) return *range;
  error(given, range.error().what);
  return {};
}

std::vector<Located<PortRange>> ValueReader::ports(const Value& given, std::optional<Protocol> only,
                                                   std::size_t size_max) {
  std::vector<Located<PortRange>> found;
  const char* example = only ? "22, \"8000-8100\"" : "22, \"udp/53\"";
  const auto values = array(given, "a port", example, size_max);
  if (!values) return found;
  for (const Value& value : *values) {
    if (const auto range = port(value, only)) found.push_back({*range, where(value)});
  }
  return found;
}

std::vector<PortRange> ValueReader::plain_ports(const Value& given, std::size_t size_max) {
  std::vector<PortRange> plain;
  for (const auto& range : ports(given, {}, size_max)) plain.push_back(range.value);
  return plain;
}

std::vector<PortRange> ValueReader::some_ports(const Value& given) {
  if (given.node.is_array() && given.node.as_array()->empty())
    error(given, "ports is empty; name at least one, e.g. [22, \"udp/53\"]");
  return plain_ports(given);
}

std::vector<Located<IpRange>> ValueReader::networks(const Value& given, std::size_t size_max) {
  std::vector<Located<IpRange>> found;
  const auto values = array(given, "a network", "\"172.18.0.0/16\"", size_max);
  if (!values) return found;
  for (const Value& value : *values) {
    const std::string* written = text(value, "172.18.0.0/16");
    if (written == nullptr) continue;
    if (const auto range = parse_ip_range(*written))
      found.push_back({*range, where(value)});
    else
      error(value, range.error().what);
  }
  return found;
}

void ValueReader::sources(const Value& given, std::vector<Located<IpRange>>& networks,
                          std::vector<Located<std::string>>& lists) {
  const auto values = array(given, "a source", "\"192.0.2.0/24\"", kOpeningNetworksMax);
  if (!values) return;
  for (const Value& value : *values) {
    const std::string* written = text(value, "192.0.2.0/24");
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

std::vector<Located<IpRange>> ValueReader::translated(const Value& given) {
  auto found = networks(given, kTranslatedMax);
  for (const auto& [range, place] : found) {
    const U128 host = range.first ^ range.last;
    const bool network = (host & (host + 1)) == 0 && (range.first & host) == 0;
    if (range.family == Family::ipv6 && network) continue;
    error(place,
          fmt::format("{} is not an IPv6 network; write e.g. \"64:ff9b::/96\"", to_string(range)));
  }
  return found;
}

std::optional<std::uint8_t> ValueReader::protocol(const Value& given) {
  constexpr std::int64_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
  std::int64_t number = -1;
  if (const auto* value = given.node.as_integer()) number = value->get();
  if (const auto* name = given.node.as_string()) {
    const auto known = std::ranges::find(kIpProtocols, name->get(), &IpProtocol::name);
    if (known == kIpProtocols.end()) {
      std::vector<std::string_view> names;
      for (const IpProtocol& each : kIpProtocols) names.push_back(each.name);
      const std::string_view guess = nearest(name->get(), names);
      error(given, fmt::format("unknown protocol {}; {}", quote(name->get()),
                               guess.empty() ? fmt::format("write its number, or one of {}",
                                                           fmt::join(names, ", "))
                                             : fmt::format("did you mean {}?", quote(guess))));
      return {};
    }
    number = known->number;
  } else if (!given.node.is_integer()) {
    wrong_type(given, "a name or a number, e.g. \"vrrp\" or 112");
    return {};
  }
  if (number == kTcp || number == kUdp) {
    error(given,
          fmt::format("{} is opened by its ports; write e.g. ports = [{}]",
                      number == kTcp ? "TCP" : "UDP", number == kTcp ? "9100" : "\"udp/500\""));
  } else if (number == kIcmp || number == kIcmp6) {
    error(given, "the ICMP that a host needs is always open; remove it");
  } else if (number == 43 || number == 44 || number == 60) {
    error(given, fmt::format("{} is an IPv6 extension header; name the protocol after it", number));
  } else if (number < 1 || number > 255) {
    error(given, fmt::format("protocol {} is not between 1 and 255", number));
  } else {
    return static_cast<std::uint8_t>(number);
  }
  return {};
}

std::vector<std::uint8_t> ValueReader::protocols(const Value& given) {
  std::vector<std::uint8_t> found;
  const auto values = array(given, "a protocol", "\"vrrp\", 50", 256);
  if (!values) return found;
  for (const Value& value : *values) {
    if (const auto number = protocol(value)) found.push_back(*number);
  }
  return found;
}

std::vector<std::string> ValueReader::interfaces(const Value& given, std::string_view example) {
  std::vector<std::string> found;
  const auto values = array(given, "an interface", quote(example), kInterfacesMax);
  if (!values) return found;
  if (values->empty())
    error(given, fmt::format("{} is empty; name at least one, e.g. {}", given.key, quote(example)));
  for (const Value& value : *values) {
    const std::string* name = text(value, example);
    if (name == nullptr) continue;
    const std::string_view stem =
        std::string_view(*name).substr(0, name->size() - (name->ends_with('*') ? 1 : 0));
    const bool odd = std::ranges::any_of(stem, [](char c) {
      return c <= ' ' || c == 0x7f || c == '/' || c == ':' || c == '*' || c == '"';
    });
    if (odd || stem.empty() || stem.size() > kInterfaceNameMax) {
      error(value, fmt::format("{} is not an interface name: write up to {} letters, e.g. {}, "
                               "or the start of a name with * at the end, e.g. \"wg*\"",
                               quote(*name), kInterfaceNameMax, quote(example)));
      continue;
    }
    found.push_back(*name);
  }
  return found;
}

std::optional<Endpoint> ValueReader::loopback(const Value& given) {
  const std::string* value = text(given, "127.0.0.1:9477");
  if (value == nullptr) return {};
  const auto endpoint = parse_endpoint(*value);
  if (!endpoint) {
    error(given, fmt::format("{} {}", given.key, endpoint.error().what));
  } else if (!is_loopback(endpoint->ip)) {
    error(given, fmt::format("{} must be on 127.0.0.0/8 or ::1, not {}: metrics are private, "
                             "and there is no password",
                             given.key, to_string(endpoint->ip)));
  } else {
    return *endpoint;
  }
  return {};
}

std::vector<Ip> ValueReader::addresses(const Value& given) {
  std::vector<Ip> found;
  const auto values = array(given, "an address", "\"172.18.16.2\"", kAppAddressesMax);
  if (!values) return found;
  if (values->empty()) error(given, "addresses is empty; add one, e.g. \"172.18.16.2\"");
  for (const Value& value : *values) {
    const std::string* written = text(value, "172.18.16.2");
    if (written == nullptr) continue;
    const auto ip = parse_ip(*written);
    if (ip)
      found.push_back(*ip);
    else if (parse_ip_range(*written))
      error(value, fmt::format("{} is more than one address; name each on its own, e.g. "
                               "\"172.18.16.2\"",
                               quote(*written)));
    else
      error(value, ip.error().what);
  }
  return found;
}

std::vector<std::string> ValueReader::names(const Value& given, std::string_view each,
                                            std::string_view thing, std::string_view example) {
  std::vector<std::string> found;
  const auto values = array(given, each, quote(example));
  if (!values) return found;
  std::set<std::string_view> seen;
  for (const Value& value : *values) {
    const std::string* written = text(value, example);
    if (written == nullptr) continue;
    if (seen.insert(*written).second)
      found.push_back(*written);
    else
      report(Severity::warning, where(value),
             fmt::format("{} {} is named twice; remove one of the two", thing, quote(*written)));
  }
  return found;
}

Rate ValueReader::rate(const Value& given) {
  const std::string* value = text(given, "5/10s");
  if (value == nullptr) return {};
  const auto rate = parse_rate(*value);
  if (rate) return *rate;
  error(given, rate.error().what);
  return {};
}

Rate ValueReader::refusals(const Value& given) {
  const std::string* value = text(given, "20 refused/10m");
  if (value == nullptr) return {};
  constexpr std::string_view kWord = " refused/";
  const auto at = value->find(kWord);
  if (at == std::string::npos) {
    error(given,
          fmt::format("cannot read after = {}; write e.g. \"20 refused/10m\"", quote(*value)));
    return {};
  }
  const auto rate = parse_rate(value->substr(0, at) + "/" + value->substr(at + kWord.size()));
  if (rate) return *rate;
  error(given, rate.error().what);
  return {};
}

std::optional<std::chrono::seconds> ValueReader::duration(const Value& given) {
  const std::string* value = text(given, "90d");
  if (value == nullptr) return {};
  const auto duration = parse_duration(*value);
  if (duration) return *duration;
  error(given, duration.error().what);
  return {};
}

std::optional<std::chrono::seconds> ValueReader::duration_or_zero(const Value& given) {
  const auto* value = given.node.as_string();
  if (value != nullptr && value->get() == "0s") return std::chrono::seconds{};
  return duration(given);
}

std::optional<std::uint64_t> ValueReader::size(const Value& given, std::uint64_t least,
                                               std::uint64_t most) {
  const std::string* value = text(given, "256MiB");
  if (value == nullptr) return {};
  const auto bytes = parse_size(*value);
  if (!bytes) {
    error(given, bytes.error().what);
  } else if (*bytes < least || *bytes > most) {
    error(given, fmt::format("{} must be from {} to {}, not {}", given.key, size_text(least),
                             size_text(most), quote(*value)));
  } else {
    return *bytes;
  }
  return {};
}

std::vector<std::string> ValueReader::devices(const Value& given) {
  constexpr std::size_t kDeviceNameMax = 15;
  std::vector<std::string> out;
  const auto list = array(given, given.key, "[\"br-lab\"]");
  if (!list) return out;
  for (const Value& each : *list) {
    const std::string* value = text(each, "br-lab");
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
                              given.key, kDeviceNameMax, quote(*value)));
    }
  }
  return out;
}

std::string ValueReader::socket(const Value& given) {
  const std::string* value = text(given, "/run/docker.sock");
  if (value == nullptr) return {};
  if (value->empty() || value->front() != '/' || value->size() > kSocketPathMax ||
      value->find('\0') != std::string::npos) {
    error(given, fmt::format("{} must be the absolute path of a socket, of at most {} bytes, e.g. "
                             "\"/run/docker.sock\", not {}",
                             given.key, kSocketPathMax, quote(*value)));
  }
  return *value;
}

std::string ValueReader::file_name(const Value& given) {
  const std::string* value = text(given, "/etc/cloudron-fw/known-bad.txt");
  if (value == nullptr) return {};
  if (value->empty())
    error(given, "file is empty; name the file, e.g. \"/etc/cloudron-fw/known-bad.txt\"");
  if (value->find('\0') != std::string::npos)
    error(given, fmt::format("file {} contains a NUL; remove it", quote(*value)));
  return *value;
}

}  // namespace fw
