// SPDX-License-Identifier: GPL-3.0-or-later
pragma solidity 0.8.37;

import {TimelockedFunds} from "./TimelockedFunds.sol";

/// @title The treasury's share of all purchases
contract Treasury is TimelockedFunds {
    /// @param timelock_ See {TimelockedFunds}.
    constructor(address timelock_) TimelockedFunds(timelock_) {}
}
