// Expressions to and from the kernel's form: this is where registers exist.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "chains/expr.hpp"

struct nftnl_rule;

namespace chains {

/// Appends the kernel expressions of `exprs` to a rule.
void lower(const std::vector<Expr>& exprs, nftnl_rule* rule);

/// The inverse: raise(lower(x)) == x for everything that compile() makes. What it does not know
/// comes back as Foreign, with libnftnl's text.
std::vector<Expr> raise(const nftnl_rule* rule);

}  // namespace chains
