// Docker's answers: whatever they say, what is kept of them is read back alike, and what is
// discovered in them can be compiled.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdint>
#include <string_view>

#include "chains/compile.hpp"
#include "fw/docker/container.hpp"
#include "fw/effective/policy.hpp"
#include "fw/inventory/docker.hpp"

namespace {

void discover_in(fw::Inventory now) {
  static const fw::Policy policy = fw::parse_policy("[apps]\ndiscover = \"docker\"", "p").policy;
  fw::Inventory all;
  fw::update(all, {.everything = true}, std::move(now), 1);
  const auto kept = fw::read_inventory(fw::to_text(all));
  if (!kept || kept->inventory != all) __builtin_trap();
  chains::compile_of_apps(fw::discover(policy, all).policy);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto containers = fw::read_docker_containers(text)) discover_in(std::move(*containers));
  if (auto networks = fw::read_docker_networks(text)) discover_in(std::move(*networks));
  fw::read_docker_image(text);
  fw::touched_by(text);
  fw::read_inventory(text);
  fw::docker::parse_container(text);
  fw::docker::parse_engine(text);
  fw::docker::parse_ids(text);
  return 0;
}
