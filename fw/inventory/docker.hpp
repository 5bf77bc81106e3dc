// Containers and networks from the Docker API, as an Inventory.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/result.hpp"
#include "fw/inventory/inventory.hpp"

namespace fw {

/// An answer to GET /containers/json?all=1, as of API 1.41 (Docker 20.10). What cannot be taken
/// (text too long, addresses that are none, containers beyond kContainersMax) goes into `left_out`,
/// one line each. Errors: it is no such answer.
Result<Inventory> read_docker_containers(std::string_view json);

/// An answer to GET /networks: the subnets of the bridge networks of this host, and of those that
/// are the LAN. No containers.
Result<Inventory> read_docker_networks(std::string_view json);

/// An answer to GET /images/ID/json: its labels, of those that are used.
Result<Labels> read_docker_image(std::string_view json);

/// Every container that is made of an image has the image's labels, whoever made that: so what the
/// image says alike is no word of the admin's, and goes.
void drop_image_labels(Container& container, const Labels& image);

/// What an event may have changed.
struct Touched {
  bool inventory = false;  ///< anything that counts
  bool networks = false;   ///< which there are
  std::string container;   ///< the one that was changed, by its id; "": it is not known, or none
  bool listed = false;     ///< the engine's list shows it already
};
/// An answer of GET /events, one JSON object.
Touched touched_by(std::string_view event);

/// The form that is kept in the state folder: lines of JSON, of which the last one that tells of a
/// container, or of the rest, counts. So what changed can be written behind what is there.
std::string to_text(const Inventory& inventory);
std::string to_text(const Inventory& inventory, const InventoryChange& change);

/// Back from that form, up to a line that is none.
struct KeptText {
  Inventory inventory;
  std::size_t lines = 0;
  bool whole = true;  ///< no line was torn
};
/// Errors: already the first line is none.
Result<KeptText> read_inventory(std::string_view text);

}  // namespace fw
