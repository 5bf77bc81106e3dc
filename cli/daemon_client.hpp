// What the daemon does for commands where it runs: blocks, for it has the store and the kernel open
// already, and answers to those who may not read the state folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.hpp"
#include "fw/host/block.hpp"
#include "fw/host/status.hpp"
#include "fw/store/activity.hpp"

namespace cli {

struct BlockRequest {
  std::vector<fw::IpRange> ranges;
  std::string for_time;  ///< "": for good
  std::string reason;
  std::string origin;
  bool force = false;  ///< whatever the guard objects to
};

/// Nothing: no daemon keeps this state, or the request is too long for it; then it is done here.
/// What it did stands in the activity log already.
std::optional<fw::Result<fw::BlockOutcome>> block_by_daemon(const Context& context,
                                                            const BlockRequest& request);
std::optional<fw::Result<fw::BlockOutcome>> unblock_by_daemon(
    const Context& context, const std::vector<fw::IpRange>& ranges, const std::string& origin);

/// True for a user who may not read the state folder: the daemon may tell what is in it.
bool asks_daemon(const Context& context);

/// The first blocks by address, and how many there are. Errors: of fw::ask, and what the daemon
/// says.
struct ToldBlocks {
  std::vector<fw::Block> blocks;
  std::size_t all = 0;
};
fw::Result<ToldBlocks> blocks_of_daemon(const Context& context);

/// As read_status and read_trouble, of the policy in force.
struct ToldStatus {
  fw::Status status;
  fw::Trouble trouble;
};
fw::Result<ToldStatus> status_of_daemon(const Context& context);

/// Rows of the activity log, as fw::ActivityLog::read gives them.
fw::Result<std::vector<fw::Activity>> activity_of_daemon(const Context& context, fw::WallTime since,
                                                         std::int64_t after, std::size_t count,
                                                         const std::string& what);

}  // namespace cli
