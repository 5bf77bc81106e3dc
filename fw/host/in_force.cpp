// Which policy the kernel must hold.
#include "fw/host/in_force.hpp"

#include "fw/host/discovered.hpp"
#include "fw/host/last_good.hpp"
#include "fw/policy/parse.hpp"

namespace fw {

InForce in_force(const std::string& state_dir, const Moment& now, KeptInventory& kept) {
  const auto pending = read_pending(state_dir);
  if (!pending || is_due(*pending, now)) return confirmed(state_dir, kept);
  InForce out{InForce::Why::on_trial, default_policy(), chains::Unused::keep};
  if (!pending->text) return out;
  Parsed parsed = parse_policy(*pending->text, pending->path);
  if (!parsed.ok()) return confirmed(state_dir, kept);
  out.policy = with_remembered(std::move(parsed.policy), kept).policy;
  return out;
}

InForce confirmed(const std::string& state_dir, KeptInventory& kept) {
  auto last_good = read_last_good(state_dir);
  if (!last_good) return {InForce::Why::built_in, default_policy(), chains::Unused::remove};
  return {InForce::Why::confirmed, with_remembered(std::move(*last_good), kept).policy,
          chains::Unused::remove};
}

}  // namespace fw
