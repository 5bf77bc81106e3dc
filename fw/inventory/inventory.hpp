// Apps and addons as a container engine has them, and the policy that follows from them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/base/port.hpp"
#include "fw/policy/parse.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

/// The labels that are heeded; all others are left out of an Inventory.
inline constexpr const char* kAppLabel = "cloudron-fw.app";        ///< its name
inline constexpr const char* kAddonLabel = "cloudron-fw.addon";    ///< its name, and that it is one
inline constexpr const char* kAddonsLabel = "cloudron-fw.addons";  ///< names, by commas
inline constexpr const char* kOpenLabel = "cloudron-fw.open";      ///< ports: "29418, udp/3478"
inline constexpr const char* kProjectLabel = "com.docker.compose.project";
inline constexpr const char* kServiceLabel = "com.docker.compose.service";

/// A container as the engine has it. Its texts are a stranger's.
struct Container {
  std::string id;
  std::string name;
  std::string image;                          ///< its id
  std::map<std::string, std::string> labels;  ///< of those above
  std::vector<Ip> addresses;                  ///< none while it does not run
  std::vector<PortRange> exposes;             ///< its own ports
  std::vector<PortRange> publishes;           ///< the host's ports that lead to it
  std::int64_t gone = 0;  ///< since when the engine does not have it, in seconds; 0: it has it

  bool operator==(const Container&) const = default;
};

struct Inventory {
  std::vector<Container> containers;  ///< sorted by id, those that are gone behind the others
  std::vector<IpRange> networks;      ///< that the engine made for containers on this host
  std::vector<std::string> left_out;  ///< what could not be taken, for the admin to read

  bool operator==(const Inventory&) const = default;
};

/// The name of the app that a container is: its label, else its compose project and service, else
/// its own name; made short and different from others' where that is no name of the policy.
std::string identity(const Container& container);

/// `now` with those of `before` that it does not have, for kGoneKeep and without their addresses:
/// what a limit has counted outlives the moment between two containers of one app. `clock` is the
/// wall clock in seconds.
Inventory carry_over(Inventory now, const Inventory& before, std::int64_t clock);

/// The policy with what is discovered put in: the engine's networks, and apps and addons with the
/// addresses of their containers. What a table of the policy says of one of them goes first.
/// Unchanged unless the policy asks for discovery. The problems are warnings; each tells what was
/// not done.
struct Discovered {
  Policy policy;
  std::vector<Problem> problems;
};
Discovered discover(Policy policy, const Inventory& inventory);

}  // namespace fw
